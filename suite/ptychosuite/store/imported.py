"""Results that were computed elsewhere: read back, and counted as a study's where they are of its problems.

They lie in a folder of their own, so that nothing takes them for runs of ours: no plan has them to do, and
they are neither repeated nor part of a baseline.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ptychosuite.core.runs import FOUND_BY, NOT_OF_DATA, RunRecord
from ptychosuite.registry.factors import factor_value
from ptychosuite.store.layout import SUFFIX, Store
from ptychosuite.store.place import Place
from ptychosuite.store.planned import RUN_IDS
from ptychosuite.store.read import IMPORT, readable_run


def imported_files(store: Store) -> dict[str, Place]:
    """run_id -> file of the results from outside in ``store``; none is read."""
    keys = sorted(filter(IMPORT.fullmatch, store.imported.files()))
    return {key.removesuffix(SUFFIX): store.imported / key for key in keys}


def imported_results(store: Store) -> Iterator[RunRecord]:
    """The results from outside in ``store`` that can be read, without their images."""
    return filter(None, map(readable_run, imported_files(store).values()))


def with_imported(store: Store, study: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was planned, ``study``, with the results from outside of its problems as further runs.

    A result is of a problem where all settings are the same on which the data depend, the seed included.
    Sessions of earlier versions do not say what they planned; they are left as they are.
    """
    if RUN_IDS not in study or not (files := imported_files(store)):
        return study
    known = {*study[RUN_IDS]}
    found = [record for record in imported_results(store) if record.run_id in files.keys() - known]
    paths = [path for path in study["factors"] if _is_of_data(path)]
    problems = {*zip(*(_hashable(study["settings"][path]) for path in paths), strict=True)} or {()}
    mine = [record for record in found if _is_of(record, study["constants"], paths, problems)]
    if not mine:
        return study
    leaves = [record.spec.leaves() for record in mine]
    return {
        **study,
        "spec_ids": [*study["spec_ids"], *(record.spec.spec_id for record in mine)],
        RUN_IDS: [*study[RUN_IDS], *(record.run_id for record in mine)],
        "settings": {
            path: [*values, *(factor_value(each, path) for each in leaves)]
            for path, values in study["settings"].items()
        },
    }


def _is_of_data(path: str) -> bool:
    """Whether the setting at a dotted path changes the data; where a file lies does not."""
    if path == "seed":
        return True
    head, *parts = path.split(".")
    own = head == "problem" and parts[0] not in NOT_OF_DATA
    return own and parts[-1] not in FOUND_BY and parts[-1] not in ("path", "run_id")


def _is_of(
    record: RunRecord,
    constants: Mapping[str, Any],
    paths: list[str],
    problems: set[tuple[Any, ...]],
) -> bool:
    """Whether a result is of one of the ``problems``, each the values at ``paths``, with these constants."""
    leaves = record.spec.leaves()
    same = all(factor_value(leaves, path) == value for path, value in constants.items() if _is_of_data(path))
    return same and tuple(_hashable(factor_value(leaves, path) for path in paths)) in problems


def _hashable(values: Any) -> list[Any]:
    return [str(value) if isinstance(value, list | Mapping) else value for value in values]
