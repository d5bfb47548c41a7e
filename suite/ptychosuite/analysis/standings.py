"""The place of each line among all: by what its target costs, and by how well it ends.

What is compared is the ratio to the best line on the same problem, so that a hard problem weighs no more than
an easy one. A run that never gets there, or that did not complete, is infinitely worse than the best.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ptychosuite.analysis.outcomes import MISSING
from ptychosuite.analysis.summary import Figure, figure_over
from ptychosuite.analysis.to_target import ratios
from ptychosuite.core.runs import Status
from ptychosuite.errors import NothingToDraw
from ptychosuite.metrics.metric import metric_of

QUALITIES = ("phase_rmse_rad", "error", "residual")  # the first that runs have is what they are ranked by


def quality_of(table: pd.DataFrame) -> str:
    """The metric by which the ends of the runs are ranked where nobody says.

    Raises
    ------
    NothingToDraw
        No run has any of them.
    """
    found = next((name for name in QUALITIES if name in table and table[name].notna().any()), None)
    if found is None:
        raise NothingToDraw("no run has a metric by which its end could be ranked")
    return found


def standings(runs: pd.DataFrame, costs: Sequence[str], table: pd.DataFrame, quality: str) -> pd.DataFrame:
    """One row a line and criterion.

    Parameters
    ----------
    runs
        As of :func:`~ptychosuite.analysis.to_target.runs_to_target`, with the columns ``costs``.
    table
        The same runs with their final metrics.
    quality
        The metric of the ends; it says itself whether lower or higher is better.

    Returns
    -------
    ``line`` and ``by`` (one of ``costs``, or ``quality``); ``rank`` (1 for the best, the same for equals, NaN
    where nothing is known); ``ratio``, ``ratio_low``, ``ratio_high``: median over the problems of the ratio
    to the best, and its 95 % interval, of a few problems the range of all; ``median``, ``low``, ``high``: of
    the figure itself; ``reached`` of ``problems`` runs have one, ``unknown`` more may have.

    Raises
    ------
    NothingToDraw
        The metric has values below zero, of which no ratio can be taken.
    """
    parts = [_standing(runs, cost, runs[cost], runs[cost]) for cost in costs]
    ends, sign = _ends(runs, table, quality)
    if (ends < 0)[np.isfinite(ends)].any():
        raise NothingToDraw(f"{quality} has values below zero, which have no ratio; name another 'quality'")
    with np.errstate(divide="ignore"):
        parts.append(_standing(runs, quality, ends if sign == 1 else 1 / ends.clip(lower=0), ends))
    return pd.concat(parts, ignore_index=True)


def _ends(runs: pd.DataFrame, table: pd.DataFrame, quality: str) -> tuple[pd.Series, int]:
    """Final values; the worst there is for what did not complete, NaN for what is not known; and the sign.

    A run without a value where others on its problem have one is taken for the worst as well, unless no run
    of its line has any: then the metric does not concern it.
    """
    metric = metric_of(quality)
    sign = metric.sign if metric else 1
    ends = table[quality].astype(float).where(runs["status"] == Status.COMPLETED)
    on_problem, on_line = (ends.notna().groupby(runs[name]).transform("any") for name in ("problem", "line"))
    went_wrong = ~runs["status"].isin([Status.COMPLETED, MISSING])
    is_worst = ends.isna() & (went_wrong | (on_problem & on_line & (runs["status"] != MISSING)))
    return ends.mask(is_worst, sign * np.inf), sign


def _standing(runs: pd.DataFrame, by: str, costs: pd.Series, shown: pd.Series) -> pd.DataFrame:
    found = ratios(costs, runs["problem"])
    rows = []
    for line, of_line in found.groupby(runs["line"], sort=False):
        known = of_line.dropna()
        ratio, own = figure_over(known.to_numpy()), figure_over(shown.loc[known.index].to_numpy())
        rows.append(
            {
                "line": line,
                "by": by,
                **_named(ratio, ("ratio", "ratio_low", "ratio_high")),
                **_named(own, ("median", "low", "high")),
                "reached": int(np.isfinite(known).sum()),
                "problems": len(known),
                "unknown": int(of_line.isna().sum()),
            }
        )
    standing = pd.DataFrame(rows)
    standing.insert(2, "rank", standing["ratio"].rank(method="min"))
    return standing


def _named(figure: Figure, names: Sequence[str]) -> dict[str, float]:
    return dict(zip(names, (figure.median, figure.low, figure.high), strict=True))
