"""Runs that are stored, carried out once more somewhere else."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptychosuite.commands.sweeping import connected
from ptychosuite.errors import BackendError, DataFileError, StoreError, StudyError, UserError

if TYPE_CHECKING:
    from ptychosuite.analysis.repetition import Comparison
    from ptychosuite.cluster.connection import ClusterKind
    from ptychosuite.cluster.work import Terms
    from ptychosuite.core.runs import RunRecord, RunSpec
    from ptychosuite.store.layout import Store
    from ptychosuite.store.place import Place

STOPPED = "nothing is kept of what was run again, and the results are as they were."


@dataclass(frozen=True)
class Stored:
    """A run of the store, without its images."""

    file: Place
    record: RunRecord


def newest_runs(store: Store) -> tuple[list[Stored], dict[str, str]]:
    """The latest run of every specification in ``store``, and why a file (by its run) cannot be read."""
    from ptychosuite.store.read import inventory, read_run

    held = inventory(store)
    newest: dict[str, Stored] = {}
    unreadable: dict[str, str] = {}
    for run_id, file in {**held.failed, **held.done}.items():
        try:
            run = Stored(file, read_run(file, images=False))
        except StoreError as error:
            unreadable[run_id] = str(error)
            continue
        other = newest.get(run.record.spec.spec_id)
        if other is None or _start(other) <= _start(run):
            newest[run.record.spec.spec_id] = run
    return sorted(newest.values(), key=lambda run: (run.record.spec.solver["name"], _start(run))), unreadable


def _start(run: Stored) -> str:
    return str(run.record.provenance.get("start", ""))


def repeat(
    runs: Sequence[Stored],
    kind: ClusterKind,
    terms: Terms,
    *,
    backend: str | None,
    data: Path | None,
    beside: Place,
    quiet: bool,
) -> Iterator[Comparison]:
    """Carry out ``runs`` again and compare each with what is stored, which stays untouched.

    ``backend`` takes the place of the runs' own; ``data`` is a folder with data files that have moved. What
    is computed lies in a temporary folder, on this machine or, for workers elsewhere, beside the results.
    """
    from ptychosuite.analysis.repetition import compare, not_judged
    from ptychosuite.store.read import inventory, read_run

    specs: dict[str, RunSpec] = {}  # of the runs that can be carried out, by the stored run's id
    for run in runs:
        try:
            specs[run.record.run_id] = _ready(run.record, kind, backend, data)
        except UserError as error:
            yield not_judged(run.record, str(error))
    with _scratch(kind, beside) as scratch:
        reasons = _carry_out(list(specs.values()), scratch, kind, terms, quiet) if specs else {}
        held = inventory(scratch)
        files = {**held.failed, **held.done}
        for run in runs:
            spec = specs.get(run.record.run_id)
            if spec is None:
                continue
            run_id = spec.run_id(_code())
            if run_id not in files:
                yield not_judged(run.record, reasons[spec.spec_id])
                continue
            again = read_run(files[run_id])
            if again.message.startswith("not begun:"):
                yield not_judged(run.record, again.message.removeprefix("not begun: "))
            else:
                yield compare(read_run(run.file), again)


def _code() -> str:
    from ptychosuite.registry.fingerprint import code_fingerprint

    return code_fingerprint()


def _ready(record: RunRecord, kind: ClusterKind, name: str | None, data: Path | None) -> RunSpec:
    """What is carried out in the place of a stored run.

    Raises
    ------
    UserError
        It cannot be: a file or a device is gone, or only the clock had ended it.
    """
    from ptychosuite.backends.arrays import backend
    from ptychosuite.core.runs import Status
    from ptychosuite.registry import lookup as registry
    from ptychosuite.study.inputs import with_files_here

    if record.status is Status.TIMED_OUT:
        raise UserError("it was stopped by its time limit then, and has no result")
    spec = with_files_here(record.spec, data)
    try:
        registry.build("solvers", spec.solver)
    except TypeError as error:
        raise StudyError(f"this version's {spec.solver['name']} has other settings: {error}") from error
    if name is not None:
        spec = replace(spec, backend=name)
    if kind.on_this_machine:
        backend(spec.backend)
    return spec


@contextmanager
def _scratch(kind: ClusterKind, beside: Place) -> Iterator[Store]:
    """A results folder that is gone afterwards."""
    from ptychosuite.store.layout import Store, place

    if kind.on_this_machine:
        with tempfile.TemporaryDirectory(prefix="ptychosuite-") as folder:
            yield Store.create(Path(folder) / "again")
        return
    root = place(f"{beside}.again-{os.getpid()}")
    try:
        yield Store.create(str(root))
    finally:
        root.delete()


def _carry_out(
    specs: Sequence[RunSpec], scratch: Store, kind: ClusterKind, terms: Terms, quiet: bool
) -> Mapping[str, str]:
    """Carry out ``specs``; why (by specification) those could not be that were not.

    What one solver cannot get past (its package is missing) does not keep the others from their runs.
    """
    from ptychosuite.store.read import inventory

    try:
        with connected(kind, len(specs), quiet, STOPPED) as (connection, update):
            _follow(specs, scratch, connection, terms, update)
        return {}
    except (BackendError, DataFileError) as error:
        held = inventory(scratch)
        ended = {**held.failed, **held.done}
        left = sorted((spec for spec in specs if spec.run_id(_code()) not in ended), key=_solver)
        groups = [list(group) for _, group in groupby(left, key=_solver)]
        if len(groups) == 1:
            return {spec.spec_id: str(error) for spec in left}
        reasons: dict[str, str] = {}
        for group in groups:
            reasons |= _carry_out(group, scratch, kind, terms, quiet)
        return reasons


def _solver(spec: RunSpec) -> str:
    return str(spec.solver["name"])


def _follow(
    specs: Sequence[RunSpec],
    scratch: Store,
    connection: Any,
    terms: Terms,
    update: Callable[[Any, dict[str, Any]], None],
) -> None:
    from ptychosuite.cluster.dispatch import run_all
    from ptychosuite.cluster.resources import check_devices
    from ptychosuite.cluster.sweep import Tally

    check_devices({spec.backend for spec in specs}, connection.offers)
    tally = Tally(total=len(specs), done_before=0)
    for summary in run_all(connection, specs, scratch, terms):
        tally.counts[summary["status"]] += 1
        update(tally, summary)
