"""How much sooner a fast-forwarded run is at a target than the plain one.

The two differ in the fast-forward alone. A run that never comes to the target is censored: where it is the
fast-forwarded one, the speed-up is below what reaching the target at its last iteration would have given;
where it is the plain one, above what the plain run's length tells. Censored pairs are never dropped: median
and interval are order statistics, taken once with such a pair at its lower bound (0 where there is none) and
once at its upper one (infinity). A pair of which neither comes to the target tells nothing of the speed-up:
it is counted, and in no median.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from ptychosuite.analysis.labels import line_labels
from ptychosuite.analysis.outcomes import MISSING
from ptychosuite.analysis.statistics import interval_rank
from ptychosuite.analysis.tables import timed
from ptychosuite.analysis.to_target import curve_against, noise_levels, reached_first, reached_for_good
from ptychosuite.core.runs import Status
from ptychosuite.metrics.metric import known_metrics, metric_of

AS_GOOD = 1e-3  # of the plain run's final value, by which one may be worse and has ended as well
NAN, INF = float("nan"), float("inf")

BOTH, ALONE, PLAIN_ALONE, NEITHER, UNKNOWN = "both", "it alone", "plain alone", "neither", "unknown"
"""Who comes to the target: the two, the fast-forwarded run, the plain one, nobody; or there is no target."""


@dataclass(frozen=True)
class Median:
    """A median known within [low, high], and an interval for it; 0 and infinity where there is no limit."""

    low: float
    high: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Goal:
    """What the two runs of a pair are to come to, and what is counted until then.

    Parameters
    ----------
    metric
        What is compared; it says itself whether lower or higher is better.
    x
        "seconds", "iteration" or "data_passes".
    target
        "plain", what the plain run ends with; "noise", what noise leaves of a deviance: the truth's own, and
        where none is known what the plain run's model expects of itself; "best", the best value that the
        plain run has on its whole way. The last is reached where a curve is there for the first time, the
        others where it stays.
    within
        How much worse than the target will do, as a share of it.
    at
        The number of iterations after which both runs are taken to end; None: where they do.
    """

    metric: str
    x: str
    target: Literal["plain", "noise", "best"] = "plain"
    within: float = 0.0
    at: int | None = None

    @property
    def sign(self) -> int:
        """1, or -1 where higher is better."""
        known = metric_of(self.metric)
        return known.sign if known else 1


def censored_median(low: Sequence[float], high: Sequence[float]) -> Median:
    """Median of values that lie between ``low`` and ``high``, with its 95 % interval by order statistics.

    The interval holds whatever the distribution is; below six values there is none of that confidence. NaN of
    no values.
    """
    lowest, highest = np.sort(np.asarray(low, float)), np.sort(np.asarray(high, float))
    n = len(lowest)
    if n == 0:
        return Median(NAN, NAN, (0.0, INF))
    rank = interval_rank(n)
    interval = (float(lowest[rank - 1]), float(highest[n - rank])) if rank else (0.0, INF)
    return Median(float(np.median(lowest)), float(np.median(highest)), interval)


def speed_up_pairs(
    table: pd.DataFrame, dataset: xr.Dataset, goal: Goal, lines: pd.Series | None = None
) -> pd.DataFrame:
    """One row a fast-forwarded run that has a plain partner which completed, and did not end before ``at``.

    Parameters
    ----------
    table
        The runs of a study, those that failed as well; missing ones make no pair.
    lines
        What the line of each run is called; by default by what tells the solvers of ``table`` apart.

    Returns
    -------
    Columns ``line``, ``run_id``, ``plain_run_id``, ``target``, ``plain`` and ``reached`` (x at the target,
    infinite where it is never reached), ``outcome`` (who comes to it), ``speed_up`` and ``bound`` (it lies
    between the two, which agree where both come to the target; NaN where it tells nothing), ``ended_worse``
    (whether the final value is worse than the plain one by more than a share of 0.001 of its size),
    ``noise_limited`` (1 where the plain run ends at or below what noise leaves, 0 where it does not, NaN
    where nobody knows), ``final_ratio`` of the metric (NaN of values below zero) and ``held_out_ratio``,
    changes of quality, figures of the jumps, and ``share_steps``, ``share_inference`` and
    ``share_look_ahead``, parts of the whole run's solver time.
    ``attrs["sign"]`` is 1, or -1 where higher is better; ``attrs["ended_before"]`` counts the plain runs that
    were too short. In seconds, ``attrs["untimed"]`` counts the pairs that are left out, as not both runs are
    of the timing lane; where no run is, all are taken, and ``attrs["note"]`` is what to add to the name.
    """
    if "fast_forward" not in table.attrs["factors"]:
        return pd.DataFrame()
    labels = line_labels(table, "solver") if lines is None else lines
    levels = noise_levels(table)
    places = _places(table)
    comparable, note = _comparable(places, table, goal.x)
    rows, ended_before = [], set()
    for partner, number in comparable:
        first, second = (_Course(table.iloc[row], dataset, goal) for row in (partner, number))
        if first.ended_before:
            ended_before.add(partner)
            continue
        rows.append({"line": labels.iloc[number], **_pair(first, second, levels.iloc[partner])})
    pairs = pd.DataFrame(rows)
    pairs.attrs |= {"sign": goal.sign, "ended_before": len(ended_before)}
    pairs.attrs |= {"untimed": len(places) - len(comparable), "note": note}
    return pairs


def _places(table: pd.DataFrame) -> list[tuple[int, int]]:
    """Where the two runs of each pair are in ``table``, the plain one first."""
    shared = [name for name in table.attrs["factors"] if name != "fast_forward"]
    keys = [tuple(map(str, values)) for values in table[shared].to_numpy().tolist()]
    is_plain = (table["fast_forward"] == "").to_numpy()
    status = table["status"].tolist()
    plain = {key: row for row, key in enumerate(keys) if is_plain[row]}
    return [
        (plain[key], number)
        for number, key in enumerate(keys)
        if not is_plain[number]
        and key in plain
        and status[plain[key]] == Status.COMPLETED
        and status[number] != MISSING  # nobody knows yet how it would have ended
    ]


def _comparable(
    places: Sequence[tuple[int, int]], table: pd.DataFrame, x: str
) -> tuple[Sequence[tuple[int, int]], str]:
    """Those of ``places`` whose runs may be compared in ``x``, and what to add to its name."""
    if x != "seconds":
        return places, ""
    alone, note = timed(table)
    was_alone = table.index.isin(alone.index)
    return [pair for pair in places if was_alone[[*pair]].all()], note


def speed_up_summary(pairs: pd.DataFrame) -> pd.DataFrame:
    """One row a line: how many pairs come to the target, median speed-up and interval, quality and cost."""
    rows, lower = [], pairs.attrs["sign"] == 1
    for line, members in pairs.groupby("line", sort=False):
        ratios, outcome = members["final_ratio"], members["outcome"]
        telling = members[members["speed_up"].notna()]
        median = censored_median(telling["speed_up"], telling["bound"])
        tried = members["ff_jumps"].sum()
        rows.append(
            {
                "line": line,
                "pairs": len(members),
                "counted": len(telling),
                **{name.replace(" ", "_"): int((outcome == name).sum()) for name in OUTCOMES},
                "never_reached": int(outcome.isin([PLAIN_ALONE, NEITHER]).sum()),
                "noise_limited": members["noise_limited"].sum(min_count=1),
                "speed_up": median.low,
                "speed_up_bound": median.high,
                "interval_low": median.interval[0],
                "interval_high": median.interval[1],
                "ended_worse": int(members["ended_worse"].sum()),
                "final_ratio": ratios.median(),
                "worst_final_ratio": ratios.max(skipna=False) if lower else ratios.min(skipna=False),
                **{name: members[name].median() for name in _medians() if name in members},
                "rejected": members["ff_rejected"].sum() / tried if tried else NAN,
                "inference_seconds": members["ff_seconds_inference"].median(),
            }
        )
    return pd.DataFrame(rows)


OUTCOMES = (BOTH, ALONE, PLAIN_ALONE, NEITHER, UNKNOWN)
SHARES = ("share_steps", "share_inference", "share_look_ahead")


def _medians() -> list[str]:
    return ["held_out_ratio", *_changes().values(), *SHARES]


def _changes() -> dict[str, str]:
    """Metric -> column of its change by the fast-forward."""
    return {metric.name: metric.change_name for metric in known_metrics() if metric.change_name}


@dataclass(frozen=True)
class _Course:
    """One run of a pair as far as the goal looks."""

    run: pd.Series
    dataset: xr.Dataset
    goal: Goal

    @property
    def completed(self) -> bool:
        return bool(self.run["status"] == Status.COMPLETED)

    @property
    def ended_before(self) -> bool:
        """Whether it ended before the iteration at which it is taken to end."""
        return self.goal.at is not None and self._iterations < self.goal.at

    @property
    def _iterations(self) -> float:
        iterations, _ = curve_against(self.dataset, self.run["row"], self.goal.metric, "iteration")
        return float(np.nanmax(iterations, initial=0.0))

    @property
    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """x and the metric, (iterations,) each."""
        end = None if self.goal.at is None else self.goal.at + 1
        x, values = curve_against(self.dataset, self.run["row"], self.goal.metric, self.goal.x)
        return x[:end], values[:end]

    @property
    def end(self) -> float:
        """x at its end."""
        return float(np.nanmax(self.curve[0], initial=0.0))

    def reached(self, target: float) -> float:
        """x at the target; infinite for a run that did not complete."""
        if not self.completed:
            return INF
        find = reached_first if self.goal.target == "best" else reached_for_good
        return find(*self.curve, target, self.goal.sign)

    def final(self, name: str) -> float:
        """A metric at the end; NaN where it has none, or is known only for an end that is not looked at."""
        if self.goal.at is None or self.goal.at == self._iterations:
            return float(self.run.get(name, NAN))
        if f"{name}_curve" not in self.dataset:
            return NAN
        values = self.dataset[f"{name}_curve"].values[self.run["row"]][: self.goal.at + 1]
        measured = values[~np.isnan(values)]
        return float(measured[-1]) if measured.size else NAN

    def target(self, level: float) -> float:
        """What both runs are to come to, where this is the plain one and noise leaves ``level``."""
        goal = self.goal
        if goal.target == "noise":
            value = level
        elif goal.target == "best":
            value = goal.sign * float(np.fmin.reduce(goal.sign * self.curve[1], initial=NAN))
        else:
            value = self.final(goal.metric)
        return value + goal.sign * goal.within * abs(value)


def _pair(plain: _Course, other: _Course, level: float) -> dict[str, Any]:
    goal, changes = plain.goal, _changes()
    target = plain.target(level)
    ends = plain.final(goal.metric), other.final(goal.metric)
    ratio = NAN if min(ends) < 0 else _ratio(*ends[::-1])
    held_out = _ratio(*(run.final("held_out_deviance") for run in (other, plain)))
    return {
        "run_id": other.run["run_id"],
        "plain_run_id": plain.run["run_id"],
        "target": target,
        **_speed_up(plain, other, target),
        "noise_limited": _noise_limited(plain.final("poisson_deviance"), level),
        "ended_worse": not other.completed or not _is_as_good(*ends, goal.sign),
        "final_ratio": ratio if other.completed else INF if goal.sign == 1 else 0.0,
        "held_out_ratio": held_out,
        **{to: other.final(name) - plain.final(name) for name, to in changes.items() if name in plain.run},
        **{name: _number(other.run, name) for name in ("ff_jumps", "ff_rejected", "ff_seconds_inference")},
        **_shares(other.run),
    }


def _speed_up(plain: _Course, other: _Course, target: float) -> dict[str, Any]:
    """Who comes to the target, and between which bounds the speed-up lies."""
    at, reached = plain.reached(target), other.reached(target)
    found = {"plain": at, "reached": reached}
    if np.isnan(target):
        return {**found, "outcome": UNKNOWN, "speed_up": NAN, "bound": NAN}
    if np.isinf(at) and np.isinf(reached):
        return {**found, "outcome": NEITHER, "speed_up": NAN, "bound": NAN}
    if np.isinf(at):
        return {**found, "outcome": ALONE, "speed_up": _ratio(plain.end, reached), "bound": INF}
    if np.isinf(reached):
        bound = _ratio(at, other.end) if other.completed else 0.0
        return {**found, "outcome": PLAIN_ALONE, "speed_up": 0.0, "bound": bound}
    return {**found, "outcome": BOTH, "speed_up": _ratio(at, reached), "bound": _ratio(at, reached)}


def _is_as_good(plain: float, other: float, sign: int) -> bool:
    """Whether ``other`` is not worse than ``plain`` by more than a small share; NaN is no good end."""
    return plain == other or sign * (other - plain) <= AS_GOOD * abs(plain)


def _noise_limited(deviance: float, level: float) -> float:
    """1 for a deviance that has come down to what noise leaves, 0 above it, NaN where either is not known."""
    return NAN if np.isnan(deviance + level) else float(deviance <= level)


def _shares(run: pd.Series) -> dict[str, float]:
    """What of the run's solver time was steps, the operator's inference, and looking ahead."""
    seconds = _number(run, "seconds")
    parts = [_number(run, f"ff_seconds_{part}") for part in ("inference", "look_ahead")]
    shares = [part / seconds if seconds > 0 else NAN for part in parts]
    return dict(zip(SHARES, (1 - sum(shares), *shares), strict=True))


def _ratio(plain: float, other: float) -> float:
    return 1.0 if plain == other else plain / other if other else INF


def _number(run: pd.Series, name: str) -> float:
    return float(run.get(name, NAN))
