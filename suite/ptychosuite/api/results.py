"""Results that are there already: of a study, a results folder or a bundle. Nothing is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from shlex import quote
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ptychosuite.analysis.outcomes import MISSING
from ptychosuite.analysis.selection import Selection, selection_of, selection_of_plan
from ptychosuite.analysis.tables import are_imported, open_dataset, table_of
from ptychosuite.api.display import Displayed, cell, count_runs, counts_text, html_table, text_table
from ptychosuite.api.planning import File, Settings, Study, plan_of, read_study
from ptychosuite.core.problem import Reference
from ptychosuite.core.runs import RunRecord, Status
from ptychosuite.errors import StoreError, UserError
from ptychosuite.metrics.metric import known_metrics
from ptychosuite.reporting.bundle import Bundle, is_bundle, opened_bundle
from ptychosuite.store.faults import Fault, faults, faults_text
from ptychosuite.store.imported import imported_files
from ptychosuite.store.layout import Store, results_of
from ptychosuite.store.place import Place
from ptychosuite.store.planned import RUN_IDS, OtherRuns, other_runs, study_content, with_results
from ptychosuite.store.read import inventory, latest_session, read_reference, read_run, sessions

SHOWN_FAULTS = 10


class Results(Displayed):
    """The runs of a results folder; images are read when they are asked for.

    Runs are named by their ``run_id``, or by its first digits. A bundle is unpacked into a temporary folder
    for as long as this object lives, or until the end of a ``with`` block.

    Parameters
    ----------
    store
        The results folder.
    unpacked
        The bundle that it was unpacked from.
    planned
        Gives what was planned, in the words of a session, and what is to be said of it. Where it is None,
        the latest session of ``store`` counts.
    """

    def __init__(
        self,
        store: Store,
        unpacked: AbstractContextManager[Bundle] | None = None,
        planned: Callable[[], tuple[Mapping[str, Any], str]] | None = None,
    ) -> None:
        self.store = store
        self._unpacked = unpacked
        self._planned = planned

    @cached_property
    def study(self) -> Mapping[str, Any]:
        """What was planned, in the words of a session: of a study file, a bundle, or the latest session."""
        return self._study_and_note[0]

    @property
    def note(self) -> str:
        """Whose results these are, where the present code has none of the study's; otherwise empty."""
        return self._study_and_note[1]

    @cached_property
    def _study_and_note(self) -> tuple[Mapping[str, Any], str]:
        if self._planned is not None:
            return self._planned()
        *_, session = [{}, *sessions(self.store)]
        return session, ""

    @cached_property
    def dataset(self) -> xr.Dataset:
        """One row a run of the study that has ended: factors, metrics, and curves, loaded when used."""
        return open_dataset(self.store, self.study or None)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a run of the study that has ended, with factors and metrics as columns."""
        return table_of(self.dataset)

    @cached_property
    def others(self) -> OtherRuns:
        """How many runs of other code or of other versions of the study are in the folder as well."""
        return other_runs(self.store, self.study)

    @cached_property
    def files(self) -> Mapping[str, Place]:
        """run_id -> file, of all runs in the folder: those that have ended, the latest failed tries, and
        results that were computed elsewhere.
        """
        return {**inventory(self.store).files, **imported_files(self.store)}

    @cached_property
    def faults(self) -> Sequence[Fault]:
        """Files of the folder that are damaged or do not belong there, each with a sentence that names it."""
        held = self.files.keys()
        rows = {*self.dataset["run_id"].values.tolist()}
        unread = held & {*self.study.get(RUN_IDS, held)} - rows
        found = list(faults(self.store, unread))
        named = {fault.file for fault in found}
        odd = [self.files[run_id] for run_id in unread if self.files[run_id] not in named]
        return [*found, *(Fault(file, f"{file} has settings that no run of this study has") for file in odd)]

    def file(self, run_id: str) -> Place:
        """The file of one run.

        Raises
        ------
        StoreError
            No run, or more than one, has an id that begins so.
        """
        files = {**inventory(self.store).damaged, **self.files}
        matches = [name for name in files if name.startswith(run_id)]
        if len(matches) != 1:
            raise StoreError(
                f"{len(matches)} runs of {self.store.root} have an id that begins with '{run_id}'; "
                "list them with: ptychosuite show STUDY"
            )
        return files[matches[0]]

    def record(self, run_id: str, images: bool = True) -> RunRecord:
        """All that is stored of one run."""
        return read_run(self.file(run_id), images)

    def image(self, run_id: str) -> np.ndarray | None:
        """The object that a run has reconstructed: (H, W) complex64, None where it failed."""
        return self.record(run_id).object

    def probe(self, run_id: str) -> np.ndarray | None:
        """The probe at the end of a run: (m, m) complex64, None where it failed."""
        return self.record(run_id).probe

    def truth(self, run_id: str) -> Reference | None:
        """True object, probe and scan of a run with simulated data."""
        return read_reference(self.store, self.record(run_id, images=False).reference)

    def describe(self, run_id: str) -> dict[str, Any]:
        """How one run ended, its specification and provenance, as plain data for JSON."""
        record = self.record(run_id, images=False)
        return {
            "run_id": record.run_id,
            "status": str(record.status),
            "message": record.message,
            "file": str(self.file(record.run_id)),
            "metrics": {
                name: value if np.isfinite(value) else None for name, value in record.metrics.items()
            },
            "spec": record.spec.to_dict(),
            "provenance": record.provenance,
        }

    def __enter__(self) -> Results:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._unpacked is not None:
            self._unpacked.__exit__(kind, error, trace)

    def __len__(self) -> int:
        return len(self.table)

    def __str__(self) -> str:
        return f"{text_table(*self._table())}\n\n{self._counts}"

    def __repr__(self) -> str:
        return f"<Results in {self.store.root}: {count_runs(len(self))}>"

    def _repr_html_(self) -> str:
        return html_table(*self._table(), below=self._counts)

    @property
    def _counts(self) -> str:
        counts = self.table["status"].value_counts().to_dict()
        outside = int(are_imported(self.table).sum())
        left = len({*self.study.get("spec_ids", ())} - {*self.table["spec_id"]})
        if left > 0:
            counts[MISSING] = left
        if outside:
            counts[Status.COMPLETED] -= outside
            counts["computed elsewhere, not timed by us"] = outside
        number = count_runs(sum(counts.values()))
        told = [f"{number} in {self.store.root}: {counts_text(counts)}"]
        if str(self.others):
            told.append(f"not shown, in the same folder: {self.others}")
        if self.faults:
            told += [
                faults_text(self.faults, SHOWN_FAULTS),
                f"set that aside with: ptychosuite clean {quote(str(self.store.root))} --only damaged --yes",
            ]
        return "\n".join([*told, self.note] if self.note else told)

    def _table(self) -> tuple[list[str], list[list[str]]]:
        table = self.table
        axes = {name for path, name in table.attrs["paths"].items() if path in self.study.get("factors", ())}
        factors = [
            str(name)
            for name in table.attrs["factors"]
            if name in axes or table[name].nunique(dropna=False) > 1
        ]
        columns = [metric.name for metric in known_metrics() if metric.in_show and metric.name in table]
        shown = table[["run_id", "status", *factors, *columns]]
        rows = [[str(run_id)[:8], *map(cell, rest)] for run_id, *rest in shown.itertuples(index=False)]
        return ["run", *map(str, shown.columns[1:])], rows


def open_results(study: Study, *, results: File = "results") -> Results:
    """Open what is stored of a study: no cluster, and nothing is written.

    Parameters
    ----------
    study
        A results folder (a path or an s3:// address), a bundle, or a study (file or dict) whose results are
        in ``results``.
    results
        Folder that holds a results folder for each study, or ``s3://bucket/prefix``.

    Raises
    ------
    StudyError, StoreError
        There are none, or the bundle is damaged.
    """
    if not isinstance(study, Mapping):
        path = Path(study)
        if "://" in os.fspath(study) or (path.is_dir() and not is_bundle(path)):
            return Results(store_of(study))
        if is_bundle(path):
            unpacked = opened_bundle(path)
            bundle = unpacked.__enter__()
            return Results(bundle.store, unpacked, lambda: (bundle.study, ""))
    store = store_of(study, results)
    return Results(store, planned=lambda: with_results(store, study_content(plan_of(study, results=results))))


def store_of(study: Study, results: File = "results") -> Store:
    """The results folder that a study, or its own address, means; not that of a bundle.

    Raises
    ------
    StudyError, StoreError
        There is none.
    """
    if not isinstance(study, Mapping) and ("://" in os.fspath(study) or Path(study).is_dir()):
        return Store.open(os.fspath(study))
    return Store.open(results_of(str(results), read_study(study).name))


def selected_runs(study: Study, settings: Settings, override_file: File | None, results: File) -> Selection:
    """The runs of a study, or of the latest session of a results folder."""
    if not isinstance(study, Mapping) and Path(study).is_dir():
        if settings or override_file:
            raise UserError("--set and --override go with a study file, not with a results folder")
        store = Store.open(Path(study))
        return selection_of(store, latest_session(store))
    return selection_of_plan(plan_of(study, settings, override_file, results), str(results))
