"""A verdict in words: the rows of its table, and one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from suite.analysis.verdict import WORST_FIRST, Finding, Judgement, Verdict

HEADER = ("verdict", "run", "quantity", "baseline", "now", "change", "allowed", "")
IN_WORDS = {
    Judgement.REGRESSION: "worse",
    Judgement.UNDECIDED: "could not be judged",
    Judgement.IMPROVEMENT: "better than the tolerance explains",
    Judgement.GOOD: "as before",
}


def row(finding: Finding) -> list[str]:
    """One finding under :data:`HEADER`."""
    return [
        str(finding.judgement),
        finding.subject,
        finding.quantity,
        number_text(finding.baseline),
        number_text(finding.found),
        change_text(finding),
        "" if finding.tolerance is None else f"{finding.tolerance:.1g}",
        finding.message,
    ]


def number_text(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def change_text(finding: Finding) -> str:
    """The relative change, "+5.3 %" or "+2e-06", with its interval where there is one."""
    if finding.ratio is None:
        return ""
    change = _relative(finding.ratio)
    if finding.interval is None:
        return change
    low, high = map(_relative, finding.interval)
    return f"{change} ({low} to {high})"


def _relative(ratio: float) -> str:
    change = ratio - 1.0
    return f"{100 * change:+.2g} %" if abs(change) >= 1e-3 else f"{change:+.1g}"


def counts(verdict: Verdict) -> dict[Judgement, int]:
    """How many findings there are of each judgement, the worst first; none is left out."""
    found = Counter(finding.judgement for finding in verdict.findings)
    return {judgement: found[judgement] for judgement in WORST_FIRST if found[judgement]}


def sentence(verdict: Verdict) -> str:
    """What came of the check."""
    against = " and ".join(f"{name} {verdict.against[name]}" for name in _compared_with(verdict))
    if not verdict.findings:
        return f"{verdict.study} could not be judged against {against}: nothing was compared"
    told = ", ".join(f"{number} {IN_WORDS[judgement]}" for judgement, number in counts(verdict).items())
    return f"{verdict.study} against {against}: {verdict.judgement}. Figures: {told}{_changed(verdict)}"


def _changed(verdict: Verdict) -> str:
    """What has changed of that which rounds: tolerances are wider for it."""
    changes = verdict.against.get("changed", {}).items()
    changed = [f"{name} {old or 'none'} -> {new or 'none'}" for name, (old, new) in changes]
    return f"; allowing for {', '.join(changed)}" if changed else ""


def _compared_with(verdict: Verdict) -> Iterable[str]:
    return (name for name in ("baseline", "revision") if name in verdict.against)
