"""Files of a results folder put aside."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from ptychosuite.errors import StoreError
from ptychosuite.store.layout import Store
from ptychosuite.store.place import Place

REMOVED = "removed"


def set_aside(store: Store, files: Iterable[Place]) -> Place:
    """Move files of ``store`` into a new folder ``removed/<time>`` of it, where nothing looks for results.

    Each is there before it is gone here. The dataset is not touched: compact it.

    Raises
    ------
    StoreError
        The disk or the server refuses; what has not been moved is where it was.
    """
    target = store.root / f"{REMOVED}/{datetime.now(UTC):%Y-%m-%dT%H%M%S.%fZ}"
    for file in files:
        copied(file, target / below(store, file))
        file.delete()
    return target


def copied(file: Place, target: Place) -> bool:
    """Copy a file; False where something is there already, which stays.

    Raises
    ------
    StoreError
        It cannot be read or written.
    """
    try:
        content = file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StoreError(f"cannot read {file}: it has gone meanwhile") from error
    return target.create(content)


def below(store: Store, file: Place) -> str:
    """The address of a file of ``store``, from its root on."""
    return str(file).removeprefix(f"{store.root}/")
