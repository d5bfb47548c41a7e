"""The page over all reports of a folder: what each says of itself in ``report.json``, beside its page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from ptychosuite import __version__
from ptychosuite.analysis.outcomes import Outcome
from ptychosuite.reporting.style import render
from ptychosuite.store.layout import place

NOTE, COMPARISON_NOTE, TREND = "report.json", "comparison.json", "-trend.html"
COMMIT_DIGITS = 7


@dataclass(frozen=True)
class ReportNote:
    """What a report says of itself, in a small file beside its page.

    Parameters
    ----------
    first, last
        When the first and the last of its runs were begun, as in "2026-01-31T12:00:00+00:00"; empty where
        there are none.
    commit
        Of the code that computed them; empty where it is not known, or not one.
    headlines
        The few lines that say what came out.
    """

    study: str
    title: str
    outcome: Outcome
    first: str = ""
    last: str = ""
    commit: str = ""
    version: str = __version__
    headlines: Sequence[str] = ()

    def write(self, folder: Path) -> None:
        """Put it beside the page in ``folder``."""
        (folder / NOTE).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> ReportNote:
        """What the report in ``folder`` says of itself.

        Raises
        ------
        OSError
            It says nothing, as reports of earlier versions do not.
        ValueError
            The file is damaged.
        """
        content = (folder / NOTE).read_bytes()
        try:
            return _NOTES.validate_json(content, strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ValueError(": ".join(filter(None, (where, first["msg"])))) from error


_NOTES = TypeAdapter(ReportNote)


@dataclass(frozen=True)
class IndexEntry:
    """One report on the page; ``problem`` where it says nothing of itself, or nothing that can be read."""

    study: str
    report: str = ""  # link; empty where there is none
    trend: str = ""  # the same
    note: ReportNote | None = None
    problem: str = ""

    @property
    def facts(self) -> list[tuple[str, str]]:
        """When it was computed, and by what."""
        if self.note is None:
            return []
        span = dict.fromkeys(_minute(time) for time in (self.note.first, self.note.last) if time)
        facts = {
            "computed": " to ".join(span) + " UTC" if span else "",
            "commit": self.note.commit[:COMMIT_DIGITS],
            "ptychosuite": self.note.version,
        }
        return [(name, text) for name, text in facts.items() if text]


def write_index(folder: Path) -> Path:
    """Write ``folder/index.html``, one self-contained page about all reports there, and return its path.

    A report whose note is missing or damaged is listed all the same, and the page says so.

    Raises
    ------
    StoreError
        The folder cannot be written.
    """
    entries = _entries(folder)
    notes = [entry.note for entry in entries if entry.note is not None]
    page = folder / "index.html"
    content = render(
        "index.html.j2",
        entries=entries,
        comparisons=_comparisons(folder),
        planned=sum(note.outcome.planned for note in notes),
        completed=sum(note.outcome.completed for note in notes),
        version=__version__,
    )
    place(page).replace(content.encode())
    return page


def _entries(folder: Path) -> list[IndexEntry]:
    """Every study with a report or a trend, by its name."""
    trends = {file.name.removesuffix(TREND): file.name for file in folder.glob(f"*{TREND}")}
    reports = {page.parent.name: page.parent for page in folder.glob("[!.]*/index.html")}
    return [
        _entry(study, reports.get(study), trends.get(study, ""))
        for study in sorted({*trends, *reports})
        if study not in reports or not (reports[study] / COMPARISON_NOTE).exists()
    ]


def _entry(study: str, report: Path | None, trend: str) -> IndexEntry:
    if report is None:
        return IndexEntry(study, trend=trend)
    link = f"{study}/index.html"
    try:
        return IndexEntry(study, link, trend, ReportNote.read(report))
    except FileNotFoundError:
        problem = f"of an earlier version, which wrote no {NOTE}"
    except (OSError, ValueError) as error:
        problem = f"{study}/{NOTE} cannot be read: {error}"
    return IndexEntry(study, link, trend, problem=f"{problem}; draw it anew with: ptychosuite report")


def _comparisons(folder: Path) -> list[tuple[str, str]]:
    """Link and title of every page that compares two stores."""
    found = []
    for note in sorted(folder.glob(f"[!.]*/{COMPARISON_NOTE}")):
        try:
            title = str(json.loads(note.read_bytes())["title"])
        except (OSError, ValueError, TypeError, KeyError):
            title = note.parent.name
        found.append((f"{note.parent.name}/index.html", title))
    return found


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")
