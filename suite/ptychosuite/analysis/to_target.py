"""How soon each run comes to a target that all runs of its problem share, and who is first how often.

A problem is one condition and one seed. Its target is the convergence test of Moré and Wild (SIAM J. Optim.
20, 172, 2009): with f_start the value that runs begin with, and f_best the best one that a completed run of
the problem ends with, a run solves the problem where its curve comes for good to

    f <= f_best + tau (f_start - f_best),

mirrored where higher is better. Or the target is what noise leaves of a deviance, in which no run has a part
where a truth is known: f <= (1 + tau) f_noise. What a run costs that failed, diverged, ran out of time or
never gets there is infinite: no run is dropped for how it ended. What nobody knows (a run without a result, a
result that was computed elsewhere, the time of a run that shared its core) is NaN and counts neither way.

Performance profiles: Dolan and Moré, Math. Program. 91, 201 (2002).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from ptychosuite.analysis.conditions import condition_columns, condition_labels
from ptychosuite.analysis.labels import line_labels
from ptychosuite.analysis.outcomes import MISSING
from ptychosuite.analysis.tables import are_imported, timed
from ptychosuite.core.runs import Status
from ptychosuite.metrics.metric import NOISE_LEVELS, metric_of


def reached_for_good(x: np.ndarray, curve: np.ndarray, target: float, sign: int = 1) -> float:
    """The first of ``x`` from which on ``curve`` stays at or below ``target``; infinite where it never does.

    Both are (iterations,); entries that were not measured are NaN. At or above it where ``sign`` is -1.
    """
    measured = ~np.isnan(curve)
    x, curve = x[measured], curve[measured]
    worse = np.flatnonzero(sign * curve > sign * target)
    first = 0 if worse.size == 0 else int(worse[-1]) + 1
    return float(x[first]) if first < len(x) else float("inf")


def reached_first(x: np.ndarray, curve: np.ndarray, target: float, sign: int = 1) -> float:
    """As :func:`reached_for_good`, where ``curve`` is there for the first time, however it goes on."""
    there = np.flatnonzero(sign * curve <= sign * target)
    return float(x[there[0]]) if there.size else float("inf")


def noise_levels(table: pd.DataFrame) -> pd.Series:
    """The deviance that noise leaves, of each run: the truth's own, or else what its model expects of itself.

    NaN where neither was asked for, or the run did not complete.
    """
    known = [table[name] for name in NOISE_LEVELS if name in table]
    found = known[0].combine_first(known[1]) if len(known) > 1 else pd.concat(known) if known else np.nan
    return pd.Series(found, index=table.index, dtype=float)


def curve_against(dataset: xr.Dataset, row: int, metric: str, x: str) -> tuple[np.ndarray, np.ndarray]:
    """``x`` ("seconds", "iteration", "data_passes") and ``metric`` of the run in ``row``, (iterations,) each.

    NaN where nothing was measured, and beyond the run's end.
    """
    curve = dataset[f"{metric}_curve"].values[row]
    if x == "iteration":
        return np.arange(float(len(curve))) * np.where(np.isnan(curve), np.nan, 1.0), curve
    return dataset[f"{x}_curve"].values[row], curve


def runs_to_target(
    table: pd.DataFrame,
    study: pd.DataFrame,
    dataset: xr.Dataset,
    metric: str,
    within: float,
    costs: Sequence[str] = ("seconds", "iteration"),
    target: str = "way",
) -> pd.DataFrame:
    """What each planned run of ``table`` costs until it has solved its problem.

    Parameters
    ----------
    table
        The runs in question, failed and missing ones as well; they alone set targets.
    study
        All planned runs of the study: lines and conditions are in its words.
    metric
        What has a target; it says itself whether lower or higher is better.
    within
        tau, the share of the way from the start to the best end that may be left; of what noise leaves, what
        may be on top of it.
    costs
        Of "seconds", "iteration" and "data_passes".
    target
        "way", or "noise": the truth's own deviance, and where none is known the median of what the models of
        the problem's completed runs expect of themselves.

    Returns
    -------
    A row for each of ``table``, with its index: ``problem`` (a number), ``condition``, ``seed``, ``line``,
    ``status``, ``target`` (NaN where no run has come to anything better than the start, or nobody knows what
    noise leaves) and a column for each of ``costs``.
    """
    runs = _runs(table, study)
    completed = (runs["status"] == Status.COMPLETED) & ~are_imported(table)
    known = metric_of(metric)
    sign = known.sign if known else 1
    places = {name: int(row) for name, row in table.loc[completed, "row"].items()}
    ends = _ends(dataset, metric, places).reindex(table.index)
    has_target = ends["end"].notna().groupby(runs["problem"]).transform("any")
    if target == "noise":
        runs["target"] = (1 + within) * _shared_noise_level(table[completed], runs["problem"])
        has_target &= runs["target"].notna()
    else:
        runs["target"] = _targets(ends, runs["problem"], within, sign)
    is_judged = has_target | ~completed.groupby(runs["problem"]).transform("any")
    is_known = is_judged & (runs["status"] != MISSING) & ~are_imported(table)
    for x in costs:
        runs[x] = np.where(is_known, np.inf, np.nan)
        for name, row in places.items():
            goal = runs.at[name, "target"]
            if np.isfinite(goal):
                runs.at[name, x] = reached_for_good(*curve_against(dataset, row, metric, x), goal, sign)
    if "seconds" in costs:
        was_alone = table.index.isin(timed(table)[0].index)
        runs["seconds"] = runs["seconds"].where(was_alone | np.isinf(runs["seconds"]))
    return runs


def _runs(table: pd.DataFrame, study: pd.DataFrame) -> pd.DataFrame:
    """Problem, line and status of each run."""
    line = line_labels(study, "solver").loc[table.index].astype(str)
    keys = _problem_columns(table, line)
    problems = table.groupby(keys, dropna=False, sort=False).ngroup() if keys else 0
    return pd.DataFrame(
        {
            "problem": problems,
            "condition": condition_labels(study).loc[table.index],
            "seed": table.get("seed", 0),
            "line": line,
            "status": table["status"].astype(str),
        },
        index=table.index,
    )


def _problem_columns(table: pd.DataFrame, line: pd.Series) -> list[str]:
    """What tells problems apart.

    How long runs may go on does not, where it tells no two runs of a line apart: a solver that is given more
    iterations than the others is given the same problem.
    """
    seed = ["seed"] if "seed" in table else []
    stops = {name for path, name in table.attrs.get("paths", {}).items() if path.startswith("stop.")}
    keys = [*condition_columns(table, without=stops), *seed]
    if not table[keys].assign(line=line).duplicated().any():
        return keys
    return [*condition_columns(table), *seed]


def _ends(dataset: xr.Dataset, metric: str, places: Mapping[Hashable, int]) -> pd.DataFrame:
    """First and last measured value, ``start`` and ``end``, of the runs in the rows ``places``."""
    rows = []
    for row in places.values():
        curve = dataset[f"{metric}_curve"].values[row]
        measured = curve[~np.isnan(curve)]
        rows.append((measured[0], measured[-1]) if measured.size else (np.nan, np.nan))
    return pd.DataFrame(rows, index=pd.Index(places), columns=["start", "end"], dtype=float)


def _shared_noise_level(completed: pd.DataFrame, problems: pd.Series) -> pd.Series:
    """What noise leaves on the problem of each run: the truth's deviance, else the median of the models'."""
    found = pd.Series(np.nan, index=problems.index)
    for name in NOISE_LEVELS:
        if name in completed:
            level = completed[name].astype(float).groupby(problems.loc[completed.index]).median()
            found = found.combine_first(problems.map(level))
    return found


def _targets(ends: pd.DataFrame, problems: pd.Series, within: float, sign: int) -> pd.Series:
    """The target of each run; where starts differ, by the middle one of its problem."""
    best = sign * (sign * ends["end"]).groupby(problems).transform("min")
    start = ends["start"].groupby(problems).transform("median")
    target = best + within * (start - best)
    return target.where((sign * best < sign * start) & np.isfinite(target))


def ratios(costs: pd.Series, problems: pd.Series) -> pd.Series:
    """Each cost over the smallest one of its problem: 1 for the best, infinite or NaN where the cost is.

    A cost of nothing is taken for the smallest positive one of its problem, so that the others keep a ratio.
    """
    positive = costs.where((costs > 0) & np.isfinite(costs))
    found = costs / positive.groupby(problems).transform("min")
    return found.mask(costs == 0, 1.0).mask(np.isinf(costs), np.inf)


def performance_profile(runs: pd.DataFrame, cost: str) -> pd.DataFrame:
    """The share of its problems that each line solves at no more than a multiple of the smallest cost.

    Parameters
    ----------
    runs
        As of :func:`runs_to_target`.
    cost
        The column that is compared.

    Returns
    -------
    The steps of each line, in the order of ``runs``: ``line``, ``ratio`` (from 1 on, increasing), ``share``
    (from this ratio on) and ``problems``, the number that it is a share of: those that the line was planned
    for and whose run is known. A line of which nothing is known has no steps.
    """
    found = ratios(runs[cost], runs["problem"])
    parts = []
    for line, of_line in found.groupby(runs["line"], sort=False):
        known = np.sort(of_line.dropna().to_numpy())
        steps = np.union1d([1.0], known[np.isfinite(known)])
        share = np.searchsorted(known, steps, side="right") / max(1, len(known))
        if len(known):
            parts.append(pd.DataFrame({"line": line, "ratio": steps, "share": share, "problems": len(known)}))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def profile_summary(runs: pd.DataFrame, cost: str) -> pd.DataFrame:
    """One row a line: on how many problems it is first, within twice the first, there at all, and never.

    Those come first that solve the largest share of their problems. ``unknown`` counts the runs that no
    profile has; ``median`` is that of the cost, infinite where it is for half of the problems or more.
    """
    found = ratios(runs[cost], runs["problem"])
    rows = []
    for line, of_line in found.groupby(runs["line"], sort=False):
        known = of_line.dropna()
        costs = runs.loc[known.index, cost]
        rows.append(
            {
                "line": line,
                "problems": len(known),
                "first": int((known <= 1).sum()),
                "twice": int((known <= 2).sum()),
                "solved": int(np.isfinite(known).sum()),
                "never": int(np.isinf(known).sum()),
                "median": float(np.median(costs)) if len(costs) else float("nan"),
                "unknown": int(of_line.isna().sum()),
            }
        )
    summary = pd.DataFrame(rows)
    shares = summary[["solved", "first"]].div(summary["problems"].clip(lower=1), axis=0)
    return summary.loc[shares.sort_values(["solved", "first"], ascending=False, kind="stable").index]
