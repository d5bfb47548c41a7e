"""The run of another study that a run begins from: found when it is planned, and its start checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ptychosuite.core.runs import RunSpec, Status, canonical_json, data_probe
from ptychosuite.errors import StoreError, StudyError, UserError, nearest
from ptychosuite.registry.factors import is_value
from ptychosuite.registry.fingerprint import run_id_of
from ptychosuite.registry.validation import FOUND, Keys, SettingError, shown
from ptychosuite.registry.yaml_text import parse, read_text
from ptychosuite.store.layout import Store
from ptychosuite.store.read import inventory, read_run
from ptychosuite.study.inputs import with_variables

RESULTS = "results"  # where results are by default, below the working directory
MOST_TOLD = 6  # settings that an error names


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A run that results hold."""

    run_id: str
    spec: RunSpec
    status: Status

    def value(self, path: str) -> Any:
        return self.run_id if path == "run_id" else self.spec.leaves().get(path)


def resolved_run(cls: type[Any], settings: Mapping[str, Any], base: Path, path: Keys) -> dict[str, str]:
    """Where the results of the run lie that ``settings`` of ``cls`` ask for, and its id; of others nothing.

    Raises
    ------
    SettingError
        There are no such results, it is no run, or more than one, or it did not complete.
    """
    fields = [f.name for f in dataclasses.fields(cls)]
    if "run_id" not in fields:
        return {}
    for key in FOUND:
        if key in settings:
            raise SettingError((*path, key), "it is found, not given; say 'where: {run_id: ...}'")
    study, where = settings.get("study"), settings.get("where", {})
    if not isinstance(study, str) or not study:
        raise SettingError((*path, "study"), "expected the results folder or the file of a study")
    if not isinstance(where, Mapping):
        raise SettingError((*path, "where"), f"found {shown(where)}; expected settings, as in {{seed: 0}}")
    try:
        address = _address(with_variables(study, (*path, "study")), base)
        store = Store.find(address)
        if store is None:
            raise StoreError(f"there are no results in {address}; run that study first, or name its results")
        held = inventory(store).files
        found = _candidates(address, tuple(sorted((run_id, file.address) for run_id, file in held.items())))
    except UserError as error:
        raise SettingError((*path, "study"), str(error)) from error
    run = _the_one(found, where, (*path, "where"))
    began = {"began_with": canonical_json(data_probe(run.spec.problem))} if "began_with" in fields else {}
    return {"study": address, "run_id": run.run_id, **began}


def _address(study: str, base: Path) -> str:
    if study.startswith("s3://"):
        return study.rstrip("/")
    file = (base / study).expanduser().resolve()
    if file.suffix not in (".yaml", ".yml"):
        return str(file)
    name = parse(read_text(file, "study file", StudyError), file, StudyError).get("study")
    return str((Path(RESULTS) / str(name)).resolve())


@lru_cache(maxsize=8)
def _candidates(address: str, files: tuple[tuple[str, str], ...]) -> tuple[Candidate, ...]:
    """What ``files`` of a store are of, but for those that are damaged; read again where there are others.

    Runs that failed are among them, so that they can be refused by name.
    """
    store, found = Store.open(address), []
    for file in inventory(store).files.values():
        try:
            run = read_run(file, images=False)
        except StoreError:
            continue
        found.append(Candidate(run.run_id, run.spec, run.status))
    return tuple(found)


def _the_one(found: Sequence[Candidate], where: Mapping[str, Any], path: Keys) -> Candidate:
    """The one run that ``where`` describes; of those that differ in their code alone that of the present."""
    known = {leaf for run in found for leaf in run.spec.leaves()} | {"run_id"}
    matching = list(found)
    for key, wanted in _flat(where):
        leaf = _leaf(key, known, (*path, key))
        left = [run for run in matching if _agrees(run.value(leaf), wanted)]
        if not left:
            has = _listed({shown(run.value(leaf)) for run in matching})
            raise SettingError(path, f"no run has {key} {shown(wanted)}; those that are left have {has}")
        matching = left
    specs = {
        run.spec.spec_id: [other for other in matching if other.spec.spec_id == run.spec.spec_id]
        for run in matching
    }
    if len(specs) != 1:
        raise SettingError(path, f"{len(specs)} runs are meant; expected one. {_differences(matching)}")
    return _by_one_code(next(iter(specs.values())), path)


def _by_one_code(runs: Sequence[Candidate], path: Keys) -> Candidate:
    """Of the runs of one specification that of the present code, or the only one that completed."""
    completed = [run for run in runs if run.status is Status.COMPLETED]
    if not completed:
        raise SettingError(
            path, f"run {runs[0].run_id} is {runs[0].status} and has nothing to begin from; name another"
        )
    present = [run for run in completed if run.run_id == run_id_of(run.spec)]
    if len(present or completed) > 1:
        found = _listed(run.run_id for run in completed)
        raise SettingError(
            path,
            f"{len(completed)} versions of the code have computed this run, and the present one has not: "
            f"{found}; run that study again, or say which in 'where: {{run_id: ...}}'",
        )
    return (present or completed)[0]


def _flat(where: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in where.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _leaf(key: str, known: set[str], path: Keys) -> str:
    """The dotted path that ``key`` means: whole, or its last parts where that is one alone."""
    for ends in ((key,), (f"{key}.name", f"{key}.kind")):
        exact = [end for end in ends if end in known]
        if exact:
            return exact[0]
    tails = (f".{key}", f".{key}.kind")
    meant = sorted(leaf for leaf in known if leaf.endswith(tails))
    if len(meant) != 1:
        told = f"it may be {' or '.join(meant)}" if meant else nearest(key, known)
        raise SettingError(path, f"'{key}' is no setting of its runs; {told}")
    return meant[0]


def _agrees(found: Any, wanted: Any) -> bool:
    return any(is_value(found, item) for item in (wanted if isinstance(wanted, list) else [wanted]))


def _differences(runs: Sequence[Candidate]) -> str:
    """Which settings tell the runs apart, with their values."""
    leaves = [run.spec.leaves() for run in runs]
    paths = dict.fromkeys(path for each in leaves for path in each)
    values = {path: {shown(each.get(path)) for each in leaves} for path in paths}
    differing = [f"{path} ({_listed(found)})" for path, found in values.items() if len(found) > 1]
    return f"They differ in {_listed(differing)}; say in 'where' which"


def _listed(items: Iterable[str]) -> str:
    told = sorted(items)
    more = [f"{len(told) - MOST_TOLD} more"] if len(told) > MOST_TOLD else []
    return ", ".join([*told[:MOST_TOLD], *more])
