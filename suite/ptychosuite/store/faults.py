"""What is wrong with the files of a results folder. Each costs itself alone, and is named with its reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from ptychosuite.errors import StoreError
from ptychosuite.store.layout import SUFFIX, Store
from ptychosuite.store.place import Place
from ptychosuite.store.read import (
    CODE,
    IMPORT,
    RUN,
    SESSION,
    SET_ASIDE,
    read_code,
    read_reference,
    read_run,
    read_session,
)

NOT_LOOKED_AT = ("store.json", "study.zarr", "removed")  # refused when it is opened, made anew, set aside
VERDICTS = "checks"
SHOWN_RUNS = 3


@dataclass(frozen=True)
class Fault:
    """A file or folder that is damaged, or that is nothing of a results folder's.

    Parameters
    ----------
    file
        Where it is.
    message
        What is wrong with it, in one sentence that names it.
    missing
        Whether there is nothing where something should be.
    """

    file: Place
    message: str
    missing: bool = False


def faults(store: Store, unread: Collection[str] | None = None) -> Iterator[Fault]:
    """What is wrong in ``store``. Sessions, lists of code, truths and verdicts are read; runs are, too.

    A truth that is missing, with which runs are compared that are read, comes last.

    Parameters
    ----------
    unread
        Ids of the runs that are read with all that is in them; None means all of them. Of the others it is
        seen whether their files were cut off.
    """
    compared: dict[str, list[str]] = {}  # name of a truth -> ids of the runs
    for key in store.root.files():
        folder, _, name = key.partition("/")
        if folder in NOT_LOOKED_AT:
            continue
        if message := _told(store, folder, name, unread, compared):
            yield Fault(store.root / key, message)
    there = {key.removesuffix(SUFFIX) for key in store.references.files()}
    for truth in sorted(compared.keys() - there - {""}):
        yield Fault(store.reference_file(truth), _without_truth(store, truth, compared[truth]), missing=True)


def _without_truth(store: Store, truth: str, run_ids: list[str]) -> str:
    runs = ", ".join(run_ids[:SHOWN_RUNS]) + (", ..." if len(run_ids) > SHOWN_RUNS else "")
    return (
        f"{store.reference_file(truth)} is missing, the truth that runs are compared with ({runs}); "
        "'ptychosuite run' writes it again"
    )


def faults_text(found: Collection[Fault], limit: int) -> str:
    """The first of them, a line each, and how many there are beyond."""
    lines = [fault.message for fault in found][:limit]
    if len(found) > limit:
        lines.append(f"... and {len(found) - limit} more")
    return "\n".join(lines)


def _told(
    store: Store, folder: str, name: str, unread: Collection[str] | None, compared: dict[str, list[str]]
) -> str:
    """What is wrong with the file ``name`` in ``folder``; empty where nothing is.

    Runs that are read are noted in ``compared`` by their truths.
    """

    def read_whole(file: Place) -> None:
        record = read_run(file)
        compared.setdefault(record.reference, []).append(record.run_id)

    file = store.root / (f"{folder}/{name}" if name else folder)
    run = RUN.fullmatch(name) if folder == store.runs.name else None
    if run:
        read = unread is None or run["run_id"] in unread
        return _message(file, read_whole if read else _refuse_cut_off)
    if folder == store.imported.name and IMPORT.fullmatch(name):
        return _message(file, read_whole)
    if folder == store.sessions.name and SESSION.fullmatch(name):
        return _message(file, read_session)
    if folder == store.code.name and CODE.fullmatch(name):
        return _message(file, read_code)
    if folder == store.references.name and name.endswith(SUFFIX) and "/" not in name:
        return _message(file, lambda file: read_reference(store, name.removesuffix(SUFFIX)))
    if folder == VERDICTS and SESSION.fullmatch(name):
        return _message(file, _read_json)
    return f"{file} does not belong there"


def _message(file: Place, read: Callable[[Place], Any]) -> str:
    try:
        read(file)
    except StoreError as error:
        return str(error).partition(f"; {SET_ASIDE}")[0]
    return ""


def _refuse_cut_off(file: Place) -> None:
    if not file.ends_as_zip():
        read_run(file, images=False)
        raise StoreError(f"{file} cannot be read: it does not end as a file of a run")


def _read_json(file: Place) -> None:
    try:
        json.loads(file.read())
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{file} cannot be read: {error}") from error
