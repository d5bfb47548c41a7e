"""A results folder put in order: what it need not keep is found and set aside, another one is brought in.

Nothing is overwritten, and a file is there before it is gone elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ptychosuite.core.runs import RunRecord
from ptychosuite.errors import StoreError, UserError
from ptychosuite.registry.fingerprint import run_id_of
from ptychosuite.store.claims import Claims
from ptychosuite.store.compact import compact
from ptychosuite.store.layout import Store
from ptychosuite.store.place import Place
from ptychosuite.store.read import RUN, checked_study, inventory, read_run

REMOVED = "removed"
UNWANTED = {
    "failed": "tries that have failed; where no other has succeeded, the run is to do again",
    "superseded": "results of other code, of runs that are done with the present one",
    "foreign": "runs that the study does not have",
    "damaged": "files that cannot be read, or that do not belong there",
    "leftovers": "what sweeps that are no more have left half done; it is deleted",
}
"""What a results folder need not keep, in words."""


def unwanted(store: Store, planned: Collection[str]) -> dict[str, list[Place]]:
    """Kind of :data:`UNWANTED` -> files of ``store``; nothing is written.

    Results of other code stay where the present one has none in their place.

    Parameters
    ----------
    planned
        spec_id of the study's runs.
    """
    found: dict[str, list[Place]] = {kind: [] for kind in UNWANTED}
    done = inventory(store).done
    for key in store.runs.files():
        file, match = store.runs / key, RUN.fullmatch(key)
        record = _readable(file) if match else None
        if match is None or record is None:
            found["damaged"].append(file)
        elif match["attempt"]:
            found["failed"].append(file)
        elif record.spec.spec_id not in planned:
            found["foreign"].append(file)
        elif _present_id(record) != record.run_id and _present_id(record) in done:
            found["superseded"].append(file)
    found["damaged"] += [store.sessions / key for key in store.sessions.files() if not _study(store, key)]
    found["leftovers"] = [*Claims(store).expired(), *(store.root / key for key in store.root.leftovers())]
    return found


def latest_study(store: Store) -> dict[str, Any]:
    """What the latest session that can be read noted.

    Raises
    ------
    StoreError
        There is none.
    """
    for key in sorted(store.sessions.files(), reverse=True):
        if study := _study(store, key):
            return study
    raise StoreError(f"{store.root} has no session that can be read; name the study file instead")


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
        _copied(file, target / str(file).removeprefix(f"{store.root}/"))
        file.delete()
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
    brought = Brought()
    for folder in (source.references, source.code):
        for key in folder.files():
            _copied(folder / key, target.root / folder.name / key)
    for key in source.runs.files():
        _bring_run(source, target, key, brought)
    for key in source.sessions.files():
        if _study(source, key):
            brought.sessions += _copied(source.sessions / key, target.sessions / key)
        else:
            brought.damaged.append(str(source.sessions / key))
    compact(target)
    return brought


def _bring_run(source: Store, target: Store, key: str, brought: Brought) -> None:
    file, match = source.runs / key, RUN.fullmatch(key)
    if match is None or _readable(file) is None:
        brought.damaged.append(str(file))
    elif match["attempt"] is None:
        new = _copied(file, target.runs / key)
        brought.runs += new
        brought.there += not new
    else:
        content = file.read()
        for place in _attempts(target, match["run_id"]):
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


def _readable(file: Place) -> RunRecord | None:
    try:
        return read_run(file, images=False)
    except StoreError:
        return None


def _present_id(record: RunRecord) -> str:
    """The id of the same run with the present code; its own where that cannot be told."""
    try:
        return run_id_of(record.spec)
    except UserError:
        return record.run_id


def _studies(store: Store) -> set[str]:
    """The names of the studies that the sessions of ``store`` are of."""
    return {str(study["study"]) for key in store.sessions.files() if (study := _study(store, key))}


def _study(store: Store, key: str) -> dict[str, Any] | None:
    """What a session noted; None where it cannot be read."""
    file = store.sessions / key
    try:
        return dict(checked_study(json.loads(file.read()), file))
    except (StoreError, OSError, ValueError, RecursionError):
        return None
