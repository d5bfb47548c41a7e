"""What others have published beside ours, as a table of the report and as a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ptychosuite.analysis.labels import metric_label
from ptychosuite.analysis.published import Reproduced
from ptychosuite.metrics.metric import metric_of
from ptychosuite.reporting.page_content import TextTable

NOTE = (
    "Ours are medians over the completed runs of a condition, with the least and the largest of them; of "
    "what is counted until a tolerance is met over all that ended, and times over those that had their core "
    "or device to themselves. A value is within its tolerance where our median differs from it by no more "
    "than that, relative to the published one. A condition of which no run was planned, as in a shortened "
    "version, is not compared."
)
HEADER = ("condition", "metric", "published", "ours", "runs", "ours / published", "within its tolerance")


def published_table(found: Sequence[Reproduced]) -> TextTable | None:
    """A row a published value; None where the study has none. What all share is said by :func:`note_of`."""
    if not found:
        return None
    shared, sources = _shared(found), _sources(found)
    header = HEADER if len(sources) == 1 else (*HEADER, "source")
    rows = [[*_row(each, shared), str(sources.index(each.published.source) + 1)] for each in found]
    return TextTable(header, [row[: len(header)] for row in rows])


def note_of(found: Sequence[Reproduced]) -> str:
    """What is said below the table: where the values are from, what they hold for, how ours are counted."""
    sources = _sources(found)
    numbered = [f"({place}) {source}" for place, source in enumerate(sources, 1)]
    told = f"Published in {'; '.join(numbered if len(sources) > 1 else sources)}."
    shared = _shared(found)
    return " ".join([told, *([f"All of it is for {', '.join(shared)}."] if shared else []), NOTE])


def _sources(found: Sequence[Reproduced]) -> list[str]:
    return list(dict.fromkeys(each.published.source for each in found))


def _shared(found: Sequence[Reproduced]) -> list[str]:
    """The conditions that all values have, where there are several values."""
    everywhere = (condition for condition in found[0].conditions) if len(found) > 1 else ()
    return [condition for condition in everywhere if all(condition in each.conditions for each in found)]


def _row(each: Reproduced, shared: Sequence[str]) -> list[str]:
    published = each.published
    return [
        ", ".join(condition for condition in each.conditions if condition not in shared) or "all runs",
        metric_label(published.metric),
        f"{published.value:g}",
        _ours(each),
        each.outcome.text.replace(" completed", "", 1) if each.outcome.planned else "none planned",
        f"{each.ratio:.3f}" if np.isfinite(each.ratio) else "",
        _verdict(each),
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
        return f"not known{each.note}"
    better = ", ours is better" if each.is_better and not each.is_within else ""
    return f"{'yes' if each.is_within else 'no'}{better} ({allowed})"


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
