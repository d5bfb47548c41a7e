"""A results folder put in order: what it need not keep is found and set aside, another one is brought in.

Nothing is overwritten, and a file is there before it is gone elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ptychosuite.core.runs import RunRecord
from ptychosuite.errors import StoreError, UserError
from ptychosuite.registry.fingerprint import run_id_of
from ptychosuite.store.claims import Claims
from ptychosuite.store.compact import compact
from ptychosuite.store.faults import Fault, faults
from ptychosuite.store.imported import imported_results
from ptychosuite.store.layout import SUFFIX, Store
from ptychosuite.store.place import Place
from ptychosuite.store.read import ATTEMPT, RUN, inventory, read_reference, readable_run, sessions

REMOVED = "removed"
UNWANTED = {
    "failed": "tries that have failed; where no other has succeeded, the run is to do again",
    "superseded": "results of other code, of runs that are done with the present one",
    "foreign": "runs that the study does not have",
    "damaged": "files that cannot be read, or that do not belong there; runs among them are to do again",
    "orphaned": "truths that no run is compared with",
    "leftovers": "what sweeps that are no more have left half done; it is deleted",
}
"""What a results folder need not keep, in words."""


def unwanted(
    store: Store, planned: Collection[str], wrong: Collection[Fault], kinds: Collection[str] = tuple(UNWANTED)
) -> dict[str, list[Place]]:
    """Kind of :data:`UNWANTED` -> files of ``store``; nothing is written.

    Results of other code stay where the present one has none in their place, and truths where a run refers to
    them that is not among what is found.

    Parameters
    ----------
    planned
        spec_id of the study's runs.
    wrong
        All faults of ``store``.
    kinds
        Those that are asked for.
    """
    found: dict[str, list[Place]] = {kind: [] for kind in UNWANTED if kind in kinds}
    damaged = [fault.file for fault in wrong if not fault.missing]
    done, needed = inventory(store).done, {record.reference for record in imported_results(store)}
    for key in filter(RUN.fullmatch, store.runs.files()):
        record = None if (file := store.runs / key) in damaged else readable_run(file)
        if record is None:
            continue
        if (kind := _kind(record, key, planned, done)) in found:
            found[kind].append(file)
        else:
            needed.add(record.reference)
    if "damaged" in found:
        found["damaged"] = damaged
    if "orphaned" in found and ("damaged" in found or not any(map(_is_run, damaged))):
        truths = (store.references / key for key in store.references.files())
        found["orphaned"] = [
            file for file in truths if file not in damaged and file.name.removesuffix(SUFFIX) not in needed
        ]
    if "leftovers" in found:
        left = (store.root / key for key in store.root.leftovers())
        found["leftovers"] = [*Claims(store).expired(), *left]
    return found


def _kind(record: RunRecord, key: str, planned: Collection[str], done: Collection[str]) -> str:
    """Which kind of :data:`UNWANTED` a run is; empty where it is to stay."""
    if ATTEMPT.search(key):
        return "failed"
    if record.spec.spec_id not in planned:
        return "foreign"
    present = _present_id(record)
    return "superseded" if present != record.run_id and present in done else ""


def _is_run(file: Place) -> bool:
    return RUN.fullmatch(f"__/{file.name}") is not None


def set_aside(store: Store, files: Iterable[Place]) -> Place:
    """Move files of ``store`` into a new folder ``removed/<time>`` of it, where nothing looks for results.

    The dataset is not touched: compact it.

    Raises
    ------
    StoreError
        The disk or the server refuses; what has not been moved is where it was.
    """
    target = store.root / f"{REMOVED}/{datetime.now(UTC):%Y-%m-%dT%H%M%S.%fZ}"
    for file in files:
        file.set_aside(target / str(file).removeprefix(f"{store.root}/"))
    return target


@dataclass
class Brought:
    """What has been copied from one results folder into another.

    Parameters
    ----------
    runs, failed, sessions
        How many were copied; ``failed`` are tries.
    there
        Runs that were there already, and stay as they were.
    damaged
        Files that cannot be read, and were left.
    """

    runs: int = 0
    failed: int = 0
    sessions: int = 0
    there: int = 0
    damaged: list[str] = field(default_factory=list)


def bring_in(source: Store, target: Store) -> Brought:
    """Copy what ``target`` lacks of the runs and sessions of ``source``.

    Raises
    ------
    StoreError
        The folders are one, hold different studies, or the disk or the server refuses.
    """
    if source.root.address == target.root.address:
        raise StoreError(f"{source.root} cannot be merged with itself; name two results folders")
    names, others = _studies(source), _studies(target)
    if names and others and names.isdisjoint(others):
        raise StoreError(
            f"{source.root} has results of {', '.join(sorted(names))}, {target.root} of "
            f"{', '.join(sorted(others))}; only results of one study can be merged"
        )
    wrong = {
        str(fault.file) for fault in faults(source) if _is_merged(source, fault.file) and not fault.missing
    }
    brought = Brought(damaged=sorted(wrong))
    spoilt = [file for run_id, file in inventory(target).damaged.items() if run_id in inventory(source).done]
    spoilt += _damaged_truths(source, target, wrong)
    if spoilt:
        set_aside(target, spoilt)
    for folder in _merged(source):
        for key in folder.files():
            file = folder / key
            if str(file) in wrong:
                continue
            if folder == source.runs:
                _bring_run(file, target, key, brought)
            else:
                new = _copied(file, target.root / folder.name / key)
                brought.sessions += new and folder == source.sessions
    compact(target)
    return brought


def _damaged_truths(source: Store, target: Store, wrong: Collection[str]) -> Iterator[Place]:
    """Truths of ``target`` that cannot be read, and that ``source`` has whole."""
    for key in source.references.files():
        file = target.references / key
        if str(source.references / key) not in wrong and file.exists():
            try:
                read_reference(target, key.removesuffix(SUFFIX))
            except StoreError:
                yield file


def _merged(store: Store) -> tuple[Place, ...]:
    """The folders whose files are copied."""
    return store.references, store.code, store.runs, store.imported, store.sessions


def _is_merged(store: Store, file: Place) -> bool:
    return any(str(file).startswith(f"{folder}/") for folder in _merged(store))


def _bring_run(file: Place, target: Store, key: str, brought: Brought) -> None:
    run_id, _, attempt = file.name.removesuffix(SUFFIX).partition(".")
    if not attempt:
        new = _copied(file, target.runs / key)
        brought.runs += new
        brought.there += not new
        return
    content = file.read()
    for place in _attempts(target, run_id):
        if place.create(content):
            brought.failed += 1
            return
        if place.read() == content:
            return


def _attempts(store: Store, run_id: str) -> Iterator[Place]:
    number = 1
    while True:
        yield store.failed_file(run_id, number)
        number += 1


def _copied(file: Place, target: Place) -> bool:
    """Copy a file; False where something is there already, which stays."""
    try:
        content = file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StoreError(f"cannot read {file}: it has gone meanwhile") from error
    return target.create(content)


def _present_id(record: RunRecord) -> str:
    """The id of the same run with the present code; its own where that cannot be told."""
    try:
        return run_id_of(record.spec)
    except UserError:
        return record.run_id


def _studies(store: Store) -> set[str]:
    """The names of the studies that the sessions of ``store`` are of."""
    return {str(session["study"]) for session in sessions(store)}
