"""Head and another version side by side: what is slower is found, what is not is left alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from ptychosuite.analysis.verdict import Finding, Judgement
from ptychosuite.errors import RevisionError
from ptychosuite.timing.compare import compare_times

from tests.study.small import plan_text
from tests.timing import stand_in
from tests.timing.conftest import wait_for


def side_by_side(folder: Path, repository: Path, against: str = "start") -> tuple[list[Finding], dict]:
    plan = plan_text(folder, "solver: rpie\n")
    timing = compare_times(plan, against, lambda *_: None, repository)
    return timing.findings, timing.against


def change(repository: Path, name: str, text: str) -> None:
    (repository / name).write_text(text)


def test_a_slower_step_is_found(tmp_path, repository):
    change(repository, "suite/ptychosuite/work.py", stand_in.step(2 * stand_in.EVERY_STEP_S))
    (finding,), against = side_by_side(tmp_path, repository)
    assert finding.judgement is Judgement.REGRESSION
    assert finding.ratio is not None
    assert finding.ratio == pytest.approx(2, rel=0.02)
    assert finding.interval is not None
    assert finding.interval[0] < finding.ratio < finding.interval[1]
    assert against["commit"] == stand_in.git(repository, "rev-parse", "start")
    (timed,) = against["timed"].values()
    assert timed["pairs"] >= 30


def test_a_faster_step_is_an_improvement_and_the_same_code_neither(tmp_path, repository):
    stand_in.commit(repository)
    (finding,), _ = side_by_side(tmp_path, repository, "HEAD")
    assert finding.judgement is Judgement.GOOD
    change(repository, "suite/ptychosuite/work.py", stand_in.step(stand_in.EVERY_STEP_S / 2))
    (finding,), _ = side_by_side(tmp_path, repository)
    assert finding.judgement is Judgement.IMPROVEMENT


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        (
            "suite/ptychosuite/problems/build.py",
            "",
            "AttributeError: module 'ptychosuite.problems.build' has no",
        ),
        (
            "suite/ptychosuite/work.py",
            "def step(state): raise ValueError('no such thing')\n",
            "ValueError: no such thing",
        ),
        ("suite/ptychosuite/work.py", "import os\nprint('last words')\nos._exit(7)\n", "ended with code 7"),
    ],
)
def test_what_one_side_cannot_do_cannot_be_judged(tmp_path, repository, file, text, reason):
    change(repository, file, text)
    (finding,), _ = side_by_side(tmp_path, repository)
    assert finding.judgement is Judgement.UNDECIDED
    assert reason in finding.message
    assert "the head" in finding.message


def test_what_a_solver_prints_does_no_harm(tmp_path, repository):
    noisy = f"{stand_in.TAKE}def step(state):\n    print('{{')\n    take(1e-3)\n    return state + 1\n"
    change(repository, "suite/ptychosuite/work.py", noisy)
    (finding,), _ = side_by_side(tmp_path, repository)
    assert finding.baseline is not None


def test_a_package_from_elsewhere_is_noticed(tmp_path, repository):
    elsewhere = "import ptychosuite\nptychosuite.__file__ = '/elsewhere/ptychosuite/__init__.py'\n"
    change(repository, "suite/ptychosuite/work.py", elsewhere + stand_in.step())
    (finding,), _ = side_by_side(tmp_path, repository)
    assert finding.judgement is Judgement.UNDECIDED
    assert "found that of /elsewhere/ptychosuite" in finding.message


def test_no_such_revision(tmp_path, repository):
    with pytest.raises(RevisionError, match="found no revision 'yesterday'"):
        side_by_side(tmp_path, repository, "yesterday")


def test_an_interpreter_without_the_package_cannot_be_judged(tmp_path, repository):
    (finding,), _ = side_by_side(tmp_path, repository, "/bin/true")
    assert finding.judgement is Judgement.UNDECIDED
    assert "/bin/true" in finding.message


def test_no_process_outlives_a_killed_comparison(tmp_path, repository):
    """Killed in the midst of it: a sample takes seconds, and there are many."""
    slow = (
        f"import time\n{stand_in.TAKE}def step(state):\n    time.sleep(0.05)\n    take(1e-3)\n    return 0\n"
    )
    change(repository, "suite/ptychosuite/work.py", slow)
    stand_in.commit(repository)
    program = (
        "import sys; from pathlib import Path; from tests.timing.test_compare import side_by_side; "
        "side_by_side(Path(sys.argv[1]), Path(sys.argv[2]), 'HEAD')"
    )
    command = [sys.executable, "-c", program, str(tmp_path), str(repository)]
    conductor = psutil.Process(subprocess.Popen(command, cwd=Path(__file__).parents[2]).pid)
    sides = wait_for(lambda: [p for p in conductor.children() if "side.py" in " ".join(p.cmdline())])
    conductor.kill()
    assert psutil.wait_procs(sides, timeout=60)[1] == []
