"""One run from specification to record."""

import dataclasses
import json

import numpy as np
import pytest
from ptychosuite.core.runs import Lane, RunSpec, Status
from ptychosuite.errors import BackendError, DataFileError
from ptychosuite.execute import one_run as run_module
from ptychosuite.execute.one_run import execute
from ptychosuite.registry.fingerprint import code_of, run_id_of

from tests.execute.test_loop import STOP, Scaling

SPEC = RunSpec(
    problem={
        "object": {"kind": "texture", "size": 48},
        "probe": {"kind": "gaussian", "size": 16, "fwhm_px": 6.0},
        "scan": {"kind": "raster", "overlap": 0.5},
        "noise": 0.05,
    },
    solver={"name": "magpie", "alpha": 0.05, "levels": 3},
    stop={**STOP, "iterations": 5, "gradient": 1e-9},
    dtype="complex128",
)


@pytest.fixture(autouse=True)
def _nothing_remembered():
    run_module._cached_problem.cache_clear()


def changed(**fields):
    return dataclasses.replace(SPEC, **fields)


def test_record_is_complete():
    """Id, status, metrics, curves, single-precision object and probe, provenance that is plain data."""
    record, problem = execute(SPEC)
    assert record.status is Status.COMPLETED
    assert record.spec is SPEC
    assert record.run_id == run_id_of(SPEC)
    assert record.object.shape == problem.start_object.shape
    assert record.object.dtype == record.probe.dtype == "complex64"
    np.testing.assert_allclose(record.probe, problem.probe, rtol=1e-6)
    assert set(record.curves) <= set(record.metrics)
    wanted = {
        "residual", "gradient_norm", "poisson_nll", "poisson_deviance", "error", "relative_error",
        "phase_rmse_rad", "seconds", "seconds_per_iteration", "iterations", "iterations_to_tol",
        "data_passes",
    }  # fmt: skip
    assert wanted <= set(record.metrics)
    assert all(isinstance(value, float) for value in record.metrics.values())
    provenance = json.loads(json.dumps(record.provenance, allow_nan=False))
    assert provenance["start"] <= provenance["end"]
    assert provenance["code"] == code_of(SPEC).fingerprint
    assert {"ptychosuite", "python", "packages", "host", "cpu", "cpu_count", "threads"} <= set(provenance)


@pytest.mark.parametrize("solver", ["epie", "rpie", "mpie", "magpie", "lbfgs"])
def test_same_specification_same_numbers(solver):
    """Twice the same specification gives the same record, bit for bit, but for the time."""
    solver = {"name": solver, **({"levels": 4} if solver == "magpie" else {})}
    records = []
    for _ in range(2):
        run_module._cached_problem.cache_clear()
        records.append(execute(changed(solver=solver, dtype="complex64"))[0])
    one, other = records
    assert one.run_id == other.run_id
    np.testing.assert_array_equal(one.object, other.object)
    for name in set(one.curves) - {"seconds"}:
        np.testing.assert_array_equal(one.curves[name], other.curves[name])


@pytest.mark.parametrize(("noise", "says"), [(1e-16, "more than can be counted"), (1e6, "no photon")])
def test_data_that_cannot_be_are_a_failure_in_words(noise, says):
    """Too many photons to count, or none at all: a failed run that says so, without a traceback."""
    record, problem = execute(changed(problem={**SPEC.problem, "noise": noise}))
    assert record.status is Status.FAILED
    assert problem is None
    assert says in record.message
    assert "problem.noise" in record.message
    assert "\n" not in record.message


def test_runs_do_not_disturb_each_other():
    """Runs that share a problem in one process give what each gives alone."""
    alone, problem = execute(SPEC)
    data = problem.diffraction_amplitude[:]
    execute(changed(solver={"name": "mpie", "interval": 3}))
    again, same = execute(SPEC)
    assert same is problem
    np.testing.assert_array_equal(same.diffraction_amplitude, data)
    np.testing.assert_array_equal(again.object, alone.object)


def test_seed_and_solver():
    """Another seed is other data; another solver starts from the same residual."""
    first = execute(SPEC)[0].curves["residual"][0]
    assert execute(changed(solver={"name": "epie"}))[0].curves["residual"][0] == first
    assert execute(changed(seed=1))[0].curves["residual"][0] != first


def test_single_precision_follows_double():
    """complex64 and complex128 give the same figures to four digits."""
    single, double = (execute(changed(dtype=dtype))[0] for dtype in ("complex64", "complex128"))
    for name in ("residual", "gradient_norm", "error", "phase_rmse_rad"):
        np.testing.assert_allclose(single.curves[name], double.curves[name], rtol=1e-4)
    np.testing.assert_allclose(
        single.curves["poisson_deviance"], double.curves["poisson_deviance"], rtol=1e-2
    )
    np.testing.assert_allclose(single.object, double.object, rtol=0, atol=1e-3)


def test_backends_give_the_same_figures(each_backend):
    """The same run on another backend has the same curves to rounding."""
    expected = execute(SPEC)[0]
    found = execute(changed(backend=each_backend.name))[0]
    assert found.status is Status.COMPLETED
    for name in ("residual", "error", "poisson_nll"):
        np.testing.assert_allclose(found.curves[name], expected.curves[name], rtol=1e-8)


@pytest.mark.parametrize("factor", [1e3, 1e200])
def test_divergence_is_recorded(monkeypatch, factor):
    """A diverging run is a record without warnings, also where its object overflows single precision."""
    monkeypatch.setattr(run_module, "build", lambda group, settings: Scaling(factor))
    record, _ = execute(SPEC)
    assert record.status is Status.DIVERGED
    assert len(record.curves["residual"]) == record.metrics["iterations"] + 1


def test_exceptions_are_recorded(monkeypatch):
    """An error inside the solver is a failed record with its traceback; the problem comes with it."""

    def broken(self, problem, state, rng):
        raise ZeroDivisionError("somewhere deep")

    monkeypatch.setattr(Scaling, "step", broken)
    monkeypatch.setattr(run_module, "build", lambda group, settings: Scaling())
    record, problem = execute(SPEC)
    assert record.status is Status.FAILED
    assert "Traceback" in record.message
    assert "ZeroDivisionError: somewhere deep" in record.message
    assert "broken" in record.message
    assert problem is not None
    assert record.object is None
    assert record.run_id == run_id_of(SPEC)
    assert {"start", "end"} <= set(record.provenance)


def test_a_problem_that_cannot_be_made_is_recorded(monkeypatch):
    """An error in the simulation is a failed record, without a problem."""
    monkeypatch.setattr(run_module, "build_problem", lambda *arguments: 1 / 0)
    record, problem = execute(SPEC)
    assert record.status is Status.FAILED
    assert problem is None


def test_users_errors_are_raised(tmp_path):
    """A missing file or backend is for the user to put right: no run of the kind can succeed."""
    lost = {**SPEC.problem, "object": {"kind": "file", "path": str(tmp_path / "lost.npy")}}
    with pytest.raises(DataFileError, match="No such file"):
        execute(changed(problem=lost))
    with pytest.raises(BackendError, match="unknown backend"):
        execute(changed(backend="fortran"))


def test_peak_memory_is_measured():
    """A run that takes more memory says so; the peak of the one before is forgotten."""
    one_pass = {"solver": {"name": "rpie"}, "stop": {**STOP, "iterations": 1}, "dtype": "complex64"}
    small = execute(changed(**one_pass))[0].metrics
    if "peak_host_bytes" not in small:
        pytest.skip("this system cannot reset the peak of a process's memory")
    size = {"kind": "texture", "size": 1024}
    large = execute(changed(problem={**SPEC.problem, "object": size}, **one_pass))[0].metrics
    again = execute(changed(**one_pass))[0].metrics
    data_bytes = 4 * (1024 / 8) ** 2 * 16**2
    assert large["peak_host_bytes"] - small["peak_host_bytes"] > data_bytes
    assert again["peak_host_bytes"] < large["peak_host_bytes"]


def test_the_lane_is_recorded():
    """Provenance says whether the run's times may be compared, and on which cores it ran."""
    assert execute(SPEC)[0].provenance["lane"] == "timing"
    provenance = execute(SPEC, lane=Lane.THROUGHPUT)[0].provenance
    assert provenance["lane"] == "throughput"
    assert provenance["cores"]


def test_threads_are_fixed():
    """BLAS and torch run on the number of threads that is asked for, and that number is recorded."""
    import torch

    before = torch.get_num_threads()
    try:
        record, _ = execute(changed(backend="torch"), threads=1)
        assert torch.get_num_threads() == 1
        threads = record.provenance["threads"]
        assert threads["torch"] == 1
        assert all(threads[pool] == 1 for pool in ("blas", "openmp") if pool in threads)
    finally:
        torch.set_num_threads(before)


FAST_FORWARD = {
    "kind": "probe-refit",
    "warm_up": 4,
    "jumps": 2,
    "spacing": 3,
    "refits": 2,
    "safeguard": True,
    "look_ahead": 2,
}


def test_fast_forward_is_recorded():
    """Steps, deviances and time of the jumps are metrics; curves keep one entry an iteration."""
    stop = {**STOP, "iterations": 10}
    start_probe = {"kind": "gaussian", "size": 16, "fwhm_px": 8.0}
    blind = {
        "problem": {**SPEC.problem, "start_probe": start_probe},
        "solver": {"name": "rpie"},
        "stop": stop,
    }
    plain, _ = execute(changed(**blind))
    record, _ = execute(changed(**blind, fast_forward=FAST_FORWARD))
    assert record.status is Status.COMPLETED
    assert record.run_id != plain.run_id
    found = {name for name in record.metrics if name.startswith("ff_")}
    each = {"step", "deviance_before", "deviance_inserted", "deviance_jumped", "deviance_plain"}
    totals = {"ff_jumps", "ff_rejected", "ff_seconds_inference", "ff_seconds_look_ahead"}
    assert found == totals | {f"ff_{name}_{number}" for name in each for number in (1, 2)}
    assert not any(name.startswith("ff_") for name in plain.metrics)
    assert all(isinstance(value, float) for value in record.metrics.values())
    assert record.metrics["ff_jumps"] == 2
    assert {len(curve) for curve in record.curves.values()} == {11}
    plain_deviance = plain.curves["poisson_deviance"]
    assert record.metrics["ff_deviance_before_1"] == pytest.approx(plain_deviance[4])
    assert record.metrics["ff_deviance_plain_1"] == pytest.approx(plain_deviance[6])
    assert record.curves["poisson_deviance"][6] <= plain_deviance[6] * (1 + 1e-9)
    np.testing.assert_array_equal(record.curves["residual"][:5], plain.curves["residual"][:5])


def test_rejected_jumps_are_in_the_message():
    """Why a jump was rejected stands behind why the run ended."""
    settings = {**FAST_FORWARD, "kind": "extrapolation", "factor": 1.0}
    record, _ = execute(changed(stop={**STOP, "iterations": 9}, fast_forward=settings))
    assert record.message.startswith(
        "all iterations done; jump after 4 rejected: CannotAdvance: extrapolation needs"
    )
    plain, _ = execute(changed(stop={**STOP, "iterations": 9}))
    np.testing.assert_array_equal(record.object, plain.object)
    assert record.metrics["ff_rejected"] == 2


def test_half_scans_are_fast_forwarded_as_well():
    """What is compared between halves is the method of the run."""
    spec = changed(stop={**STOP, "iterations": 9}, half_scans=True, fast_forward=FAST_FORWARD)
    assert np.isfinite(execute(spec)[0].metrics["half_frc_crossing"])


def test_fast_forwarded_runs_go_alone():
    """Runs that could be stacked are not where an operator has to judge each by itself."""
    stop = {**STOP, "iterations": 9}
    spec = changed(solver={"name": "rpie"}, stop=stop, fast_forward=FAST_FORWARD)
    specs = [spec, dataclasses.replace(spec, seed=1)]
    for (record, _), each in zip(run_module.execute_stack(specs), specs, strict=True):
        assert record.metrics["ff_jumps"] == 2
        assert "stack" not in record.provenance
        np.testing.assert_array_equal(record.object, execute(each)[0].object)
