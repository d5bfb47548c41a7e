"""The plan of a study whose settings are found by tries: known when all tries have ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ptychosuite.analysis.tries import has_value, median_text, names_of, no_value, ranking
from ptychosuite.core.plan import Plan, Tuned
from ptychosuite.core.runs import RunRecord, Status
from ptychosuite.errors import StudyError
from ptychosuite.metrics.metric import metric_named
from ptychosuite.registry.factors import factor_names, value_in_words
from ptychosuite.store.layout import Store, results_of
from ptychosuite.store.place import Place
from ptychosuite.store.read import Inventory, inventory, readable_run
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import StudyFile
from ptychosuite.study.tuning import Contest, Tuning, tuning_of


class NotTuned(StudyError):
    """Tries of a study have not ended, so that nobody knows which runs it compares.

    Parameters
    ----------
    tuning
        The tries.
    to_do
        How many of them.
    """

    def __init__(self, name: str, tuning: Tuning, to_do: int) -> None:
        total = len(tuning.plan.runs)
        super().__init__(
            f"{name}: {to_do} of its {total} tries are to do, and they tell which settings it compares; "
            "'ptychosuite run STUDY' does them first, and --set tune=off leaves them out"
        )
        self.tuning, self.to_do = tuning, to_do

    @property
    def what_follows(self) -> str:
        """What these runs are, and what comes after them."""
        contests, compared = len(self.tuning.contests), len(self.tuning.expansion.written)
        return (
            f"these are tries, for {contests} set{'s' * (contests > 1)} of settings; the {compared} runs of "
            "the study follow, with those that do best"
        )


def in_words(every: Sequence[Tuned]) -> list[str]:
    """What the tries of each solver have found, a line each."""
    return [_in_words(tuned, name) for tuned, name in zip(every, names_of(every), strict=True)]


def _in_words(tuned: Tuned, name: str) -> str:
    if any(tuned.completed) and not has_value(tuned):
        told = no_value(metric_named(tuned.metric))
        return f"tuned: {name}: {told} in any of {len(tuned.tries)} tries; it stays as it is written"
    if not any(tuned.completed):
        return f"tuned: {name}: none of {len(tuned.tries)} tries completed; it stays as it is written"
    metric, chosen = metric_named(tuned.metric), tuned.tries[tuned.chosen]
    names = factor_names(chosen)
    settings = ", ".join(
        f"{names[path]} {value_in_words(value) or 'default'}" for path, value in chosen.items()
    )
    before, after = (median_text(tuned, place) for place in (0, tuned.chosen))
    return (
        f"tuned: {name}: {settings}, the best of {len(tuned.tries)} tries "
        f"({metric.label} {after}; as written {before})"
    )


def settled_plan(study: StudyFile, results: str, without_failed: bool = False) -> Plan:
    """The runs of ``study``, with the settings that its tries have found where it has a section ``tune``.

    Parameters
    ----------
    results
        Folder that holds a results folder for each study, or ``s3://bucket/prefix``.
    without_failed
        Whether tries that have failed are to do.

    Raises
    ------
    NotTuned
        Not all tries have ended.
    StudyError
        With the place in the file, of anything that is wrong.
    """
    tuning = tuning_of(study)
    if tuning is None:
        return make_plan(study)
    tuned = found(study.name, tuning, results, without_failed)
    return replace(make_plan(study, tuning.settle(tuned), tuning.expansion), tuned=tuned)


def found(name: str, tuning: Tuning, results: str, without_failed: bool = False) -> tuple[Tuned, ...]:
    """What the tries of the study ``name`` have found.

    Raises
    ------
    NotTuned
        Not all have ended.
    """
    store = Store.find(results_of(results, tuning.plan.name))
    held = inventory(store) if store else Inventory({}, {})
    files = held.done if without_failed else held.files
    to_do = len({*tuning.plan.run_ids} - files.keys())
    if to_do:
        raise NotTuned(name, tuning, to_do)
    values = {run_id: _value(files[run_id], tuning.metric) for run_id in tuning.plan.run_ids}
    return tuple(_tuned(contest, tuning.metric, values) for contest in tuning.contests)


def _value(file: Place, metric: str) -> float:
    """What a try ended with; NaN where it did not complete, infinite where it did and has no value."""
    run = readable_run(file)
    if run is None or run.status is not Status.COMPLETED:
        return float("nan")
    value = seconds_to_tolerance(run) if metric == "seconds_to_tol" else run.metrics.get(metric, float("nan"))
    return float("inf") if np.isnan(value) else value


def seconds_to_tolerance(run: RunRecord) -> float:
    """The solver time after which ``run`` met its tolerance, by its clock; NaN where it never did."""
    after = run.metrics.get("iterations_to_tol", float("nan"))
    return float("nan") if np.isnan(after) else float(run.curves["seconds"][int(after)])


def _tuned(contest: Contest, metric: str, values: Mapping[str, float]) -> Tuned:
    reached = np.array([[values[run_id] for run_id in run_ids] for run_ids in contest.run_ids])
    ranks = ranking(reached, metric_named(metric).sign)
    chosen = contest.tries[ranks.best]
    return Tuned(
        solver=contest.solver,
        where=contest.where,
        metric=metric,
        tries=contest.tries,
        ranks=ranks.ranks.tolist(),
        medians=[value if np.isfinite(value) else None for value in ranks.medians.tolist()],
        completed=ranks.completed.tolist(),
        problems=reached.shape[1],
        chosen=ranks.best,
        without=ranks.without.tolist(),
        at_bound=[path for path, value in chosen.items() if contest.space[path].is_at_bound(value)],
    )
