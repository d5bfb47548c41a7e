"""The report: one self-contained page, with figures and numbers in files beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ptychosuite import __version__
from ptychosuite.analysis.published import reproduced
from ptychosuite.analysis.selection import Selection
from ptychosuite.analysis.tuned_lines import tuned_lines
from ptychosuite.reporting.drawing import draw_figures
from ptychosuite.reporting.figures.material import RunFiles
from ptychosuite.reporting.index_page import ReportNote
from ptychosuite.reporting.interactive import MOST_PICTURES, MOST_RUNS, comparands, interactive
from ptychosuite.reporting.origin import provenance, records_of, reproduce, troubles
from ptychosuite.reporting.overview import cards, groups, heat_tables, matrix, summary_table
from ptychosuite.reporting.page_content import Embedded, PageContent
from ptychosuite.reporting.page_html import page_html
from ptychosuite.reporting.published_table import note_of, published_table
from ptychosuite.reporting.study_folder import made_anew, refuse_failed, write_summary
from ptychosuite.reporting.tuning_table import NOTE as TUNING_NOTE
from ptychosuite.reporting.tuning_table import tuning_table

SUMMARY_NOTE = (
    "Medians over the completed runs of a row, at their last iteration, with the 95 % interval of the median "
    "from six runs on, and the range of all where there are three to five. A run that ended without meeting "
    "the tolerance counts as infinitely long. A line of which fewer than half of the runs completed is never "
    "marked as the best."
)


def write_report(selection: Selection, out: Path, source: str = "", reload_s: float = 0.0) -> Path:
    """Draw everything and write ``out/<study>/index.html``; its path is returned.

    ``source`` is what the page calls the results, where that is not the path of their folder. While runs are
    missing the page loads itself anew every ``reload_s`` seconds, where that is not 0.

    The folder is made anew beside the old one and takes its place at the end, so that a report that cannot
    be drawn does not cost the one there was.

    Raises
    ------
    StoreError
        The folder cannot be written.
    FigureError
        A figure has failed. The report is there all the same, with the others, and says so in its place.
    """
    folder = out / selection.name
    with made_anew(folder, "the report") as fresh:
        files = RunFiles(selection.store)
        figures = _fill(selection, files, fresh, source or str(selection.store.root), reload_s)
    page = folder / "index.html"
    refuse_failed(figures, page, [*files.damaged.values()])
    return page


def _fill(
    selection: Selection, files: RunFiles, folder: Path, source: str, reload_s: float
) -> list[Embedded]:
    files.pictured.update(run.path for run in comparands(selection)[:MOST_PICTURES])
    figures = draw_figures(selection, files, folder)
    selection.table.drop(columns="row").to_csv(folder / "numbers" / "runs.csv", index=False)
    content = replace(page_content(selection, figures, files, source), reload_s=reload_s)
    write_summary(selection, content.summary, folder)
    (folder / "index.html").write_text(page_html(content), encoding="utf-8")
    _note(selection, content).write(folder)
    return figures


def _note(selection: Selection, content: PageContent) -> ReportNote:
    """What the page over all reports says of this one."""
    starts = sorted(start for start in selection.stored["start"] if start)
    commits = dict(content.provenance).get("git commit", [])
    headlines = [f"{card.title}: {', '.join([card.value, *card.lines[:1]])}" for card in content.cards[1:4]]
    return ReportNote(
        study=selection.name,
        title=selection.title,
        outcome=selection.outcome,
        first=starts[0] if starts else "",
        last=starts[-1] if starts else "",
        commit=commits[0] if len(commits) == 1 else "",
        headlines=headlines,
    )


def page_content(selection: Selection, figures: list[Embedded], files: RunFiles, source: str) -> PageContent:
    """All that the page says of ``selection``."""
    found = groups(selection)
    records, published = records_of(selection, files), reproduced(selection)
    return PageContent(
        title=selection.title,
        study=selection.name,
        version=__version__,
        outcome=selection.outcome,
        notes=[*selection.notes, *files.damaged.values()],
        question=question_of(selection.text),
        facts=_facts(selection, source),
        reproduce=reproduce(selection, records, source),
        cards=cards(selection, found),
        matrix=matrix(found),
        heat_tables=heat_tables(selection, files),
        figures=figures,
        summary=summary_table(selection, found),
        summary_note=SUMMARY_NOTE,
        published=published_table(published),
        published_note=note_of(published) if published else "",
        tuning=tuning_table(tuned_lines(selection)),
        tuning_note=TUNING_NOTE,
        troubles=troubles(selection, files, source),
        provenance=provenance(records),
        study_text=selection.text,
        overrides=list(selection.overrides),
        interactive=interactive(selection, found, files, source),
    )


def question_of(text: str) -> str:
    """The comment at the head of a study file, up to its first empty line."""
    lines = []
    for line in text.splitlines():
        words = line.removeprefix("#").strip()
        if not line.startswith("#") or not words:
            break
        lines.append(words)
    return " ".join(lines)


def _facts(selection: Selection, source: str) -> list[tuple[str, str]]:
    table = selection.stored
    facts = [("results", source)]
    starts = sorted(start for start in table["start"] if start)
    if starts:
        first, last = (start[:16].replace("T", " ") for start in (starts[0], starts[-1]))
        facts.append(("computed", f"{first} to {last} UTC" if first != last else f"{first} UTC"))
    if "seconds" in table:
        facts.append(("solver time", f"{float(np.nansum(table['seconds'])):.3g} s in all"))
    if len(selection.table) > MOST_RUNS:
        facts.append(
            ("table of runs", f"{MOST_RUNS:,} of {len(selection.table):,}; all are in numbers/runs.csv")
        )
    return facts
