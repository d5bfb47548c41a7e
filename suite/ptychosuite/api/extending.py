"""Which runs that are to do can go on from stored ones that stopped sooner, and why others cannot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ptychosuite.analysis.nearest import StoredRuns
from ptychosuite.api.display import count_runs
from ptychosuite.core.plan import Plan
from ptychosuite.core.runs import RunSpec
from ptychosuite.errors import StoreError
from ptychosuite.execute.extension import refusal
from ptychosuite.registry.fingerprint import fingerprint_of, run_id_of
from ptychosuite.store.layout import Store
from ptychosuite.store.planned import StoredRun, stored_runs
from ptychosuite.store.read import Inventory, read_run

SHOWN_REFUSALS = 3


@dataclass(frozen=True)
class Extensions:
    """What ``--extend`` makes of runs that are to do.

    Parameters
    ----------
    earlier
        run_id -> that of the stored run that it goes on from.
    refused
        run_id -> why it begins at the start, of the others that have a stored run which stopped sooner.
    """

    earlier: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def refusals(self) -> str:
        """Why runs begin at the start, each reason once; empty where none does that could not."""
        counted = Counter(self.refused.values()).most_common()
        parts = [f"{count_runs(number)} from the start: {why}" for why, number in counted[:SHOWN_REFUSALS]]
        more = len(counted) - SHOWN_REFUSALS
        return "\n".join([*parts, *([f"and {more} more reasons"] if more > 0 else [])])


def extensions(
    plan: Plan, store: Store, held: Inventory, specs: Sequence[RunSpec] | None = None
) -> Extensions:
    """Of the runs of ``plan`` that are not done, those that have a stored run which stopped sooner.

    Of ``specs`` alone, where some are given; those that have results are to be computed from the start.
    """
    asked = [(run_id_of(spec), spec) for spec in (plan.runs if specs is None else specs)]
    to_do = [(run_id, spec) for run_id, spec in asked if run_id not in held.done]
    if not to_do or not held.done:
        return Extensions()
    stored = StoredRuns(stored_runs(store, plan), frozenset())
    earlier, refused = {}, {}
    for run_id, spec in to_do:
        run = stored.stopped_sooner(spec, fingerprint_of(spec))
        if run is None:
            continue
        if why := _refusal(spec, run, held):
            refused[run_id] = why
        else:
            earlier[run_id] = run.run_id
    return Extensions(earlier, refused)


def _refusal(spec: RunSpec, run: StoredRun, held: Inventory) -> str:
    """Why ``spec`` cannot go on from ``run``; empty where it can."""
    if run.code != fingerprint_of(spec):
        return "the stored run is other code's"
    try:
        return refusal(spec, read_run(held.done[run.run_id], images=False))
    except StoreError:
        return "the stored run cannot be read"
