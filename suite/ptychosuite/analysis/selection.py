"""Which runs a report is about: all that a study planned, also those that failed or were never computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import xarray as xr

from ptychosuite.analysis.outcomes import MISSING, Outcome
from ptychosuite.analysis.tables import are_imported, columns_of, none_of, open_dataset, table_of
from ptychosuite.core.plan import Plan, Tuned
from ptychosuite.core.runs import Status
from ptychosuite.errors import StoreError
from ptychosuite.registry.validation import SettingError, validate
from ptychosuite.store.imported import with_imported
from ptychosuite.store.layout import Store, results_of
from ptychosuite.store.planned import RUN_IDS, study_content, superseding, with_results
from ptychosuite.store.read import Inventory, inventory

Noted = TypeVar("Noted")
TOLERANCES = ("stop.gradient", "stop.residual")


@dataclass(frozen=True)
class Selection:
    """The runs of one study under one title, with the figures that are asked for.

    Parameters
    ----------
    table
        One row a planned run, in the study's order. One that has no result has the status "missing", no
        metrics, the ``row`` -1 and no ``path``. ``attrs`` as of
        :func:`~ptychosuite.analysis.tables.table_of`.
    unnamed
        Number of runs without a result that have no row: sessions of earlier versions keep no settings of
        them.
    """

    store: Store
    name: str
    title: str
    figures: tuple[Mapping[str, Any], ...]  # each its kind and its settings
    table: pd.DataFrame
    dataset: xr.Dataset
    text: str  # of the study file
    overrides: Sequence[str]
    unnamed: int
    constants: Mapping[str, Any]  # dotted path -> value of the settings that all planned runs share
    study: Mapping[str, Any]  # what was planned, in the words of a session
    notes: Sequence[str] = ()  # whose results are shown, where that is not what one would expect

    @property
    def outcome(self) -> Outcome:
        """How the planned runs ended; results that were computed elsewhere are none of them."""
        known = Outcome.of_rows(self.table[~are_imported(self.table)])
        return replace(known, missing=known.missing + self.unnamed)

    @property
    def stored(self) -> pd.DataFrame:
        """The runs that have a file, failed ones too."""
        return self._of(self.table["status"] != MISSING)

    @property
    def usable(self) -> pd.DataFrame:
        """The runs that came to an end of their own."""
        return self._of(self.table["status"].isin([Status.COMPLETED, Status.DIVERGED]))

    def noted(self, section: str, cls: type[Noted]) -> list[Noted]:
        """What a session or a bundle notes of the plan in ``section``, each entry a ``cls``.

        Raises
        ------
        StoreError
            It is something else.
        """
        entries = enumerate(self.study.get(section, ()))
        try:
            return [validate(cls, entry, (section, place)) for place, entry in entries]
        except SettingError as error:
            where = ".".join(map(str, error.path))
            raise StoreError(f"{self.name}: {where}: {error.message}; get a fresh copy") from error

    def _of(self, chosen: pd.Series) -> pd.DataFrame:
        rows = self.table[chosen]
        rows.attrs = self.table.attrs
        return rows


def selection_of_plan(plan: Plan, results: str | Path) -> Selection:
    """The runs of ``plan`` as the present code computed them, with what its results folder has of them.

    Where that is nothing, what a session has that planned the same runs with other code; it is noted.

    Raises
    ------
    StoreError
        There is no such folder, or it holds none of the runs.
    """
    store = Store.open(results_of(results, plan.name))
    study, told = with_results(store, study_content(plan))
    found = selection_of(store, study)
    return replace(found, notes=[told, *found.notes]) if told else found


def selection_of(store: Store, study: Mapping[str, Any]) -> Selection:
    """The runs that ``study`` names, in the words of a session, with what ``store`` has of them.

    They are picked by their ids: specification and code. Sessions of earlier versions name the specification
    alone; of several runs of one, that is taken which began last.

    Raises
    ------
    StoreError
        It has none of them.
    """
    study = with_imported(store, study)
    held = inventory(store)  # before the rows are read: a run that ends meanwhile is none without a row
    dataset = open_dataset(store, study)
    found = table_of(dataset, study["spec_ids"])
    if found.empty:
        raise none_of(store)
    is_named = "settings" in study
    table = _with_missing(found, dataset, study) if is_named else found
    names = table.attrs["paths"]
    table.attrs["axes"] = [name for path, name in names.items() if path in study["factors"]]
    table.attrs["tolerances"] = _varying_tolerances(names, study.get("constants"))
    selection = Selection(
        store=store,
        name=study["study"],
        title=study["title"],
        figures=tuple(study["figures"]),
        table=_with_time_to_tolerance(table, dataset),
        dataset=dataset,
        text=study["text"],
        overrides=study["overrides"],
        unnamed=len(study["spec_ids"]) - len(table),
        constants=study.get("constants", {}),
        study=study,
        notes=[*_damaged(held, study, found), *_superseded(store, study), *_from_outside(table)],
    )
    every = (tried for each in selection.noted("tuned", Tuned) for tried in each.tries)
    tried = dict.fromkeys(path for settings in every for path in settings)
    selection.table.attrs["tuned"] = [names[path] for path in tried if path in names]
    return selection


def _varying_tolerances(names: Mapping[str, str], constants: Mapping[str, Any] | None) -> list[str]:
    """The columns that say which runs have a tolerance; none where all have one, or nobody knows."""
    known = constants or {}
    if constants is None or any(known.get(path) is not None for path in TOLERANCES):
        return []
    return [names[path] for path in TOLERANCES if path in names]


def _damaged(held: Inventory, study: Mapping[str, Any], found: pd.DataFrame) -> list[str]:
    """What is to be said where files of planned runs cannot be read."""
    there = {*held.files, *held.damaged} & {*study.get(RUN_IDS, ())}
    number = len(there - {*found["run_id"]})
    if not number:
        return []
    has = (
        "1 run has a damaged file and counts"
        if number == 1
        else f"{number} runs have damaged files and count"
    )
    return [f"{has} as missing. See what is wrong with: ptychosuite doctor STUDY"]


def _superseded(store: Store, study: Mapping[str, Any]) -> list[str]:
    """What is to be said where runs without a result have one by other code."""
    held = inventory(store).files
    planned = zip(study["spec_ids"], study.get(RUN_IDS, ()), strict=False)
    missing = {spec_id for spec_id, run_id in planned if run_id not in held}
    number = len({*superseding(store, missing, held.keys()).values()}) if missing else 0
    if not number:
        return []
    has = "1 missing run has a result" if number == 1 else f"{number} missing runs have results"
    return [f"{has} by other code, not shown. See what has changed with: ptychosuite plan STUDY --why"]


def _from_outside(table: pd.DataFrame) -> list[str]:
    """What is to be said of results that were computed elsewhere."""
    outside = table[are_imported(table)]
    if outside.empty:
        return []
    number = len(outside)
    has = "1 result was" if number == 1 else f"{number} results were"
    labels = ", ".join(dict.fromkeys(outside["solver"]))
    return [
        f"{has} computed elsewhere and judged here by the same metrics: {labels}. Not timed by us: "
        "nothing that counts seconds or iterations has them, nor any curve"
    ]


def _with_missing(found: pd.DataFrame, dataset: xr.Dataset, study: Mapping[str, Any]) -> pd.DataFrame:
    """``found`` with a row for each run that has no result, by its settings, in the study's order."""
    planned = pd.Index(study["spec_ids"])
    absent = np.flatnonzero(~planned.isin(found["spec_id"]))
    rows = pd.DataFrame({"spec_id": planned[absent], "status": MISSING, "row": -1})
    settings = study["settings"]
    for path, (name, is_number) in columns_of(dataset).items():
        constant = study.get("constants", {}).get(path)
        values = [settings[path][place] if path in settings else constant for place in absent]
        rows[name] = [_as_stored(value, is_number) for value in values]
    for name in ("run_id", "path", "start", "lane"):
        rows[name] = ""
    table = pd.concat([found, rows], ignore_index=True) if len(rows) else found
    table = table.set_index("spec_id", drop=False).loc[planned].reset_index(drop=True)
    table.attrs = found.attrs
    return table


def _as_stored(value: Any, is_number: bool) -> float | str:
    if is_number:
        return float("nan") if value is None else float(value)
    return "" if value is None else str(value)


def _with_time_to_tolerance(table: pd.DataFrame, dataset: xr.Dataset) -> pd.DataFrame:
    """``table`` with the seconds after which each run met its tolerance."""
    if "iterations_to_tol" not in table or "seconds_curve" not in dataset:
        return table
    met = table["iterations_to_tol"].notna().to_numpy()
    hits = table.loc[met, ["row", "iterations_to_tol"]].to_numpy(dtype=int)
    seconds = np.full(len(table), np.nan)
    seconds[met] = dataset["seconds_curve"].values[hits[:, 0], hits[:, 1]]
    result = table.assign(seconds_to_tol=seconds)
    result.attrs = table.attrs
    return result
