"""Blind runs, simulated and from files: from the specification to the stored record."""

import dataclasses
import re

import numpy as np
import pytest
from ptychosuite.backends.arrays import backend, to_numpy
from ptychosuite.core.problem import Reference
from ptychosuite.core.runs import RunSpec, Status
from ptychosuite.errors import DataFileError
from ptychosuite.execute import one_run as run_module
from ptychosuite.execute.one_run import execute
from ptychosuite.metrics.evaluation import Evaluation, ProblemConstants
from ptychosuite.metrics.gauge import Gauge, apply_gauge
from ptychosuite.metrics.metric import metrics_of_run
from ptychosuite.physics.shift import shift_phases
from ptychosuite.problems.build import build_problem
from ptychosuite.problems.detector import Detector
from ptychosuite.problems.exposure import Exposure
from ptychosuite.problems.measured import Measurement, write_cxi
from ptychosuite.problems.recording import measure
from ptychosuite.store.layout import Store
from ptychosuite.store.read import read_reference, read_run
from ptychosuite.store.write import write_run
from ruamel.yaml import YAML

from tests.execute.test_loop import STOP

SIZE = 32
PROBE = {"kind": "gaussian", "size": SIZE, "fwhm_px": 12.0, "curvature": 1.0}
START = {**PROBE, "curvature": 0.5}
SIMULATED = {
    "kind": "simulated",
    "object": {"kind": "texture", "size": 64},
    "probe": PROBE,
    "start_probe": START,
    "scan": {"kind": "jittered-raster", "step_px": 6, "jitter_px": 2, "subpixel": True},
    "noise": 0.01,
}
SPEC = RunSpec(
    problem=SIMULATED,
    solver={"name": "emagpie", "alpha": 0.2, "beta": 0.5, "levels": 3},
    stop={**STOP, "iterations": 12, "check_every": 3},
)
RINGS = {"frequency", "correlation", "threshold"}


@pytest.fixture(autouse=True, scope="module")
def _nothing_remembered():
    run_module._cached_problem.cache_clear()


def changed(**fields):
    return dataclasses.replace(SPEC, **fields)


@pytest.fixture(scope="module")
def blind():
    """The blind simulated run and its problem."""
    return execute(SPEC)


@pytest.fixture(scope="module")
def measurement():
    """A small measurement with fractional positions, bad pixels and a starting probe."""
    problem = build_problem(SPEC, backend("numpy"))
    truth = problem.reference
    positions = truth.scan_positions_px - truth.scan_positions_px.min(axis=0)
    scene = dataclasses.replace(truth, scan_positions_px=positions)
    counts = measure(scene, Exposure(), Detector(), 0.01, SPEC.rng, "float64")[0].values
    mask = np.random.default_rng(0).uniform(size=(SIZE, SIZE)) > 0.05
    return Measurement(
        diffraction_intensity=np.rint(counts).astype(np.uint32),
        scan_positions_px=positions,
        probe=to_numpy(problem.probe).astype(np.complex128),
        detector_mask=mask,
        pixel_m=1e-10 * 1.0 / (SIZE * 50e-6),
        wavelength_m=1e-10,
        distance_m=1.0,
        detector_pixel_m=50e-6,
    )


def written(measurement, folder, kind="npz", dtype=None, **changes):
    """The settings of a problem whose file holds ``measurement``; a change to None leaves an array out."""
    path = folder / f"star.{kind}"
    if kind == "cxi":
        write_cxi(path, dataclasses.replace(measurement, **changes))
    else:
        found = dataclasses.replace(measurement, **changes)
        counts = np.fft.fftshift(found.diffraction_intensity, axes=(1, 2))
        arrays = {
            "data": counts if dtype is None else counts.astype(dtype),
            "positions_px": found.scan_positions_px,
        }
        if found.probe is not None:
            arrays["probe"] = found.probe
        if found.detector_mask is not None:
            arrays["mask"] = np.fft.fftshift(found.detector_mask)
        np.savez(path, **arrays)
    return {"kind": "file", "path": str(path)}


# Simulated


@pytest.mark.parametrize(
    "solver",
    [SPEC.solver, {"name": "rpie", "alpha": 0.1, "beta": 0.5}, {"name": "lsqml", "batch": 8}],
    ids=lambda solver: solver["name"],
)
def test_blind_solvers_find_object_and_probe(solver):
    """From a probe of the wrong curvature, phases and complex errors fall, and the probe becomes truer."""
    record, problem = execute(changed(solver=solver))
    assert record.status is Status.COMPLETED
    assert not problem.probe_known
    for name, share in (("phase_rmse_rad", 0.9), ("nmse", 0.75), ("residual", 0.05)):
        curve = record.curves[name]
        assert curve[-1] < share * curve[0], (name, curve)

    def likeness(probe):
        truth = problem.reference.probe
        spectra = np.fft.fft2(truth) * np.fft.fft2(probe).conj()  # wherever it has moved to
        overlap = np.abs(np.fft.ifft2(spectra)).max()
        return overlap / (np.linalg.norm(truth) * np.linalg.norm(probe))

    assert likeness(record.probe) > likeness(to_numpy(problem.probe))


def test_problem_starts_from_the_given_probe():
    """The starting probe is the problem's, the true one is for the metrics; fractions are kept."""
    problem = build_problem(changed(dtype="complex128"), backend("numpy"))
    known = build_problem(
        changed(problem={**SIMULATED, "start_probe": None}, dtype="complex128"), backend("numpy")
    )
    assert known.probe_known
    np.testing.assert_array_equal(known.probe, known.reference.probe)
    np.testing.assert_array_equal(problem.reference.probe, known.reference.probe)
    assert np.abs(problem.probe - problem.reference.probe).max() > 0.1
    assert problem.subpixel_shifts_px is not None
    np.testing.assert_array_equal(problem.positions_px, problem.reference.scan_positions_px)
    assert (problem.scan_positions_px >= 0).all()
    assert (problem.scan_positions_px <= 64 - SIZE).all()


GAUGES = {
    "scale": (Gauge(scale=0.3 + 0j), 1e-9),
    "phase": (Gauge(scale=np.exp(2j)), 1e-9),
    "ramp": (Gauge(ramp_rad_per_px=(0.02, -0.03)), 2e-3),
    "shift": (Gauge(shift_px=(0.6, -0.4)), 0.1),
    "all": (Gauge(2 * np.exp(1j), (-0.01, 0.02), (-0.3, 0.5)), 0.1),
}


@pytest.mark.parametrize("gauge", GAUGES)
def test_metrics_do_not_see_the_gauge(blind, gauge):
    """Scale, phase, ramp and translation of a blind result leave its figures as they are."""
    record, problem = blind

    def metrics(obj, probe_known=False):
        constants = ProblemConstants(dataclasses.replace(problem, probe_known=probe_known))
        found = [m for m in metrics_of_run((), problem) if m.needs == "truth" and m.on_the_way]
        return {m.name: m.value(Evaluation(constants, obj, problem.probe)) for m in found}

    turn, tolerance = GAUGES[gauge]
    plain, turned = metrics(record.object), metrics(apply_gauge(record.object, turn))
    for name, value in plain.items():
        assert turned[name] == pytest.approx(value, rel=tolerance), name
    assert plain["nmse"] == pytest.approx(record.metrics["nmse"], rel=1e-4)
    naive = metrics(apply_gauge(record.object, turn), probe_known=True)
    if gauge != "phase":
        assert naive["nmse"] > 1.03 * plain["nmse"]


def test_resolution_against_the_truth(blind):
    """With a truth a run has its ring correlation with it, and no positions of its own."""
    record, _ = blind
    assert set(record.rings) == RINGS
    assert len({len(values) for values in record.rings.values()}) == 1
    assert 0.2 < record.metrics["frc_crossing"] <= 1
    assert record.metrics["frc_resolution_px"] == pytest.approx(1 / record.metrics["frc_crossing"])
    assert "half_frc_crossing" not in record.metrics
    assert record.scan_positions_px is None


def test_resolution_between_half_scans():
    """Half scans give their own figures instead, from two runs as long as the first."""
    record, _ = execute(changed(half_scans=True))
    assert set(record.rings) == RINGS
    assert 0 < record.metrics["half_frc_crossing"] <= 1
    assert "frc_crossing" not in record.metrics
    again, _ = execute(changed(half_scans=True))
    np.testing.assert_array_equal(again.rings["correlation"], record.rings["correlation"])
    plain, _ = execute(SPEC)
    np.testing.assert_array_equal(plain.object, record.object)


def test_a_run_that_diverges_has_no_resolution(monkeypatch):
    """Ring correlations are for runs that went well."""
    from tests.execute.test_loop import Scaling

    monkeypatch.setattr(run_module, "build", lambda group, settings: Scaling(1e3))
    record, _ = execute(changed(half_scans=True))
    assert record.status is Status.DIVERGED
    assert record.rings == {}


def test_blind_record_round_trips(blind, tmp_path):
    """Rings come back from the store, and the truth with its fractional positions."""
    record, problem = blind
    store = Store.create(tmp_path / "r")
    found = read_run(write_run(store, record, problem.reference))
    assert set(found.rings) == RINGS
    for name in RINGS:
        np.testing.assert_allclose(found.rings[name], record.rings[name], rtol=1e-12)
    assert found.scan_positions_px is None
    truth = read_reference(store, found.reference)
    np.testing.assert_array_equal(truth.scan_positions_px, problem.reference.scan_positions_px)
    np.testing.assert_array_equal(found.probe, record.probe)
    assert found.metrics == record.metrics


# From a file


@pytest.mark.parametrize("kind", ["npz", "cxi"])
def test_file_becomes_a_problem(measurement, tmp_path, kind, each_backend):
    """Counts, mask, fractional positions and a scaled probe arrive on the backend; the probe is unknown."""
    spec = changed(problem=written(measurement, tmp_path, kind), dtype="complex128")
    problem = build_problem(spec, each_backend)
    mask = measurement.detector_mask
    assert not problem.probe_known
    assert problem.reference is None
    assert problem.photon_scale == 1
    np.testing.assert_array_equal(to_numpy(problem.detector_mask), mask)
    np.testing.assert_allclose(
        to_numpy(problem.diffraction_amplitude[:]) ** 2, measurement.diffraction_intensity * mask, rtol=1e-12
    )
    np.testing.assert_allclose(problem.positions_px, measurement.scan_positions_px, rtol=0, atol=1e-6)
    assert np.abs(problem.subpixel_shifts_px).max() <= 0.5
    assert (to_numpy(problem.start_object) == 1).all()
    assert problem.start_object.shape == measurement.object_shape


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("precision", ["complex64", "complex128"])
@pytest.mark.parametrize("masked", [True, False])
def test_probe_is_scaled_to_the_counts(measurement, tmp_path, dtype, precision, masked):
    """An empty object sends a pattern's mean count to the good pixels; the probe's shape is the file's."""
    counts = np.minimum(measurement.diffraction_intensity, 200)
    changes = {} if masked else {"detector_mask": None}
    settings = written(measurement, tmp_path, dtype=dtype, diffraction_intensity=counts, **changes)
    problem = build_problem(changed(problem=settings, dtype=precision), backend("numpy"))
    good = counts * (measurement.detector_mask if masked else 1)
    light = np.abs(np.fft.fft2(problem.probe)) ** 2 * (measurement.detector_mask if masked else 1)
    assert light.sum() == pytest.approx(good.sum() / len(good), rel=1e-5)
    assert problem.probe.dtype == precision
    ratio = problem.probe / measurement.probe
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-4)
    assert (problem.detector_mask is None) is not masked


def test_missing_probe_is_explained(measurement, tmp_path):
    """Without a probe the message says how to give one, and the example in it works."""
    settings = written(measurement, tmp_path, probe=None)
    with pytest.raises(DataFileError) as caught:
        execute(changed(problem=settings))
    message = str(caught.value)
    assert settings["path"] in message
    assert "problem.start_probe" in message
    assert "\n" not in message
    advice = YAML(typ="safe").load(re.search(r"\{.*\}", message)[0])
    assert advice == {"kind": "gaussian", "size": SIZE, "fwhm_px": SIZE // 4}
    problem = build_problem(changed(problem={**settings, "start_probe": advice}), backend("numpy"))
    assert problem.probe.shape == (SIZE, SIZE)


def test_start_probe_goes_before_the_files(measurement, tmp_path):
    """A starting probe that is given is taken, at the scale of the counts."""
    settings = written(measurement, tmp_path)
    own, given = (
        build_problem(changed(problem={**settings, "start_probe": p}, dtype="complex128"), backend("numpy"))
        for p in (None, {"kind": "disk", "size": SIZE, "diameter_px": 12.0})
    )
    assert np.count_nonzero(np.abs(given.probe) > 1e-9) < 200 < np.count_nonzero(np.abs(own.probe) > 1e-9)
    given_light, own_light = (
        np.sum(np.abs(np.fft.fft2(each.probe)) ** 2 * each.detector_mask) for each in (given, own)
    )
    assert given_light == pytest.approx(own_light, rel=1e-12)


@pytest.mark.parametrize("kind", ["npz", "cxi"])
def test_measured_run(measurement, tmp_path, kind):
    """A run on a file updates the probe, has half-scan rings and positions, and comes back from a store."""
    settings = written(measurement, tmp_path, kind)
    record, problem = execute(changed(problem=settings, half_scans=True))
    assert record.status is Status.COMPLETED
    assert np.abs(record.probe - to_numpy(problem.probe)).max() > 1e-3
    assert record.metrics["residual"] < 0.5 * record.curves["residual"][0]
    assert {"half_frc_crossing", "half_frc_resolution_px"} <= set(record.metrics)
    assert not {"error", "nmse", "frc_crossing"} & set(record.metrics)
    found = read_run(write_run(Store.create(tmp_path / "r"), record))
    np.testing.assert_allclose(found.scan_positions_px, measurement.scan_positions_px, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(found.scan_positions_px, record.scan_positions_px)
    for name in RINGS:
        np.testing.assert_allclose(found.rings[name], record.rings[name], rtol=1e-12)
    assert found.reference == ""
    without = read_run(write_run(Store.create(tmp_path / "s"), record), images=False)
    assert without.object is None
    assert without.scan_positions_px is not None


def test_measured_run_without_half_scans(measurement, tmp_path):
    """Neither truth nor half scans: no rings, but the positions."""
    record, _ = execute(changed(problem=written(measurement, tmp_path)))
    assert record.rings == {}
    assert not [name for name in record.metrics if "frc" in name]
    assert len(record.scan_positions_px) == measurement.n_positions


def test_simulation_is_seen_between_pixels():
    """The simulated counts are those of a probe shifted by what whole pixels leave over."""
    problem = build_problem(
        changed(problem={**SIMULATED, "noise": 0.0}, dtype="complex128"), backend("numpy")
    )
    truth: Reference = problem.reference
    phases = shift_phases(SIZE, problem.subpixel_shifts_px, truth.probe)
    k = 5
    row, column = problem.scan_positions_px[k]
    local = np.fft.ifft2(np.fft.fft2(truth.probe) * phases[k])
    wave = np.fft.fft2(local * truth.object[row : row + SIZE, column : column + SIZE])
    np.testing.assert_allclose(problem.diffraction_amplitude[k], np.abs(wave), rtol=0, atol=1e-9)
