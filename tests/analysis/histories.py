"""Made-up histories of checks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from ptychosuite.analysis.verdict import Finding, Judgement, Verdict

FIRST = datetime(2026, 1, 1, 3, tzinfo=UTC)


def timed(ratio: float, subject: str = "rpie", **fields: Any) -> Finding:
    """A time beside the reference's, with its interval."""
    judgement = Judgement.REGRESSION if ratio > 1.05 else Judgement.GOOD
    fields = {"baseline": 0.1, "found": 0.1 * ratio, "tolerance": 0.05, "judgement": judgement, **fields}
    return Finding(subject, "time of a run", interval=(ratio - 0.01, ratio + 0.01), **fields)


def commit(night: int) -> str:
    """Of the code that was checked."""
    return f"{night:02d}" * 20


def history(
    nights: int,
    findings: Callable[[int], list[Finding]],
    against: Callable[[int], dict[str, Any]] = lambda night: {"revision": "v1", "commit": "f" * 40},
    environment: Callable[[int], dict[str, Any]] = lambda night: {},
) -> list[Verdict]:
    """One verdict a night."""
    return [
        Verdict(
            "nightly",
            (FIRST + timedelta(days=night)).isoformat(timespec="milliseconds"),
            against(night),
            {"git_commit": commit(night), "packages": {"numpy": "2.4.5"}, **environment(night)},
            tuple(findings(night)),
        )
        for night in range(nights)
    ]
