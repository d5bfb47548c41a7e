"""Which runs of a store a report is about."""

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
from ptychosuite.store.layout import Store, results_of
from ptychosuite.store.read import sessions


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
