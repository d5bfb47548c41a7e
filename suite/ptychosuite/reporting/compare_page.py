"""Two stores side by side as a page, with every pair of runs in a file beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ptychosuite import __version__
from ptychosuite.analysis.comparison import ComparedGroup, MetricChange, StoreComparison
from ptychosuite.analysis.labels import metric_label
from ptychosuite.analysis.outcomes import Outcome
from ptychosuite.metrics.metric import Metric
from ptychosuite.reporting.index_page import COMPARISON_NOTE
from ptychosuite.reporting.style import render
from ptychosuite.store.layout import place

SHOWN_CHANGES = 3
DIRECTIONS = {"lower": "lower is better", "higher": "higher is better", "neither": ""}


@dataclass(frozen=True)
class ChangeRow:
    """One metric of one condition and line, in words."""

    condition: str
    line: str
    metric: str
    a: str
    b: str
    ratio: str
    change: str  # "3 worse, 1 better of 5", or why there are no numbers
    completed_a: str
    completed_b: str
    kind: str  # "worse", "better", "same"; empty where nothing is judged

    @classmethod
    def of(cls, group: ComparedGroup, change: MetricChange) -> ChangeRow:
        metric = change.metric
        judged = metric.is_judged and change.compared > 0
        kind = "worse" if change.worse else "better" if change.better else "same" if judged else ""
        return cls(
            condition=group.place.condition,
            line=group.place.line,
            metric=metric_label(metric.name),
            a=_value(metric, change.a),
            b=_value(metric, change.b),
            ratio="" if change.ratio is None else f"{change.ratio:.4g}",
            change="; ".join(filter(None, [_counts(change) if judged else "", change.note])),
            completed_a=completed(group.a),
            completed_b=completed(group.b),
            kind=kind,
        )


def change_rows(comparison: StoreComparison, metrics: Iterable[Metric]) -> list[ChangeRow]:
    """Every condition and line, in each of ``metrics``."""
    names = {metric.name for metric in metrics}
    return [
        ChangeRow.of(group, change)
        for group in comparison.groups
        for change in group.changes
        if change.metric.name in names
    ]


def sentence(comparison: StoreComparison) -> str:
    """What was compared, and how much of it differs."""
    pairs, changed = len(comparison.pairs), comparison.changed
    how = "the factors that vary" if comparison.by_factors else "specification"
    told = f"{pairs} {'pair' if pairs == 1 else 'pairs'} of runs, matched by {how}; "
    told += f"{changed} differ beyond rounding" if changed else "none differs beyond rounding"
    alone = [f"{n} only in {name}" for name, n in (("A", comparison.only_a), ("B", comparison.only_b)) if n]
    return ", ".join([told, *alone])


def write_comparison(comparison: StoreComparison, out: Path) -> Path:
    """Write ``out/compare-A-B/index.html``, one self-contained page, with ``runs.csv`` beside it.

    Raises
    ------
    StoreError
        The folder cannot be written.
    """
    folder = out / f"compare-{comparison.a.name}-{comparison.b.name}"
    title = f"{comparison.a.name} and {comparison.b.name}"
    page = render(
        "compare.html.j2",
        title=title,
        sentence=sentence(comparison),
        a=comparison.a,
        b=comparison.b,
        settings=comparison.settings,
        origin=comparison.origin,
        groups=[(g, completed(g.a), completed(g.b), _changed(g)) for g in comparison.groups],
        sections=[
            (metric_label(metric.name), DIRECTIONS[metric.better], change_rows(comparison, [metric]))
            for metric in comparison.metrics
        ],
        version=__version__,
    )
    place(folder / "runs.csv").replace(comparison.table().to_csv(index=False).encode())
    place(folder / COMPARISON_NOTE).replace(json.dumps({"title": title}).encode())
    place(folder / "index.html").replace(page.encode())
    return folder / "index.html"


def completed(outcome: Outcome) -> str:
    """ "3 of 5", where there are any."""
    return outcome.short if outcome.planned else "none planned"


def _changed(group: ComparedGroup) -> str:
    """How many pairs differ beyond rounding, and in what most of them do."""
    if not group.pairs:
        return "no pair"
    if not group.changed_pairs:
        return "as in A"
    most = [f"{quantity} in {n}" for quantity, n in list(group.changed.items())[:SHOWN_CHANGES]]
    return f"{group.changed_pairs} of {group.pairs}: {', '.join(most)}"


def _value(metric: Metric, value: float | None) -> str:
    return "" if value is None else metric.text(value)


def _counts(change: MetricChange) -> str:
    counts = [f"{n} {name}" for name, n in (("worse", change.worse), ("better", change.better)) if n]
    return f"{', '.join(counts)} of {change.compared}" if counts else "as in A"
