"""Which runs of a store a report is about, and why others are yet to be computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from ptychosuite.analysis.tables import open_dataset, table_of
from ptychosuite.core.plan import Plan
from ptychosuite.core.runs import Status
from ptychosuite.errors import StoreError
from ptychosuite.registry.fingerprint import Code, code_of
from ptychosuite.store.layout import Store, results_of
from ptychosuite.store.place import Place
from ptychosuite.store.read import codes, inventory, read_run, sessions


@dataclass(frozen=True)
class Selection:
    """The runs of one study under one title, with the figures that are asked for."""

    store: Store
    name: str
    title: str
    figures: tuple[Mapping[str, Any], ...]  # each its kind and its settings
    planned: int  # number of runs that the study has
    table: pd.DataFrame  # one row a run; attrs["factors"] and attrs["solver_settings"] name columns
    dataset: xr.Dataset
    text: str  # of the study file
    overrides: Sequence[str]

    @property
    def usable(self) -> pd.DataFrame:
        """The runs that came to an end of their own."""
        ended = self.table[self.table["status"].isin([Status.COMPLETED, Status.DIVERGED])]
        ended.attrs = self.table.attrs
        return ended


def selection_of_plan(plan: Plan, results: str | Path) -> Selection:
    """The runs of ``plan`` that are in its results folder.

    Raises
    ------
    StoreError
        There is no such folder, or it holds none of the runs.
    """
    store = Store.open(results_of(results, plan.name))
    spec_ids = [spec.spec_id for spec in plan.runs]
    return _select(store, plan.name, plan.title, plan.figures, spec_ids, plan.text, plan.overrides)


def latest_session(store: Store) -> Mapping[str, Any]:
    """What the latest session of ``store`` noted."""
    *_, session = [{}, *sessions(store)]
    if not session:
        raise StoreError(f"{store.root} has no session on record; name the study file instead")
    return session


def selection_of(store: Store, study: Mapping[str, Any]) -> Selection:
    """The runs of ``store`` that ``study`` names, in the words of a session."""
    return _select(
        store,
        study["study"],
        study["title"],
        tuple(study["figures"]),
        study["spec_ids"],
        study["text"],
        study["overrides"],
    )


def _select(
    store: Store,
    name: str,
    title: str,
    figures: tuple[Mapping[str, Any], ...],
    spec_ids: Sequence[str],
    text: str,
    overrides: Sequence[str],
) -> Selection:
    dataset = open_dataset(store)
    table = table_of(dataset, spec_ids)
    if table.empty:
        raise StoreError(
            f"{store.root} has none of the runs of this study yet; run it first with: ptychosuite run"
        )
    return Selection(store, name, title, figures, len(spec_ids), table, dataset, text, overrides)


FAILED = "failed with the present code"
INTERRUPTED = "planned before; the sweep ended before it came to them"
NO_LIST = "code changed: which files is not known, a version computed them that kept no list"
NEW = "new, or settings changed"


def why_to_do(plan: Plan, store: Store | None) -> dict[str, str]:
    """Run id -> reason, for every run of ``plan`` that ``store`` does not hold as done.

    The present files are compared with those of the newest stored run of the same specification.
    """
    if store is None:
        return dict.fromkeys(plan.run_ids, NEW)
    held = inventory(store)
    stored = {**held.failed, **held.done}
    manifests = codes(store)
    planned_with_list: dict[str, bool] = {}  # spec_id -> by a version that keeps lists of files
    for session in sessions(store):
        planned_with_list |= dict.fromkeys(session["spec_ids"], "sources" in session["environment"])
    reasons = {}
    for spec, run_id in zip(plan.runs, plan.run_ids, strict=True):
        if run_id in held.done:
            continue
        found = {name: stored[old] for name in manifests if (old := spec.run_id(name)) in stored}
        if run_id in held.failed:
            reasons[run_id] = FAILED
        elif found:
            reasons[run_id] = f"code changed: {_difference(manifests[_newest(found)], code_of(spec))}"
        elif spec.spec_id in planned_with_list:
            reasons[run_id] = INTERRUPTED if planned_with_list[spec.spec_id] else NO_LIST
        else:
            reasons[run_id] = NEW
    return reasons


def _newest(found: Mapping[str, Place]) -> str:
    """The fingerprint whose run began last."""
    if len(found) == 1:
        return next(iter(found))
    return max(found, key=lambda name: str(read_run(found[name], images=False).provenance.get("start", "")))


def _difference(then: Mapping[str, Mapping[str, str]], now: Code) -> str:
    """What differs between the files and packages of then and now, in words."""
    old, new = then["files"], now.files
    files = {
        "changed": [name for name in new if name in old and new[name] != old[name]],
        "new": [name for name in new if name not in old],
        "gone": [name for name in old if name not in new],
    }
    parts = [f"{', '.join(names)} {what}" for what, names in files.items() if names]
    before, after = then["packages"], now.packages
    parts += [
        f"{name} {before.get(name) or 'not there'} -> {after.get(name) or 'not there'}"
        for name in dict.fromkeys([*before, *after])
        if before.get(name, "") != after.get(name, "")
    ]
    return "; ".join(parts)
