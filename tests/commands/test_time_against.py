"""``ptychosuite check --time-against``: options, exit codes, interruption."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from ptychosuite.analysis.verdict import Finding, Judgement
from ptychosuite.cli import ptychosuite
from ptychosuite.errors import UserError
from ptychosuite.timing.compare import Timing

from tests.study.small import study_file


def check(folder: Path, *options: str):
    study = study_file(folder, "solver: rpie\n")
    arguments = ["check", str(study), "--results", str(folder / "results"), *options]
    return CliRunner().invoke(ptychosuite, arguments)


@pytest.mark.parametrize(
    ("judgement", "code"), [("regression", 1), ("could not judge", 3), ("improvement", 0), ("good", 0)]
)
def test_exit_code_is_that_of_the_worst_case(tmp_path, monkeypatch, judgement, code):
    found = Finding("rpie", "time an iteration", Judgement(judgement), 1.0, 1.3, 0.05, (1.2, 1.4), "why")
    timing = Timing([found], {"commit": "abc"})
    monkeypatch.setattr("ptychosuite.api.checking.compare_times", lambda plan, against, tell: timing)
    result = check(tmp_path, "--time-against", "HEAD", "--json")
    assert result.exit_code == code
    verdict = json.loads(result.stdout)
    assert verdict["against"] == {"revision": "HEAD", "time": {"commit": "abc"}}
    assert verdict["findings"][0]["interval"] == [1.2, 1.4]


def test_progress_off_a_terminal_is_a_plain_line(tmp_path, monkeypatch):
    def compare(plan, against, tell):
        tell(0, 2, "magpie")
        tell(1, 2, "rpie")
        return Timing([], {})

    monkeypatch.setattr("ptychosuite.api.checking.compare_times", compare)
    assert "1/2 cases timed, next: rpie" in check(tmp_path, "--time-against", "HEAD").output


def test_stopping_it_is_no_verdict(tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("ptychosuite.api.checking.compare_times", stopped)
    result = check(tmp_path, "--time-against", "HEAD")
    assert result.exit_code == 130
    assert "nothing has been judged" in result.output


def test_one_of_two_has_to_be_named(tmp_path):
    result = check(tmp_path)
    assert isinstance(result.exception, UserError)
    assert "--time-against HEAD~1" in str(result.exception)
