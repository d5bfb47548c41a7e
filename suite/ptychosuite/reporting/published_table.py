"""What others have published beside ours, as a table of the report and as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ptychosuite.analysis.labels import metric_label
from ptychosuite.analysis.published import Reproduced
from ptychosuite.metrics.metric import metric_of
from ptychosuite.reporting.page_content import TextTable

NOTE = (
    "Ours are medians over the completed runs of a condition, with the least and the largest of them. A "
    "value is within its tolerance where our median differs from it by no more than that, relative to the "
    "published one. A condition of which no run was planned, as in a shortened version, is not compared."
)
HEADER = ("condition", "metric", "published", "ours", "runs", "ours / published", "within", "source")


def published_table(found: Sequence[Reproduced]) -> TextTable | None:
    """A row a published value; None where the study has none."""
    return TextTable(HEADER, [_row(each) for each in found]) if found else None


def _row(each: Reproduced) -> list[str]:
    published = each.published
    return [
        each.condition or "all runs",
        metric_label(published.metric),
        f"{published.value:g}",
        _ours(each),
        each.outcome.text.replace(" completed", "", 1) if each.outcome.planned else "none planned",
        f"{each.ratio:.3f}" if each.is_known else "",
        _verdict(each),
        published.source,
    ]


def _ours(each: Reproduced) -> str:
    if not each.is_known:
        return ""
    metric = metric_of(each.published.metric)
    text = metric.text if metric else "{:.4g}".format
    spread = f" ({text(each.low)} to {text(each.high)})" if each.high > each.low else ""
    return text(each.median) + spread


def _verdict(each: Reproduced) -> str:
    allowed = f"{100 * each.published.tolerance:g} %"
    if not each.is_known:
        return f"{allowed}: not known"
    better = ", ours is better" if each.is_better and not each.is_within else ""
    return f"{allowed}: {'yes' if each.is_within else 'no'}{better}"


def write_published(found: Sequence[Reproduced], folder: Path) -> None:
    """Write the comparison as ``numbers/published.csv``, where the study has published values."""
    if not found:
        return
    rows = [
        {
            "metric": each.published.metric,
            "condition": each.condition,
            "published": each.published.value,
            "ours": each.median,
            "ours_low": each.low,
            "ours_high": each.high,
            "planned": each.outcome.planned,
            "completed": each.outcome.completed,
            "ratio": each.ratio,
            "tolerance": each.published.tolerance,
            "within": each.is_within if each.is_known else "",
            "source": each.published.source,
        }
        for each in found
    ]
    pd.DataFrame(rows).to_csv(folder / "numbers" / "published.csv", index=False)
