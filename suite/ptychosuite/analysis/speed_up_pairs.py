"""How much sooner a fast-forwarded run is where the plain one ends.

The two differ in the fast-forward alone; the target is the value that the plain run ends with, or a little
more. A run reaches it where its curve comes below for good. One that never does is censored: its speed-up is
below what reaching the target at its last iteration would have given. Censored pairs are never dropped:
median and interval are order statistics, taken once with such a pair at its bound and once at 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import bdtr

from ptychosuite.analysis.labels import line_labels
from ptychosuite.analysis.outcomes import MISSING
from ptychosuite.analysis.to_target import curve_against, reached_for_good
from ptychosuite.core.runs import Status
from ptychosuite.metrics.metric import known_metrics, metric_of

CONFIDENCE = 0.95
AS_GOOD = 1.001  # final value over the plain run's up to which a run has ended as well


@dataclass(frozen=True)
class Median:
    """A median known within [low, high], and an interval for it; 0 and infinity where there is no limit."""

    low: float
    high: float
    interval: tuple[float, float]


def censored_median(low: Sequence[float], high: Sequence[float]) -> Median:
    """Median of values that lie between ``low`` and ``high``, with its 95 % interval by order statistics.

    The interval holds whatever the distribution is; below six values there is none of that confidence.
    """
    lowest, highest = np.sort(np.asarray(low, float)), np.sort(np.asarray(high, float))
    n = len(lowest)
    at_most = bdtr(np.arange(n + 1), n, 0.5)  # the binomial distribution
    rank = int(np.argmax(at_most >= (1 - CONFIDENCE) / 2))
    interval = (float(lowest[rank - 1]), float(highest[n - rank])) if rank else (0.0, float("inf"))
    return Median(float(np.median(lowest)), float(np.median(highest)), interval)


def speed_up_pairs(
    table: pd.DataFrame, dataset: xr.Dataset, metric: str, x: str, within: float = 0.0
) -> pd.DataFrame:
    """One row a fast-forwarded run that has a plain partner which completed.

    Parameters
    ----------
    table
        The runs of a study, those that failed as well; missing ones make no pair.
    metric
        What is compared; it says itself whether lower or higher is better.
    x
        "seconds", "iteration" or "data_passes".
    within
        How much worse than the plain run's final value will do, as a share of it.

    Returns
    -------
    Columns ``line``, ``run_id``, ``plain_run_id``, ``target``, ``plain`` and ``reached`` (x at the target),
    ``speed_up`` and ``bound`` (it lies between the two: they agree where the target is reached, and are 0 and
    its bound where it is not), ``final_ratio`` of the metric, changes of quality and figures of the jumps.
    ``attrs["sign"]`` is 1, or -1 where higher is better.
    """
    known = metric_of(metric)
    sign = known.sign if known else 1
    if "fast_forward" not in table.attrs["factors"]:
        return pd.DataFrame()
    shared = [name for name in table.attrs["factors"] if name != "fast_forward"]
    labels = line_labels(table, "solver")
    keys = [tuple(map(str, values)) for values in table[shared].to_numpy().tolist()]
    is_plain = (table["fast_forward"] == "").to_numpy()
    plain = {key: row for key, row in zip(keys, range(len(table)), strict=True) if is_plain[row]}
    rows = []
    for number, key in enumerate(keys):
        partner = plain.get(key)
        if is_plain[number] or partner is None or table["status"].iloc[partner] != Status.COMPLETED:
            continue
        if table["status"].iloc[number] == MISSING:  # nobody knows yet how it would have ended
            continue
        pair = _pair(table.iloc[partner], table.iloc[number], dataset, metric, x, within, sign)
        rows.append({"line": labels.iloc[number], **pair})
    pairs = pd.DataFrame(rows)
    pairs.attrs["sign"] = sign
    return pairs


def speed_up_summary(pairs: pd.DataFrame) -> pd.DataFrame:
    """One row a line: number of pairs, median speed-up and interval, quality and cost of the jumps."""
    rows, lower = [], pairs.attrs["sign"] == 1
    for line, members in pairs.groupby("line", sort=False):
        ratios = members["final_ratio"]
        as_good = ratios <= AS_GOOD if lower else ratios >= 1 / AS_GOOD
        median = censored_median(members["speed_up"], members["bound"])
        tried = members["ff_jumps"].sum()
        rows.append(
            {
                "line": line,
                "pairs": len(members),
                "never_reached": int(np.isinf(members["reached"]).sum()),
                "speed_up": median.low,
                "speed_up_bound": median.high,
                "interval_low": median.interval[0],
                "interval_high": median.interval[1],
                "ended_worse": int((~as_good).sum()),
                "worst_final_ratio": ratios.max(skipna=False) if lower else ratios.min(skipna=False),
                **{name: members[name].median() for name in _changes().values() if name in members},
                "rejected": members["ff_rejected"].sum() / tried if tried else float("nan"),
                "inference_seconds": members["ff_seconds_inference"].median(),
            }
        )
    return pd.DataFrame(rows)


def _changes() -> dict[str, str]:
    """Metric -> column of its change by the fast-forward."""
    return {metric.name: metric.change_name for metric in known_metrics() if metric.change_name}


def _pair(
    plain: pd.Series, other: pd.Series, dataset: xr.Dataset, metric: str, x: str, within: float, sign: int
) -> dict[str, Any]:
    final = float(plain[metric])
    target = final + sign * within * abs(final)
    plain_x, plain_curve = curve_against(dataset, plain["row"], metric, x)
    other_x, other_curve = curve_against(dataset, other["row"], metric, x)
    at = reached_for_good(plain_x, plain_curve, target, sign)
    completed = other["status"] == Status.COMPLETED
    reached = reached_for_good(other_x, other_curve, target, sign) if completed else float("inf")
    end, changes = float(np.nanmax(other_x, initial=0.0)), _changes()
    return {
        "run_id": other["run_id"],
        "plain_run_id": plain["run_id"],
        "target": target,
        "plain": at,
        "reached": reached,
        "speed_up": _ratio(at, reached),
        "bound": _ratio(at, min(reached, end)) if completed else 0.0,
        "final_ratio": _number(other, metric) / final if completed else float("inf") if sign == 1 else 0.0,
        **{to: _number(other, name) - _number(plain, name) for name, to in changes.items() if name in plain},
        **{name: _number(other, name) for name in ("ff_jumps", "ff_rejected", "ff_seconds_inference")},
    }


def _ratio(plain: float, other: float) -> float:
    return 1.0 if plain == other else plain / other if other else float("inf")


def _number(run: pd.Series, name: str) -> float:
    return float(run.get(name, float("nan")))
