"""A verdict for continuous integration: Markdown, GitHub's annotations, JUnit XML."""

from __future__ import annotations

import re

from junitparser import Error, Failure, JUnitXml, TestCase, TestSuite

from suite.analysis.verdict import Finding, Judgement, Verdict
from suite.report.verdict import HEADER, change_text, counts, number_text, row, sentence

MOST_ROWS = 50  # of a summary; GitHub refuses those over a megabyte
MOST_ANNOTATIONS = 10  # that GitHub shows of each kind in a step
NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
LEVELS = {
    Judgement.REGRESSION: "error",
    Judgement.UNDECIDED: "warning",
    Judgement.IMPROVEMENT: "notice",
}


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
    suite = TestSuite(f"{verdict.study} check")
    suite.timestamp = verdict.when
    for finding in verdict.findings:
        case = TestCase(_xml(finding.quantity), _xml(f"{verdict.study}.{finding.subject}"))
        if finding.judgement is Judgement.REGRESSION:
            case.result = [Failure(_xml(_words(finding)), "regression")]
        elif finding.judgement is Judgement.UNDECIDED:
            case.result = [Error(_xml(_words(finding)), "could not judge")]
        elif finding.judgement is Judgement.IMPROVEMENT:
            case.system_out = _xml(f"improvement: {_words(finding)}")
        suite.add_testcase(case)
    document = JUnitXml()
    document.add_testsuite(suite)
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
