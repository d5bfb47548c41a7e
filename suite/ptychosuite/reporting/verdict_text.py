"""A verdict in words: the rows of its table, and one sentence.

A verdict for continuous integration: Markdown, GitHub's annotations, JUnit XML.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from ptychosuite.analysis.rounding import MACHINE
from ptychosuite.analysis.verdict import WORST_FIRST, Finding, Judgement, Verdict

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
        allowed_text(finding),
        finding.message,
    ]


def number_text(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def allowed_text(finding: Finding) -> str:
    """The relative change up to which nothing is said, "0.25", and what may be on top of it, "0.1 + 4"."""
    if finding.tolerance is None:
        return ""
    return f"{finding.tolerance:.2g}" + (f" + {finding.absolute:.2g}" if finding.absolute else "")


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
    """What has changed of that which rounds, another machine first: tolerances are wider for it."""
    changes = verdict.against.get("changed", {})
    changed = [f"{name} {old or 'none'} -> {new or 'none'}" for name, (old, new) in changes.items()]
    machine = "another machine: " if any(name in MACHINE for name in changes) else ""
    return f"; allowing for {machine}{', '.join(changed)}" if changed else ""


def _compared_with(verdict: Verdict) -> Iterable[str]:
    return (name for name in ("baseline", "revision", "published") if name in verdict.against)


MOST_ROWS = 50  # of a summary; GitHub refuses those over a megabyte
MOST_ANNOTATIONS = 10  # that GitHub shows of each kind in a step
NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
LEVELS = {Judgement.REGRESSION: "error", Judgement.UNDECIDED: "warning", Judgement.IMPROVEMENT: "notice"}


def markdown(verdict: Verdict) -> str:
    """The verdict in GitHub's Markdown: a sentence, counts, and what is not as before, the worst first."""
    shown = [finding for finding in verdict.worst_first if finding.judgement is not Judgement.GOOD]
    lines = [f"## {_cell(verdict.study)}: {verdict.judgement}", "", _cell(sentence(verdict)) + ".", ""]
    if shown:
        lines += ["|".join(["", *HEADER, ""]), "|".join(["", *["---"] * len(HEADER), ""])]
        lines += ["|".join(["", *map(_cell, row(finding)), ""]) for finding in shown[:MOST_ROWS]]
        if len(shown) > MOST_ROWS:
            lines += ["", f"... and {len(shown) - MOST_ROWS} more"]
    return "\n".join(lines).rstrip() + "\n\n"


def workflow_commands(verdict: Verdict) -> list[str]:
    """What GitHub Actions shows as annotations; of each kind, the last stands for those without room."""
    lines: list[str] = []
    for judgement, number in counts(verdict).items():
        if judgement not in LEVELS:
            continue
        alike = [finding for finding in verdict.worst_first if finding.judgement is judgement]
        lines += [_annotation(finding) for finding in alike[: MOST_ANNOTATIONS - 1]]
        if number >= MOST_ANNOTATIONS:
            title = _property(f"{verdict.study}: {judgement}")
            rest = number - MOST_ANNOTATIONS + 1
            lines.append(f"::{LEVELS[judgement]} title={title}::and {rest} more; the summary lists them")
    return lines


def junit(verdict: Verdict) -> str:
    """JUnit XML with one test case a finding.

    A regression is a failure; what could not be judged is an error, which no server shows as green.
    """
    cases = TestSuite(f"{verdict.study} check")
    cases.timestamp = verdict.when
    for finding in verdict.findings:
        case = TestCase(_xml(finding.quantity), _xml(f"{verdict.study}.{finding.subject}"))
        if finding.judgement is Judgement.REGRESSION:
            case.result = [Failure(_xml(_words(finding)), "regression")]
        elif finding.judgement is Judgement.UNDECIDED:
            case.result = [Error(_xml(_words(finding)), "could not judge")]
        elif finding.judgement is Judgement.IMPROVEMENT:
            case.system_out = _xml(f"improvement: {_words(finding)}")
        cases.add_testcase(case)
    document = JUnitXml()
    document.add_testsuite(cases)
    return str(document.tostring().decode())


def _annotation(finding: Finding) -> str:
    title = _property(f"{finding.judgement}: {finding.subject}, {finding.quantity}")
    return f"::{LEVELS[finding.judgement]} title={title}::{_data(_words(finding))}"


def _words(finding: Finding) -> str:
    """The numbers and the message of a finding in one line."""
    numbers = ""
    if finding.baseline is not None or finding.found is not None:
        numbers = f"{number_text(finding.baseline) or 'none'} -> {number_text(finding.found) or 'none'}"
        change = change_text(finding)
        numbers += f", {change}" if change else ""
    return "; ".join(filter(None, (numbers, finding.message))) or str(finding.judgement)


def _cell(text: str) -> str:
    """Text in a Markdown table: nothing in it is markup, and it stays in its cell."""
    for character in "\\`*_<>[]|":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _xml(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold."""
    return NOT_XML.sub("\ufffd", text)
