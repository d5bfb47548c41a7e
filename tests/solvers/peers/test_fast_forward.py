"""A fast-forward carries other packages ahead: what is rejected leaves no trace, what is accepted arrives."""

import gc

import numpy as np
import psutil
import pytest
from ptychosuite.backends.arrays import backend
from ptychosuite.core.jumps import figures_of
from ptychosuite.errors import StudyError
from ptychosuite.execute.loop import reconstruct
from ptychosuite.fastforward.operator import Identity
from ptychosuite.fastforward.truth import Truth
from ptychosuite.registry.lookup import build, class_of
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import study_of

from tests.execute.test_loop import STOP
from tests.solvers.experiment import suffering_problem
from tests.solvers.peers.problems import PROBLEMS, residual, theirs, uneven
from tests.solvers.peers.test_adapters import SOLVERS
from tests.solvers.peers.test_adapters import _import_or_skip as import_torchs

NUMPY = backend("numpy")
PLAN = {"warm_up": 3, "jumps": 2, "spacing": 4, "look_ahead": 2}
Noise = class_of("operators", "tests.fastforward.operators:Noise")
CARRIED = {
    **{name: each for name, each in SOLVERS.items() if each.get("algorithm") not in ("dm", "raar")},
    "cdtools-sgd": SOLVERS["cdtools-sgd"] | {"step_length": 0.03},
    "ptylab-epie": {"name": "ptylab"},
    "ptylab-mpie": {"name": "ptylab", "algorithm": "mpie"},
    "ptylab-mqnewton": {"name": "ptylab", "algorithm": "mqnewton"},
}
MEMORY = ("ptychi-rpie-momentum", "ptychi-lsqml-momentum", "ptychi-autodiff", "cdtools-adam", "cdtools-sgd",
          "cdtools-lbfgs", "ptylab-mpie", "ptylab-mqnewton")  # fmt: skip


@pytest.fixture(params=CARRIED)
def solver(request):
    return _built(request.param)


@pytest.fixture(params=MEMORY)
def remembering(request):
    return _built(request.param)


def _built(name):
    settings = CARRIED[name]
    if settings["name"] == "ptylab":
        pytest.importorskip("PtyLab", reason="PtyLab is not installed; pip install ptylab")
    else:
        import_torchs(settings["name"])
    return build("solvers", settings)


def run(solver, operator, problem, iterations=9):
    solver = solver if operator is None else operator.carrying(solver, problem, NUMPY)
    stop = {**STOP, "iterations": iterations}
    return reconstruct(problem, solver, stop, np.random.default_rng(0), NUMPY)


def stepped(solver, problem, state, steps, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        state = solver.step(problem, state, rng)
    return state


def same(found, plain):
    """To the last bit, at the end and at every iteration."""
    np.testing.assert_array_equal(found.state.object, plain.state.object)
    np.testing.assert_array_equal(found.state.probe, plain.state.probe)
    np.testing.assert_array_equal(found.curves["residual"], plain.curves["residual"])


def test_identity_is_the_plain_run(solver):
    """A jump that leads nowhere leaves object, probe and all that the package remembers."""
    problem = PROBLEMS["blind"]()
    plain = run(solver, None, problem)
    found = run(solver, Identity(**PLAN), problem)
    assert len(found.state.jumps) == 2
    same(found, plain)


def test_rejected_jumps_leave_no_trace(solver):
    """The peer goes back to where it was, with its moments, momentum or pairs."""
    problem = PROBLEMS["blind"]()
    plain, found = (run(solver, operator, problem) for operator in (None, Noise(**PLAN)))
    assert figures_of(found.state.jumps)["ff_rejected"] == 2
    same(found, plain)


def test_accepted_jumps_arrive(solver):
    """Half of the way to the truth lowers the error at once, and it stays lower."""
    problem = PROBLEMS["blind"]()
    plan = PLAN | {"jumps": 1, "look_ahead": 3}
    plain, found = (run(solver, each, problem, 7) for each in (None, Truth(**plan, share=0.5)))
    (jump,) = found.state.jumps
    assert jump.step == 1
    assert found.curves["error"][4] < plain.curves["error"][4]
    assert found.metrics["error"] < plain.metrics["error"]
    np.testing.assert_array_equal(found.curves["residual"][:4], plain.curves["residual"][:4])


@pytest.mark.parametrize("problem", ["single", "fractions", "blind"])
@pytest.mark.parametrize("name", ["ptychi-rpie", "ptychi-autodiff", "cdtools-adam", "ptylab-epie"])
def test_misfit_after_a_jump_is_ours(name, problem):
    """The peer's own model says of what it was told what ours says, and hands it back as it was told."""
    solver = _built(name)
    if solver.label == "PtyLab" and problem == "fractions":
        pytest.skip("PtyLab has whole pixels")
    problem, rng = uneven(PROBLEMS[problem]()), np.random.default_rng(5)
    before = stepped(solver, problem, solver.init(problem), 2)
    obj, probe = (
        image * (1 + 0.2 * rng.standard_normal(image.shape)).astype(image.real.dtype)
        for image in (before.object, before.probe)
    )
    first, passes = solver.carried(problem, before, obj, probe)
    assert passes == 0
    np.testing.assert_allclose(first.object, obj, rtol=0, atol=1e-6 * np.abs(obj).max())
    there = before.probe if problem.probe_known else probe
    np.testing.assert_allclose(first.probe, there, rtol=0, atol=1e-6 * np.abs(there).max())
    assert theirs(problem, first) == pytest.approx(residual(problem, first), rel=1e-5)
    assert (first.iteration, first.data_passes) == (2, before.data_passes)


def test_jumps_from_a_state_are_independent(remembering):
    """A copy that goes on, one that is carried off and the peer itself do not know of each other."""
    problem = PROBLEMS["blind"]()
    state = stepped(remembering, problem, remembering.init(problem), 2)
    copied = remembering.copied(state)
    carried, _ = remembering.carried(problem, state, 1.1 * state.object, 0.9 * state.probe)
    one = stepped(remembering, problem, copied, 2, seed=7)
    other = stepped(remembering, problem, carried, 2, seed=7)
    there = stepped(remembering, problem, state, 2, seed=7)
    np.testing.assert_array_equal(one.object, there.object)
    np.testing.assert_array_equal(one.probe, there.probe)
    assert np.any(other.object != there.object)


def test_a_jump_forgets_directions(remembering):
    """After the least of jumps the next epoch is another one than with what had led to where it began."""
    problem = PROBLEMS["blind"]()
    state = stepped(remembering, problem, remembering.init(problem), 6)
    obj, probe = (image * (1 + 1e-6) for image in (state.object, state.probe))
    carried, _ = remembering.carried(problem, state, obj, probe)
    kept, forgot = (stepped(remembering, problem, each, 1, seed=7) for each in (state, carried))
    moved = max(
        np.linalg.norm(one - other) / np.linalg.norm(one)
        for one, other in ((kept.object, forgot.object), (kept.probe, forgot.probe))
    )
    assert moved > 1e-4


@pytest.mark.parametrize("name", ["ptychi-rpie", "ptychi-autodiff", "cdtools-adam"])
def test_positions_go_on(name):
    """What a peer has found of the positions stays where object and probe jump."""
    _built(name)
    problem = suffering_problem(error_px=0.6)
    solver = build("solvers", CARRIED[name] | {"positions": "gradient", "batch": 7})
    state = stepped(solver, problem, solver.init(problem), 3)
    carried, _ = solver.carried(problem, state, 1.01 * state.object, state.probe)
    assert np.abs(state.found.positions_px - problem.positions_px).max() > 1e-3
    np.testing.assert_array_equal(carried.found.positions_px, state.found.positions_px)
    assert theirs(problem, carried) == pytest.approx(residual(problem, carried), rel=1e-4)


def test_stages_carry_a_peer_ahead():
    """The stage of a peer is carried as the peer is, and a rejected jump leaves it where it was."""
    import_torchs("cdtools")
    problem = PROBLEMS["blind"]()
    stages = [{"name": "epie", "iterations": 2}, {"name": "cdtools", "batch": 5, "iterations": None}]
    staged = build("solvers", {"name": "staged", "stages": stages})
    plain = run(staged, None, problem)
    same(run(staged, Noise(**PLAN), problem), plain)
    same(run(staged, Identity(**PLAN), problem), plain)


def test_processes_go_with_the_jump():
    """One process is left after jumps that were tried and given up, and none after the run."""
    import_torchs("cdtools")
    problem, solver = PROBLEMS["blind"](), build("solvers", CARRIED["cdtools-adam"])
    solver.init(problem)  # there is a nursery from here on
    gc.collect()
    before = set(psutil.Process().children(recursive=True))
    found = run(solver, Noise(**PLAN), problem)
    gc.collect()
    (left,) = set(psutil.Process().children(recursive=True)) - before
    assert left.pid == found.state.inner.session.process._child
    assert left.parent() in before
    del found
    gc.collect()
    assert not left.is_running()


def test_messages_are_not_on_the_clock(monkeypatch):
    """Inference and epochs of the look-ahead are; copies of the process and what is sent are not."""
    import time

    from ptychosuite.solvers.peers.process import PeerProcess
    from ptychosuite.solvers.waiting import WAITING

    import_torchs("cdtools")

    def slowly(process):
        time.sleep(0.3)
        WAITING.seconds += 0.3
        return copied(process)

    copied = PeerProcess.copied
    monkeypatch.setattr(PeerProcess, "copied", slowly)
    advance = Identity.advance
    monkeypatch.setattr(Identity, "advance", lambda *a: time.sleep(0.2) or advance(*a))
    operator = Identity(**PLAN | {"jumps": 1, "look_ahead": 1})
    found = run(build("solvers", CARRIED["cdtools-adam"]), operator, PROBLEMS["blind"](), 6)
    seconds, figures = np.diff(found.curves["seconds"]), figures_of(found.state.jumps)
    tried = figures["ff_seconds_inference"] + figures["ff_seconds_look_ahead"]
    assert figures["ff_seconds_inference"] >= 0.2
    assert figures["ff_seconds_look_ahead"] > 0
    assert tried <= seconds[3] < tried + 0.1
    assert seconds[3] < 0.2 + 0.4  # two copies were made, each took 0.3 seconds


def test_provenance_names_the_peer():
    """Also of a run that was carried ahead."""
    import_torchs("ptychi")
    problem = PROBLEMS["blind"]()
    solver = build("solvers", {"name": "ptychi", "batch": 5})
    carrying = Identity(**PLAN).carrying(solver, problem, NUMPY)
    assert carrying.provenance(carrying.init(problem))["peer"]["package"] == "ptychi"


@pytest.mark.parametrize("algorithm", ["dm", "raar"])
def test_exit_waves_are_not_carried(algorithm):
    """What has its state in exit waves says so when the study is planned; the package need not be there."""
    study = {
        "study": "peers",
        "solver": {"name": "ptychi", "algorithm": algorithm},
        "fast_forward": "identity",
    }
    with pytest.raises(StudyError, match=r"cannot be carried ahead: .* the exit wave of every pattern"):
        make_plan(study_of(study))


def test_peers_are_carried_in_a_plan():
    """All others are taken."""
    solvers = [{"name": "ptychi"}, {"name": "cdtools"}, {"name": "ptylab"}]
    plan = make_plan(study_of({"study": "peers", "axes": {"solver": solvers}, "fast_forward": "identity"}))
    assert len(plan.runs) == 3
