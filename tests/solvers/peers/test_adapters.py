"""What all adapters promise: our start, our conventions, states that go stale, nothing left behind."""

import dataclasses
import logging
import warnings

import numpy as np
import pytest
from ptychosuite.backends.arrays import backend, fft2, to_numpy
from ptychosuite.physics.forward import illuminate, intensity_of
from ptychosuite.registry.lookup import build
from ptychosuite.solvers.peers import drive_cdtools

from tests.conftest import small_problem
from tests.solvers.peers.problems import PROBLEMS, residual, residuals, theirs, uneven

PACKAGES = {"ptychi": "ptychi.api.task", "cdtools": "cdtools.models"}
SOLVERS = {
    "ptychi-pie": {"name": "ptychi", "algorithm": "pie", "alpha": 0.1},
    "ptychi-epie": {"name": "ptychi", "algorithm": "epie"},
    "ptychi-rpie": {"name": "ptychi", "alpha": 0.1},
    "ptychi-rpie-momentum": {"name": "ptychi", "alpha": 0.3, "momentum": 0.3},
    "ptychi-lsqml": {"name": "ptychi", "algorithm": "lsqml", "batch": 5},
    "ptychi-lsqml-momentum": {"name": "ptychi", "algorithm": "lsqml", "batch": 5, "momentum": 0.5},
    "ptychi-dm": {"name": "ptychi", "algorithm": "dm"},
    "ptychi-raar": {"name": "ptychi", "algorithm": "raar"},
    "ptychi-autodiff": {"name": "ptychi", "algorithm": "autodiff", "batch": 5, "step_length": 0.05},
    "cdtools-adam": {"name": "cdtools", "batch": 5, "step_length": 0.05},
    "cdtools-lbfgs": {"name": "cdtools", "algorithm": "lbfgs", "step_length": 0.5},
    "cdtools-sgd": {"name": "cdtools", "algorithm": "sgd", "batch": 5, "momentum": 0.5},
}
OURS = {"name": "rpie", "alpha": 0.1}


@pytest.fixture(params=SOLVERS)
def settings(request):
    chosen = SOLVERS[request.param]
    _import_or_skip(chosen["name"])
    return chosen


@pytest.fixture(params=PACKAGES)
def package(request):
    _import_or_skip(request.param)
    return request.param


def _import_or_skip(package):
    with warnings.catch_warnings(action="ignore"):
        try:
            __import__(PACKAGES[package])
        except (ImportError, OSError, RuntimeError) as error:
            pytest.skip(f"{package} cannot be imported ({error}); pip install 'ptychosuite[peers]'")


@pytest.mark.parametrize("problem", ["single", "own masks", "blind"])
def test_residual_falls(settings, problem):
    """Three epochs lower the residual by our own forward model."""
    problem = PROBLEMS[problem]()
    start, *_, last = residuals(problem, settings, 3)
    assert start == pytest.approx(residuals(problem, OURS, 0)[0], rel=1e-6)
    assert last < 0.9 * start


@pytest.mark.parametrize("modes", [1, 3])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_first_misfit_is_ours(package, problem, modes):
    """Object, probe with its modes, positions, masks and data arrive: the peer's own model says the same."""
    problem = uneven(PROBLEMS[problem]())
    state = build("solvers", {"name": package, "probe_modes": modes}).init(problem)
    assert len(to_numpy(state.probe).reshape(-1, *problem.probe.shape)) == modes
    expected = residual(problem, state)
    if package == "ptychi" and modes > 1 and problem.subpixel_shifts_px is not None:
        assert theirs(problem, state) == pytest.approx(with_one_mode_shifted(problem, state.probe), rel=1e-5)
        assert theirs(problem, state) != pytest.approx(expected, rel=1e-5)
    else:
        assert theirs(problem, state) == pytest.approx(expected, rel=1e-5)


def with_one_mode_shifted(problem, probe):
    """The residual by pty-chi's model between pixels: only the first mode is moved there."""
    moved = illuminate(problem, problem.start_object, probe, slice(None)).exit_waves
    still = dataclasses.replace(problem, subpixel_shifts_px=None)
    waves = np.concatenate(
        [moved[:, :1], illuminate(still, problem.start_object, probe, slice(None)).exit_waves[:, 1:]], axis=1
    )
    difference = np.sqrt(intensity_of(fft2(waves))) - problem.diffraction_amplitude
    mask = problem.mask(slice(None))
    return np.sum(difference**2 * (1 if mask is None else mask)) / (2 * problem.probe_size**2)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_cdtools_minimises_the_same_misfit(problem):
    """The loss that cdtools computes at the start, L-BFGS's first value, is our residual."""
    _import_or_skip("cdtools")
    problem = uneven(PROBLEMS[problem]())
    solver = build("solvers", {"name": "cdtools", "algorithm": "lbfgs"})
    running = drive_cdtools.begin(solver.told(), solver.task(problem))
    running.epoch([list(range(problem.n_positions))])
    loss = running.model.loss_history[0] * running.model.loss_normalizer.num_pix / 2
    assert loss == pytest.approx(residuals(problem, OURS, 0)[0], rel=1e-4)


@pytest.mark.parametrize("problem", ["known", "single", "between pixels", "masked", "own masks"])
@pytest.mark.parametrize(
    ("peer", "ours"),
    [({"alpha": 0.1}, OURS), ({"algorithm": "epie"}, {"name": "epie"})],
    ids=["rpie", "epie"],
)
def test_ptychi_pie_is_ours(problem, peer, ours):
    """One pattern at a time, in the same scan order, pty-chi's residual is ours to four digits."""
    _import_or_skip("ptychi")
    problem = PROBLEMS[problem]()
    theirs = residuals(problem, {"name": "ptychi", **peer}, 6)
    np.testing.assert_allclose(theirs, residuals(problem, ours, 6), rtol=1e-4)


def test_ptychi_blind_rpie_is_ours():
    """With an unknown probe too, from a start where no pattern is met exactly."""
    _import_or_skip("ptychi")
    problem = dataclasses.replace(small_problem(noise=0.05, flat_start=False), probe_known=False)
    settings = {"alpha": 0.1, "beta": 0.5}
    theirs, ours = (residuals(problem, {"name": name, **settings}, 6) for name in ("ptychi", "rpie"))
    np.testing.assert_allclose(theirs, ours, rtol=1e-3)


@pytest.mark.parametrize("batches", [1, 4])
@pytest.mark.parametrize("problem", ["known", "between pixels", "masked", "own masks", "blind"])
def test_cdtools_adam_is_ours(problem, batches):
    """In batches of one size, in the same order, cdtools' residual is ours to three digits, or four."""
    _import_or_skip("cdtools")
    problem = PROBLEMS[problem]()
    assert problem.n_positions % batches == 0
    batch = problem.n_positions // batches
    peer = {"name": "cdtools", "step_length": 0.02, "batch": batch}
    ours = {"name": "adam", "likelihood": "amplitude", "learning_rate": 0.02, "batch": batch}
    theirs, own = (residuals(problem, each, 8) for each in (peer, {**ours, "hold_power": False}))
    np.testing.assert_allclose(theirs, own, rtol=1e-4 if batches == 1 else 1e-3)


def test_known_probe_stays(settings):
    """A known probe comes back as it was after twelve epochs, whatever a package does to its scale."""
    problem = small_problem(noise=0.05)
    solver, rng = build("solvers", settings), np.random.default_rng(0)
    state = solver.init(problem)
    for _ in range(12):
        state = solver.step(problem, state, rng)
    np.testing.assert_allclose(state.probe, problem.probe, rtol=0, atol=1e-6)
    assert np.abs(state.object - problem.start_object).max() > 0.1


def test_arrays_are_the_problems(package, each_backend):
    """Library, precision and place are those of the problem; the problem's arrays stay as they were."""
    for dtype in ("complex64", "complex128"):
        problem = small_problem(each_backend, dtype, noise=0.05)
        held = [
            to_numpy(a).copy() for a in (problem.start_object, problem.probe, problem.diffraction_amplitude)
        ]
        solver = build("solvers", {"name": package, "update_probe": True})
        state = solver.step(problem, solver.init(problem), np.random.default_rng(0))
        for found, like in ((state.object, problem.start_object), (state.probe, problem.probe)):
            assert type(found) is type(like)
            assert (found.dtype, found.shape, found.device) == (like.dtype, like.shape, like.device)
        for array, kept in zip(
            (problem.start_object, problem.probe, problem.diffraction_amplitude), held, strict=True
        ):
            np.testing.assert_array_equal(to_numpy(array), kept)


def test_scan_order_is_ours_to_draw(package):
    """The same generator gives the same epochs, bit for bit, another one others."""
    problem = small_problem(noise=0.05)
    settings = {"name": package, "batch": 5}
    solver = build("solvers", settings)

    def after_two(seed):
        rng, state = np.random.default_rng(seed), solver.init(problem)
        return solver.step(problem, solver.step(problem, state, rng), rng).object

    np.testing.assert_array_equal(after_two(1), after_two(1))
    assert np.any(after_two(1) != after_two(2))


def test_states_go_stale(package):
    """What was read stays readable; what was not, and a second step from the same state, are refused."""
    problem = small_problem(noise=0.05)
    solver = build("solvers", {"name": package, "update_probe": True})
    first = solver.init(problem)
    start = first.object
    second = solver.step(problem, first, np.random.default_rng(0))
    assert first.object is start
    np.testing.assert_allclose(start, problem.start_object)
    with pytest.raises(RuntimeError, match="iteration 0 is gone: the peer is at iteration 1"):
        _ = first.probe
    with pytest.raises(RuntimeError, match="keeps one state"):
        solver.step(problem, first, np.random.default_rng(0))
    assert (first.data_passes, second.data_passes) == (0, 1)


def test_lbfgs_counts_its_evaluations():
    """An epoch of cdtools' L-BFGS passes over the data many times, and says so."""
    _import_or_skip("cdtools")
    problem = small_problem(noise=0.05)
    solver = build("solvers", {"name": "cdtools", "algorithm": "lbfgs"})
    state = solver.step(problem, solver.init(problem), np.random.default_rng(0))
    assert state.data_passes > 10


def test_nothing_is_left_behind(package, capfd):
    """No output; torch's defaults, threads and random numbers, logging and warnings are as before."""
    import torch

    def globals_now():
        return (
            torch.get_default_dtype(), torch.get_default_device(), torch.get_num_threads(),
            torch.initial_seed(), logging.root.handlers[:], logging.root.level, logging.root.manager.disable,
            warnings.filters[:], torch.get_rng_state().tolist(),
        )  # fmt: skip

    problem = small_problem(noise=0.05)
    before = globals_now()
    solver = build("solvers", {"name": package})
    state = solver.step(problem, solver.init(problem), np.random.default_rng(0))
    assert np.isfinite(state.object).all()
    assert globals_now() == before
    assert capfd.readouterr() == ("", "")


def test_probe_can_wait():
    """pty-chi leaves the probe alone, but for its scale, for the first epochs where it is told so."""
    _import_or_skip("ptychi")
    problem, rng = PROBLEMS["blind"](), np.random.default_rng(0)
    solver = build("solvers", {"name": "ptychi", "probe_start": 1, "alpha": 0.3})
    first = solver.step(problem, solver.init(problem), rng)
    probes = problem.probe, first.probe, solver.step(problem, first, rng).probe
    start, kept, moved = (probe / np.linalg.norm(probe) for probe in probes)
    np.testing.assert_allclose(kept, start, rtol=0, atol=1e-7)
    assert np.abs(moved - start).max() > 1e-3


def test_runs_in_a_study(package):
    """A run of a study takes a peer by its name and comes back with all its figures."""
    from ptychosuite.core.runs import RunSpec, Status
    from ptychosuite.execute.one_run import execute

    stop = {"iterations": 3, "check_every": 1, "gradient": None, "residual": None, "seconds": None,
            "continue_past_tolerance": False}  # fmt: skip
    problem = {"object": {"kind": "texture", "size": 48},
               "probe": {"kind": "gaussian", "size": 16, "fwhm_px": 6},
               "scan": {"kind": "raster", "step_px": 8}, "noise": 0.05}  # fmt: skip
    record, _ = execute(RunSpec(problem=problem, solver={"name": package}, stop=stop))
    assert record.status is Status.COMPLETED, record.message
    assert record.metrics["residual"] < record.curves["residual"][0]
    assert backend("numpy").library.isfinite(record.object).all()
