"""From findings to a verdict and its exit code."""

from __future__ import annotations

import json

import pytest
from ptychosuite.analysis.verdict import Finding, Judgement, Verdict


def verdict(*judgements: Judgement) -> Verdict:
    findings = tuple(
        Finding("run", f"q{i}", j, 1.0, 1.0 + i, interval=(1.0, 2.0)) for i, j in enumerate(judgements)
    )
    return Verdict("nightly", "2026-01-01T00:00:00Z", {"baseline": "b"}, {"code": "c"}, findings)


@pytest.mark.parametrize(
    ("judgements", "exit_code"),
    [
        ([Judgement.GOOD, Judgement.GOOD], 0),
        ([Judgement.GOOD, Judgement.IMPROVEMENT], 0),
        ([Judgement.GOOD, Judgement.UNDECIDED], 3),
        ([Judgement.UNDECIDED, Judgement.REGRESSION], 1),
        ([], 3),
    ],
)
def test_worst_finding_decides(judgements, exit_code):
    """A regression is red, what could not be judged is not green, and neither is an empty check."""
    assert verdict(*judgements).judgement.exit_code == exit_code


def test_worst_come_first():
    """Regressions before the rest, the larger change before the smaller."""
    made = verdict(Judgement.GOOD, Judgement.REGRESSION, Judgement.UNDECIDED, Judgement.REGRESSION)
    assert [f.quantity for f in made.worst_first] == ["q3", "q1", "q2", "q0"]


def test_verdict_survives_json():
    """What a check writes, a later one reads."""
    made = verdict(Judgement.GOOD, Judgement.REGRESSION)
    assert Verdict.from_dict(json.loads(json.dumps(made.to_dict()))) == made
