"""A verdict as words, Markdown, annotations and JUnit XML."""

from __future__ import annotations

import pytest
from junitparser import Error, Failure, JUnitXml
from ptychosuite.analysis.verdict import Finding, Judgement, Verdict
from ptychosuite.reporting.verdict_text import (
    HEADER,
    MOST_ANNOTATIONS,
    MOST_ROWS,
    change_text,
    junit,
    markdown,
    row,
    sentence,
    workflow_commands,
)

REGRESSION = Finding("a|b <c> & `d`", "residual", Judgement.REGRESSION, 2.0, 3.0, 0.1)
UNDECIDED = Finding("run\x00\x1b", "run", Judgement.UNDECIDED, message="100%: a,b\nrun it first")
BETTER = Finding("run", "error", Judgement.IMPROVEMENT, 2.0, 1.0, 0.1)
GOOD = Finding("run", "nmse", Judgement.GOOD, 1.0, 1.0, 0.1)


def verdict(*findings: Finding) -> Verdict:
    return Verdict("tiny", "2026-01-01T00:00:00.000+00:00", {"baseline": "b"}, {}, findings)


def test_sentence():
    """Judgement, what was compared with what, and how many of each kind, the worst first."""
    assert sentence(verdict(GOOD, BETTER, REGRESSION, GOOD)) == (
        "tiny against baseline b: regression. "
        "Figures: 1 worse, 1 better than the tolerance explains, 2 as before"
    )
    assert "nothing was compared" in sentence(verdict())


def test_sentence_names_what_tolerances_allow_for():
    """Other packages widen tolerances, and that is said."""
    changed = {"numpy": ("2.0", "2.1"), "ducc0": (None, "0.40")}
    other = Verdict("tiny", "", {"baseline": "b", "changed": changed}, {}, (GOOD,))
    assert sentence(other).endswith("; allowing for numpy 2.0 -> 2.1, ducc0 none -> 0.40")


def test_sentence_says_another_machine():
    """Where the processor, its instructions or the device are others, that is what comes first to mind."""
    for name in ("cpu", "instructions", "gpu"):
        other = Verdict("tiny", "", {"baseline": "b", "changed": {name: ("X", "Y")}}, {}, (GOOD,))
        assert sentence(other).endswith(f"; allowing for another machine: {name} X -> Y")


def test_changes():
    """Per cent where that can be read, powers of ten below, the interval where there is one."""
    assert change_text(REGRESSION) == "+50 %"
    assert change_text(Finding("r", "q", Judgement.GOOD, 1.0, 1.00002)) == "+2e-05"
    assert change_text(UNDECIDED) == ""
    timed = Finding("r", "time", Judgement.REGRESSION, 1.0, 1.2, interval=(1.15, 1.25))
    assert change_text(timed) == "+20 % (+15 % to +25 %)"


@pytest.mark.parametrize(
    ("tolerance", "absolute", "text"),
    [(None, 0, ""), (0.25, 0, "0.25"), (1e-6, 0, "1e-06"), (0.1, 4, "0.1 + 4")],
)
def test_allowed(tolerance, absolute, text):
    """As the judgement has it, not rounded away from it, and with what is allowed beside a share."""
    found = Finding("rpie", "iterations_to_tol", Judgement.GOOD, 10, 14, tolerance, absolute=absolute)
    assert row(found)[HEADER.index("allowed")] == text


def test_markdown():
    """A table of what is not as before; names of runs cannot break out of it."""
    text = markdown(verdict(GOOD, REGRESSION, UNDECIDED))
    lines = text.splitlines()
    assert lines[0] == "## tiny: regression"
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 2 + 2
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    assert "a\\|b \\<c\\> & \\`d\\`" in rows[2]
    assert "nmse" not in text
    assert "|" not in markdown(verdict(GOOD))


def test_markdown_is_bounded():
    text = markdown(verdict(*[REGRESSION] * (MOST_ROWS + 7)))
    assert text.count("regression|") == MOST_ROWS
    assert "... and 7 more" in text


def test_annotations():
    """One line each, escaped as the runner undoes it; nothing for what is good."""
    error, warning, notice = workflow_commands(verdict(GOOD, BETTER, UNDECIDED, REGRESSION))
    assert error == "::error title=regression%3A a|b <c> & `d`%2C residual::2 -> 3, +50 %25"
    assert warning.endswith("::100%25: a,b%0Arun it first")
    assert notice.startswith("::notice title=improvement")


def test_annotations_are_bounded():
    """As many as GitHub shows, the last of which says how many there are besides."""
    lines = workflow_commands(verdict(*[REGRESSION] * 25, BETTER))
    assert len(lines) == MOST_ANNOTATIONS + 1
    assert "and 16 more" in lines[MOST_ANNOTATIONS - 1]


def test_junit():
    """A regression fails, what could not be judged is an error, the rest passes; any text can be held."""
    text = junit(verdict(GOOD, BETTER, UNDECIDED, REGRESSION))
    (suite,) = JUnitXml.fromstring(text.encode())
    good, better, undecided, regression = suite
    assert (suite.tests, suite.failures, suite.errors) == (4, 1, 1)
    assert (good.result, good.system_out) == ([], None)
    assert better.result == []
    assert "improvement: 2 -> 1" in better.system_out
    assert isinstance(undecided.result[0], Error)
    assert isinstance(regression.result[0], Failure)
    assert "2 -> 3" in regression.result[0].message
    assert regression.classname == "tiny.a|b <c> & `d`"
