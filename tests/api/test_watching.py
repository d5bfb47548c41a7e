"""A report is drawn anew while its sweep is under way."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import ptychosuite
import ptychosuite.api.watching as watching
import pytest
from ptychosuite.errors import StoreError, UserError

from tests.study.small import PROGRAM, carry_out, plan_text, study_file, wait_for

STUDY = "axes: {seed: {range: 6}}\nfigures: [{kind: convergence}]\n"
QUIET = {"progress": False, "every_s": 0.01}


@pytest.fixture
def in_parts(tmp_path, monkeypatch):
    """A study whose runs come in parts, one each time that the watch waits."""
    monkeypatch.chdir(tmp_path)
    path = study_file(tmp_path, STUDY)
    waits = []

    def waited(seconds):
        waits.append(seconds)
        number = 2 * (len(waits) - 1)  # nothing for a while, then two more each time
        if number:
            carry_out(plan_text(tmp_path, STUDY, f"seed={{range: {min(number, 6)}}}"), tmp_path / "results")
        study_file(tmp_path, STUDY)
        assert len(waits) < 9, "it goes on after the last run"

    monkeypatch.setattr(watching, "sleep", waited)
    return path, waits


def test_it_draws_what_there_is_until_all_is_there(in_parts):
    """Nothing yet: it waits. Each new result: the page of what there is. All there: it ends."""
    path, waits = in_parts
    drawn, pages = [], []
    for each in ptychosuite.watch(path, **QUIET):
        drawn.append(str(each))
        pages.append(each.page.read_text())
    assert drawn == [f"{n} of 6 runs: reports/tiny/index.html" for n in (2, 4, 6)]
    assert len(set(pages)) == 3
    assert ['http-equiv="refresh" content="1"' in page for page in pages] == [True, True, False]
    assert len(waits) == 4
    assert set(waits) == {0.01}


def test_nothing_new_is_not_drawn_again(in_parts, monkeypatch):
    """A look that finds what was there before draws nothing."""
    path, _ = in_parts
    carry_out(plan_text(path.parent, STUDY, "seed=0"), path.parent / "results")
    study_file(path.parent, STUDY)
    looks = []

    def waited(seconds):
        looks.append(seconds)
        if len(looks) == 50:
            carry_out(plan_text(path.parent, STUDY), path.parent / "results")

    monkeypatch.setattr(watching, "sleep", waited)
    assert [drawn.runs for drawn in ptychosuite.watch(path, **QUIET)] == [1, 6]
    assert len(looks) == 50


def test_a_results_folder_by_its_latest_session(in_parts):
    """No study file is needed; planned is what the session planned."""
    path, _ = in_parts
    carry_out(plan_text(path.parent, STUDY, "seed={range: 3}"), path.parent / "results")
    assert [str(drawn) for drawn in ptychosuite.watch("results/tiny", **QUIET)] == [
        "3 of 3 runs: reports/tiny/index.html"
    ]


def test_a_report_that_cannot_be_drawn_yet(in_parts, monkeypatch):
    """On the way it is said and costs nothing; of the last one it is an error."""
    path, _ = in_parts

    def refuse(*args, **kwargs):
        raise StoreError("no run has ended well")

    monkeypatch.setattr(watching, "report", refuse)
    drawn = []
    with pytest.raises(StoreError, match="no run has ended well"):
        drawn.extend(map(str, _collected(ptychosuite.watch(path, **QUIET), drawn)))
    assert drawn == [f"{n} of 6 runs: not drawn: no run has ended well" for n in (2, 4)]


def _collected(watched, drawn):
    for each in watched:
        drawn.append(str(each))
    return []


def test_what_is_not_watched(tmp_path, monkeypatch):
    """Mistakes are told at once, not waited for."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="a bundle, which does not change"):
        next(ptychosuite.watch("x.zip", **QUIET))
    with pytest.raises(UserError, match=r"tiny\.yaml:6:1"):
        next(ptychosuite.watch(study_file(tmp_path, "sover: rpie\n"), **QUIET))


def test_the_command_ends_with_the_sweep(in_parts, command):
    """Exit code 0, a line each time."""
    path, _ = in_parts
    code, out, _ = command("report", path, "--watch", "0.01")
    assert code == 0
    assert out.splitlines() == [f"{n} of 6 runs: reports/tiny/index.html" for n in (2, 4, 6)]
    code, _, err = command("report", path, "--watch", "soon")
    assert code == 2
    assert "expected a time" in err


def test_ctrl_c_ends_it_well(tmp_path):
    """Exit code 0, and the page stays."""
    path = study_file(tmp_path, STUDY)
    carry_out(plan_text(tmp_path, STUDY, "seed=0"), tmp_path / "results")
    study_file(tmp_path, STUDY)
    arguments = [*PROGRAM, "report", str(path), "--watch"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(arguments, cwd=tmp_path, text=True, **pipes)
    page = Path(tmp_path / "reports/tiny/index.html")
    wait_for(page.exists, process)
    assert process.stdout.readline() == "1 of 6 runs: reports/tiny/index.html\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert err.strip() == "stopped; the last page that was drawn stays"
    assert page.exists()
