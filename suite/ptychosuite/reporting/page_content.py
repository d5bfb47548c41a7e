"""What the report's page says: plain data, ready to be drawn. All statistics are done.

The template ``report.html.j2`` writes :class:`PageContent`; what the page's controls choose from is
:class:`Interactive`, which the page's script reads as JSON. Lists that run together have equal lengths, and
numbers are finite: None where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ptychosuite.analysis.outcomes import Outcome

Number = float | None


@dataclass(frozen=True)
class Series:
    """A line: the same colour, dash and marker on the whole page and in every figure."""

    label: str
    colour: str  # "#0072B2"
    dash: str  # SVG's stroke-dasharray for a line 2 px wide; "none" where it is solid
    marker: str  # one of d3's: circle, square, triangle, diamond, star, cross, wye, times, plus, asterisk


@dataclass(frozen=True)
class Condition:
    """A problem that the solvers were compared on: one panel."""

    label: str  # "noise 0.05 · overlap 50 %"; "all runs" where the study varies nothing but the solver


@dataclass(frozen=True)
class Curve:
    """One line of one panel in one metric: median over the seeds, and its interval."""

    series: int
    condition: int
    metric: str
    axis: str  # iteration, seconds, data_passes
    x: Sequence[float]  # positive, increasing
    median: Sequence[Number]
    low: Sequence[Number]  # all None where there are too few runs for an interval
    high: Sequence[Number]
    alive: Sequence[int]  # runs that had not yet stopped at x; those that had keep their last value
    runs: int  # that the median is over
    planned: int
    hit: Number = None  # x where half of the runs have met the tolerance


@dataclass(frozen=True)
class Choice:
    """An entry of a list to choose from."""

    name: str
    label: str
    better: Literal["lower", "higher", "neither"] = "neither"
    is_setting: bool = False  # a value of the study's, to be written as it is


@dataclass(frozen=True)
class Picture:
    """An object for the comparer, in the gauge of the truth.

    ``source`` is the data URI of an 8-bit grey PNG with two planes side by side, magnitude and phase.
    Magnitude: 0 is not scanned, 1 to 254 are 0 to ``Interactive.top`` in equal steps, 255 is more than that.
    Phase: 0 is not scanned, 1 to 255 are -pi to pi in equal steps.
    """

    label: str
    source: str
    height: int
    width: int
    run_id: str = ""  # empty for a truth
    series: int | None = None
    condition: int | None = None


@dataclass(frozen=True)
class Run:
    """One planned run."""

    run_id: str
    status: str  # completed, diverged, failed, timed-out, missing
    series: int
    condition: int
    values: Sequence[float | str | None]  # one a column of ``Interactive.columns``
    message: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)  # dotted path -> value, of what varies
    command: str = ""  # that shows more
    provenance: int | None = None  # place in ``Interactive.provenances``


@dataclass(frozen=True)
class Interactive:
    """What the page's controls choose from."""

    series: Sequence[Series] = ()
    conditions: Sequence[Condition] = ()
    metrics: Sequence[Choice] = ()
    axes: Sequence[Choice] = ()
    curves: Sequence[Curve] = ()
    pictures: Sequence[Picture] = ()
    top: float = 1.0  # magnitude that the brightest code of a picture stands for
    reach: int = 25  # of a difference at first, in per cent of the scale
    pictures_left_out: int = 0  # lines of conditions that there was no room for
    columns: Sequence[Choice] = ()  # of the table of runs, after run and status
    runs: Sequence[Run] = ()
    provenances: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True)
class Card:
    """One thing to know at a glance."""

    title: str  # "noise 0.05 · overlap 50 %"
    value: str  # "MAGPIE (levels 7)"
    lines: Sequence[str] = ()
    is_warning: bool = False


@dataclass(frozen=True)
class Matrix:
    """How the runs of each condition (row) and line (column) ended; None where none was planned."""

    columns: Sequence[str]
    rows: Sequence[str]
    cells: Sequence[Sequence[Outcome | None]]


@dataclass(frozen=True)
class Cell:
    """One cell of a heat map.

    ``state``: "value"; "never" met the tolerance; "none" where runs completed without a finite number;
    "diverged", "failed", "missing": no run completed, for that reason; "empty": none was planned.
    """

    text: str
    state: Literal["value", "never", "none", "diverged", "failed", "missing", "empty"]
    shade: Number = None  # 0 the worst to 1 the best of the map
    is_best: bool = False
    told: str = ""  # "median of 3 of 3 completed, 71.2 to 73.4"


@dataclass(frozen=True)
class HeatTable:
    """A heat map as a table."""

    title: str
    caption: str
    x: str
    y: str
    columns: Sequence[str]
    rows: Sequence[str]
    cells: Sequence[Sequence[Cell]]
    better: Literal["lower", "higher", "neither"] = "neither"


@dataclass(frozen=True)
class TextTable:
    """A table of text; cells in ``best`` (row, column) are the best of their group."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    best: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True)
class Embedded:
    """A printed figure as the page shows it."""

    title: str
    caption: str
    alt: str  # what is to be seen, in words: not the caption again
    source: str  # data URI; empty where there is nothing to draw
    stem: str  # of the files beside the page
    table: TextTable | None = None
    failure: str = ""  # the traceback, where it could not be drawn for an error


@dataclass(frozen=True)
class Trouble:
    """A run that did not complete, or ended above its start, by its settings."""

    label: str  # "MAGPIE (levels 7) · noise 0.4 · seed 3"
    status: str
    message: str  # first what went wrong, then the traceback
    run_id: str
    command: str  # that shows more, or that would compute it


@dataclass(frozen=True)
class PageContent:
    """The whole page."""

    title: str
    study: str
    version: str
    outcome: Outcome
    notes: Sequence[str] = ()  # whose results these are, where that is not what one would expect
    question: str = ""  # the comment at the head of the study file
    facts: Sequence[tuple[str, str]] = ()  # when, for how long, where the results lie
    reproduce: Sequence[tuple[str, str]] = ()  # command, commit, environment, hardware, bundle
    cards: Sequence[Card] = ()
    matrix: Matrix | None = None
    heat_tables: Sequence[HeatTable] = ()
    figures: Sequence[Embedded] = ()
    summary: TextTable | None = None
    summary_note: str = ""
    published: TextTable | None = None  # what others have found, beside ours
    published_note: str = ""
    tuning: TextTable | None = None  # what tries have found before the runs
    tuning_note: str = ""
    troubles: Sequence[Trouble] = ()
    provenance: Sequence[tuple[str, Sequence[str]]] = ()  # what -> its values over the runs, readable
    study_text: str = ""
    overrides: Sequence[str] = ()
    interactive: Interactive = Interactive()
    reload_s: float = (
        0.0  # the page loads itself anew after so many seconds, while runs are missing; 0: never
    )
