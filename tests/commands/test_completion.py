"""What shells complete: commands, options, and the studies that come with ptychosuite beside files."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from click.shell_completion import BashComplete
from ptychosuite.cli import ptychosuite

from tests.conftest import REPOSITORY


def completed(*words: str) -> list[tuple[str, str]]:
    """(kind, value) of what bash is offered for the last of ``words``."""
    shell = BashComplete(ptychosuite, {}, "ptychosuite", "_PTYCHOSUITE_COMPLETE")
    return [(item.type, item.value) for item in shell.get_completions([*words[:-1]], words[-1])]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["repo"], ("plain", "report")),
        (["run", "qui"], ("plain", "quickstart")),
        (["report", "paper/lev"], ("plain", "paper/levels")),
        (["plan", "quickstart", "--override", "paper/authors-c"], ("plain", "paper/authors-circuit")),
        (["run", "quickstart", "--retry-f"], ("plain", "--retry-failed")),
        (["run", "mine"], ("file", "mine")),
    ],
)
def test_words_are_completed(words, offered):
    assert offered in completed(*words)


def test_no_other_study_is_offered():
    assert {value for kind, value in completed("run", "paper/fast") if kind == "plain"} == {
        "paper/fast-forward", "paper/fast-forward-known", "paper/fast-forward-multigrid",
        "paper/fast-forward-other-instruments", "paper/fast-forward-sizes",
    }  # fmt: skip


def test_program_answers_the_shell():
    """As docs/install.md has it set up."""
    asked = {
        "_PTYCHOSUITE_COMPLETE": "bash_complete",
        "COMP_WORDS": "ptychosuite show quick",
        "COMP_CWORD": "2",
    }
    code = "import sys; sys.argv[0] = 'ptychosuite'; from ptychosuite.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
        env={**os.environ, **asked, "PYTHONPATH": str(REPOSITORY / "suite")},
    )  # fmt: skip
    assert "plain,quickstart" in done.stdout.splitlines(), done.stderr
    page = (REPOSITORY / "docs/install.md").read_text(encoding="utf-8")
    assert "_PTYCHOSUITE_COMPLETE=bash_source ptychosuite" in page
