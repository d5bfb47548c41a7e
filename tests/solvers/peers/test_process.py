"""What a peer does to its process is told, and ends there."""

import gc
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
from ptychosuite.backends.arrays import backend
from ptychosuite.core.runs import RunSpec, Status
from ptychosuite.errors import BackendError
from ptychosuite.execute.loop import reconstruct
from ptychosuite.execute.one_run import execute
from ptychosuite.registry.lookup import class_of
from ptychosuite.registry.other_python import python_of, version_there
from ptychosuite.solvers.peers import process as process_module
from ptychosuite.solvers.peers.process import PeerFailure

from tests.conftest import small_problem
from tests.execute.test_loop import STOP
from tests.solvers.peers.unruly_solver import Unruly

HERE = Path(__file__).parent
NUMPY = backend("numpy")


@pytest.fixture(autouse=True)
def _findable(monkeypatch):
    """The unruly peer can be imported by its process, which is a new one for every test."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    yield
    process_module._leave()


def stepped(solver, steps):
    problem, rng = small_problem(), np.random.default_rng(0)
    state = solver.init(problem)
    for _ in range(steps):
        state = solver.step(problem, state, rng)
    return state


@pytest.mark.parametrize(
    ("does", "told"),
    [
        ("crash", r"ended with signal 11 \(SIGSEGV\)"),
        ("leave", r"ended with exit code 3"),
        ("fail", r"FloatingPointError: no step length found"),
    ],
)
def test_trouble_is_told(does, told):
    """A crash, an exit and an error have names; the next reconstruction begins as if nothing had been."""
    with pytest.raises(PeerFailure, match=told):
        stepped(Unruly(does=does, after=2), 2)
    assert stepped(Unruly(), 2).data_passes == 2


def test_hang_ends(monkeypatch):
    """Who does not answer in time is killed."""
    monkeypatch.setattr(process_module, "LONGEST_ANSWER_S", 0.5)
    solver = Unruly(does="hang", after=1)
    state = solver.init(small_problem())
    child = psutil.Process(int(state.session.modelled()[0]))
    with pytest.raises(PeerFailure, match=r"not answered within 0.5 seconds"):
        solver.step(small_problem(), state, np.random.default_rng(0))
    assert not child.is_running()
    with pytest.raises(PeerFailure, match="has ended before"):
        solver.step(small_problem(), state, np.random.default_rng(0))


def test_leak_is_an_error():
    """Memory has an end, before that of the machine."""
    with pytest.raises(PeerFailure, match="MemoryError"):
        stepped(Unruly(does="leak", after=1), 1)


def test_nothing_comes_back():
    """Folder, environment and output of a worker are its own, and nothing of it stays in the next copy."""
    folder, threads = os.getcwd(), os.environ.get("OMP_NUM_THREADS")
    state = stepped(Unruly(does="meddle", after=1), 1)
    assert (os.getcwd(), os.environ.get("OMP_NUM_THREADS")) == (folder, threads)
    child = psutil.Process(int(state.session.modelled()[0]))
    assert child.cwd() == "/"
    other = stepped(Unruly(), 1)
    assert psutil.Process(int(other.session.modelled()[0])).cwd() == folder


def test_process_goes_with_its_session():
    """Nobody has to close anything."""
    state = stepped(Unruly(), 1)
    child = psutil.Process(int(state.session.modelled()[0]))
    assert child.is_running()
    del state
    gc.collect()
    assert not child.is_running()


@pytest.mark.parametrize("state", ["state", "solver.copied(state)"])
def test_hanging_peer_dies_with_its_worker(state):
    """A worker that is killed, as one is whose run takes too long, leaves no process behind."""
    program = (
        "import numpy as np; from tests.solvers.peers.test_process import *\n"
        "solver = Unruly(does='hang', after=1); state = solver.init(small_problem())\n"
        f"state = {state}; print(int(state.session.modelled()[0]), flush=True)\n"
        "solver.step(small_problem(), state, np.random.default_rng(0))\n"
    )
    path = os.pathsep.join([str(HERE), *filter(None, sys.path)])
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}
    ) as worker:
        child = psutil.Process(int(worker.stdout.readline()))
        worker.send_signal(signal.SIGKILL)
    for _ in range(100):
        if not child.is_running() or child.status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    pytest.fail("the peer's process goes on")


@pytest.mark.parametrize(("does", "told"), [("crash", r"signal 11 \(SIGSEGV\)"), ("leave", "exit code 3")])
def test_copies_are_looked_after(does, told):
    """How a copy ends is told as of the first process, which goes on; so it is of a copy's copy."""
    solver, problem, rng = Unruly(does=does, after=3), small_problem(), np.random.default_rng(0)
    state = stepped(solver, 2)
    numbers = [int(state.session.modelled()[0])]
    for copied in (solver.copied(state), solver.copied(solver.copied(state))):
        numbers.append(int(copied.session.modelled()[0]))
        with pytest.raises(PeerFailure, match=told):
            solver.step(problem, copied, rng)
    assert len(set(numbers)) == 3
    assert psutil.pid_exists(numbers[0])
    assert not any(map(psutil.pid_exists, numbers[1:]))


def test_numerics_after_a_jump_reject_it():
    """A peer that stumbles over where it was carried goes on without; any other error fails the run."""
    problem = small_problem()
    operator = class_of("operators", "tests.fastforward.operators:Noise")(warm_up=2, jumps=1, look_ahead=2)
    stop = {**STOP, "iterations": 5}
    for does in ("stumble", "break_"):
        carried = operator.carrying(Unruly(does=does, after=1), problem, NUMPY)
        run = partial(reconstruct, problem, carried, stop, np.random.default_rng(0), NUMPY)
        if does == "break_":
            with pytest.raises(PeerFailure, match="what was never there"):
                run()
        else:
            (jump,) = run().state.jumps
            assert jump.step == 0
            assert "FloatingPointError: no step length found" in jump.reason


@pytest.mark.parametrize(
    ("does", "status", "told"),
    [
        ("nothing", Status.COMPLETED, ""),
        ("crash", Status.FAILED, "signal 11"),
        ("fail", Status.FAILED, "no step length found"),
        ("invent", Status.DIVERGED, ""),
    ],
)
def test_runs_are_recorded(does, status, told):
    """Whatever a peer does, there is a record of it; one that computed nonsense has diverged."""
    stop = {"iterations": 6, "check_every": 1, "gradient": None, "residual": None, "seconds": None,
            "continue_past_tolerance": False}  # fmt: skip
    problem = {"object": {"kind": "texture", "size": 48},
               "probe": {"kind": "gaussian", "size": 16, "fwhm_px": 6},
               "scan": {"kind": "raster", "step_px": 8}}  # fmt: skip
    solver = {"name": "tests.solvers.peers.unruly_solver:Unruly", "does": does, "after": 4}
    record, _ = execute(RunSpec(problem=problem, solver=solver, stop=stop))
    assert record.status is status, record.message
    assert told in record.message
    if status is Status.COMPLETED:
        peer = record.provenance["peer"]
        assert (peer["package"], peer["version"]) == ("numpy", np.__version__)
        assert peer["settings"]["after"] == 4


def test_clock_is_the_peers():
    """Messages are not on it."""
    solver, state = Unruly(), stepped(Unruly(), 1)
    assert solver.step_seconds(state, 5.0) == state.seconds < 0.1


def test_missing_peer(monkeypatch):
    """The message names package and Python, and what to do."""
    monkeypatch.setenv("UNRULY_IS_MISSING", "1")
    with pytest.raises(
        BackendError, match=r"package numpy, which .* \(ImportError: No module named 'unruly'\)"
    ):
        stepped(Unruly(), 0)
    monkeypatch.setenv("PTYCHOSUITE_PEER_PYTHON_NUMPY", "/no/such/python")
    with pytest.raises(BackendError, match=r"/no/such/python does not run.*PTYCHOSUITE_PEER_PYTHON"):
        stepped(Unruly(), 0)


def test_other_environment(tmp_path, monkeypatch):
    """A Python that has NumPy and the peer is enough; its versions are told, and part of the identity."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "other"], check=True)
    (site,) = (tmp_path / "other").glob("lib/python*/site-packages")
    for found in Path(np.__file__).parents[1].glob("numpy*"):
        (site / found.name).symlink_to(found)
    python = tmp_path / "other" / "bin" / "python"
    monkeypatch.setenv("PTYCHOSUITE_PEER_PYTHON", str(python))
    state = stepped(Unruly(), 2)
    assert state.session.process.about["executable"] == str(python)
    np.testing.assert_array_equal(state.object, small_problem().start_object)
    assert version_there(str(python), "numpy") == np.__version__
    assert version_there(str(python), "pydantic") == ""


def test_variables_name_a_python(monkeypatch):
    """A peer's own goes before that of all."""
    monkeypatch.delenv("PTYCHOSUITE_PEER_PYTHON", raising=False)
    assert python_of("cdtools-py") == sys.executable
    monkeypatch.setenv("PTYCHOSUITE_PEER_PYTHON", "/all/python")
    monkeypatch.setenv("PTYCHOSUITE_PEER_PYTHON_CDTOOLS_PY", "/own/python")
    assert (python_of("cdtools-py"), python_of("ptychi")) == ("/own/python", "/all/python")
