"""What peers find beside the object: modes, positions, how the probe varies; and what they cannot find."""

import dataclasses

import numpy as np
import pytest
from ptychosuite.core.problem import Found, ProbeVariation
from ptychosuite.errors import StudyError
from ptychosuite.metrics.positions import position_errors_px, rms_px
from ptychosuite.registry.lookup import build
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import study_of

from tests.conftest import small_problem
from tests.solvers.experiment import POWERS, suffering_problem
from tests.solvers.peers.problems import residual, theirs
from tests.solvers.peers.test_adapters import _import_or_skip

IN_BATCHES = {"name": "ptychi", "batch": 7}
FINDERS = {
    "ptychi-rpie": {**IN_BATCHES, "alpha": 0.1},
    "ptychi-epie-correlation": {**IN_BATCHES, "algorithm": "epie", "positions": "cross-correlation"},
    "ptychi-pie": {"name": "ptychi", "algorithm": "pie", "alpha": 0.3},
    "ptychi-lsqml": {**IN_BATCHES, "algorithm": "lsqml"},
    "ptychi-dm": {"name": "ptychi", "algorithm": "dm"},
    "ptychi-raar": {"name": "ptychi", "algorithm": "raar"},
    "ptychi-autodiff": {**IN_BATCHES, "algorithm": "autodiff", "step_length": 0.05},
    "cdtools-adam": {"name": "cdtools", "batch": 7, "step_length": 0.05},
    "cdtools-lbfgs": {"name": "cdtools", "algorithm": "lbfgs", "step_length": 0.5, "positions_step": 0.5},
}


@pytest.fixture(params=FINDERS)
def finder(request):
    settings = FINDERS[request.param]
    _import_or_skip(settings["name"])
    return settings


def run(problem, settings, iterations):
    solver, rng = build("solvers", settings), np.random.default_rng(0)
    state = solver.init(problem)
    for _ in range(iterations):
        state = solver.step(problem, state, rng)
    return state


def test_modes_are_taken(finder):
    """What three modes are after some epochs gives the intensities that the peer has."""
    problem = suffering_problem(POWERS, known=False)
    settings = without_positions(finder)
    start, later = (run(problem, {**settings, "probe_modes": 3}, epochs) for epochs in (0, 3))
    assert later.probe.shape == (3, *problem.probe.shape)
    assert theirs(problem, later) == pytest.approx(residual(problem, later), rel=1e-4)
    if settings.get("algorithm") != "raar":  # which diverges from a flat object
        assert residual(problem, later) < residual(problem, start)


@pytest.mark.parametrize("name", ["ptychi-epie-correlation", "ptychi-dm", "cdtools-lbfgs"])
def test_modes_explain_more(name):
    """Three explain partially coherent light that one cannot."""
    _import_or_skip(FINDERS[name]["name"])
    problem, settings = suffering_problem(POWERS, known=False), without_positions(FINDERS[name])
    one, three = (run(problem, {**settings, "probe_modes": modes}, 12) for modes in (1, 3))
    assert residual(problem, three) < 0.9 * residual(problem, one)


def without_positions(settings):
    return {key: value for key, value in settings.items() if not key.startswith("positions")}


def test_known_modes_stay(finder):
    """Modes that are known and not updated come back as they were, in their order."""
    problem = suffering_problem(POWERS)
    state = run(problem, {**without_positions(finder), "probe_modes": 3}, 2)
    np.testing.assert_allclose(state.probe, problem.probe_modes, rtol=0, atol=1e-5)


def test_positions_come_back(finder):
    """They start as given, move when they may, and ours is the misfit where the peer says they are."""
    problem = suffering_problem(error_px=0.6)
    settings = {"positions": "gradient", "positions_start": 2, **finder}
    if settings.get("algorithm") in ("lbfgs", "autodiff"):
        settings["positions_start"] = 0
    start, two, later = (run(problem, settings, iterations) for iterations in (0, 2, 12))
    np.testing.assert_allclose(start.found.positions_px, problem.positions_px, atol=1e-5)
    if settings["positions_start"]:
        np.testing.assert_allclose(two.found.positions_px, problem.positions_px, atol=1e-5)
    assert np.abs(later.found.positions_px - problem.positions_px).max() > 1e-3
    if settings.get("algorithm") == "raar":
        return  # it diverges, and so do they
    given, found = (
        rms_px(position_errors_px(positions, problem.reference.scan_positions_px))
        for positions in (problem.positions_px, later.found.positions_px)
    )
    assert found < given


@pytest.mark.parametrize("algorithm", ["rpie", "lsqml"])
def test_ptychi_misfit_is_ours_with_all_it_finds(algorithm):
    """Positions and the variation of the probe in our terms give the intensities that pty-chi has."""
    _import_or_skip("ptychi")
    problem = suffering_problem(error_px=0.4, known=False)
    settings = {**IN_BATCHES, "algorithm": algorithm, "positions": "gradient", "probe_variations": 2,
                "variation_start": 1, "intensity": True}  # fmt: skip
    state = run(problem, settings, 4)
    variation = state.found.variation
    assert variation.modes.shape == (2, *problem.probe.shape)
    assert np.abs(variation.weights).max() > 1e-3
    assert variation.intensity.std() > 1e-4
    assert theirs(problem, state) == pytest.approx(residual(problem, state), rel=1e-6)


def test_cdtools_finds_intensities():
    """A beam that flickers is found to flicker, and our misfit is the one that cdtools has."""
    _import_or_skip("cdtools")
    problem = suffering_problem()
    flicker = 1 + 0.3 * np.sin(np.arange(problem.n_positions))
    amplitude = problem.diffraction_amplitude * np.sqrt(flicker)[:, None, None]
    problem = dataclasses.replace(problem, diffraction_amplitude=amplitude)
    state = run(problem, {"name": "cdtools", "intensity": True, "batch": 7, "step_length": 0.05}, 30)
    intensity = Found.by(state).variation.intensity
    assert np.corrcoef(intensity, flicker)[0, 1] > 0.6
    assert theirs(problem, state) == pytest.approx(residual(problem, state), rel=1e-3)  # single precision


@pytest.mark.parametrize(
    ("solver", "told"),
    [
        ({"name": "ptychi", "algorithm": "raar", "step_length": 0.5}, "RAAR's beta has to be above 0.5"),
        ({"name": "ptychi", "algorithm": "dm", "positions": "cross-correlation"}, "'gradient' alone"),
        ({**IN_BATCHES, "algorithm": "pie"}, "'pie' goes wrong with a probe that moves in batches"),
        ({"name": "ptychi", "intensity": True}, "beside 'probe_variations'"),
        (
            {**IN_BATCHES, "intensity": True, "probe_variations": 1, "probe_modes": 2},
            "the first of 'probe_modes' alone",
        ),
        (
            {"name": "ptychi", "algorithm": "autodiff", "positions": "gradient", "positions_start": 2},
            "'autodiff' corrects them from",
        ),
        ({"name": "ptychi", "algorithm": "dm", "probe_variations": 1}, "'dm' the probe cannot vary"),
        ({"name": "ptychi", "probe_variations": 1}, "batches of two patterns or more"),
        ({"name": "cdtools", "positions": "cross-correlation"}, "gradient"),
        ({"name": "cdtools", "probe_variations": 1}, "probe_variations"),
        (
            {"name": "cdtools", "algorithm": "lbfgs", "positions": "gradient", "positions_start": 2},
            "'lbfgs' corrects them from the first epoch on",
        ),
    ],
)
def test_what_a_peer_cannot_is_refused_in_the_plan(solver, told):
    """In one sentence, with the setting; the package need not be there for it."""
    with pytest.raises(StudyError, match=told):
        make_plan(study_of({"study": "peers", "solver": solver}))


def test_varying_probe_is_no_start():
    """A peer cannot begin where another solver has found that the probe varies, and says so."""
    problem = small_problem()
    variation = ProbeVariation(np.ones(problem.n_positions))
    with pytest.raises(ValueError, match="a probe that varies"):
        build("solvers", {"name": "ptychi"}).init(dataclasses.replace(problem, variation=variation))
