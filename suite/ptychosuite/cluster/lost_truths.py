"""Truths that are missing, or were cut off, written again: the problem of a run has its truth."""

from __future__ import annotations

from contextlib import suppress

from ptychosuite.core.plan import Plan
from ptychosuite.core.problem import Reference
from ptychosuite.core.runs import RunSpec
from ptychosuite.execute.judged import problem_on_host
from ptychosuite.store.compact import noted_truths
from ptychosuite.store.layout import SUFFIX, Store
from ptychosuite.store.read import inventory, readable_run
from ptychosuite.store.write import write_reference


def write_lost_truths(plan: Plan, store: Store) -> list[str]:
    """Write what is lost of the truths of the runs of ``plan``; the names of those that were written.

    The dataset, which is up to date, says which there should be: run files are read where one is lost.
    """
    references = store.references
    there = {key.removesuffix(SUFFIX) for key in references.files() if (references / key).ends_as_zip()}
    lost = noted_truths(store) - there
    if not lost:
        return []
    written, files = [], inventory(store).done
    for run_id in plan.run_ids:
        record = readable_run(files[run_id]) if run_id in files else None
        if record is None or record.reference not in lost:
            continue
        lost.remove(record.reference)
        truth = _truth_of(record.spec)
        if truth is not None and truth.name == record.reference:
            written.append(write_reference(store, truth))
    return written


def _truth_of(spec: RunSpec) -> Reference | None:
    """What a run is compared with; None where its problem cannot be made here."""
    with suppress(Exception):  # of a plug-in, or a file that has gone: the runs are as good without
        return problem_on_host(spec).reference
    return None
