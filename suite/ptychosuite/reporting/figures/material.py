"""What figures are drawn from: the table of the runs, the dataset with their curves, and their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import xarray as xr

from ptychosuite.analysis.in_gauge import Scene, Shown
from ptychosuite.analysis.labels import column_name
from ptychosuite.analysis.tables import timed
from ptychosuite.core.problem import Reference
from ptychosuite.core.runs import RunRecord
from ptychosuite.errors import NothingToDraw, StudyError, nearest
from ptychosuite.metrics.metric import metric_of
from ptychosuite.store.layout import Store
from ptychosuite.store.read import read_reference, read_run


@dataclass(frozen=True)
class RunFiles:
    """The run files and truths of a store, each read once, however many figures ask for it.

    Parameters
    ----------
    pictured
        The run files, relative to the store, that are read with their images; known before the first is read.
    """

    store: Store
    pictured: set[str] = field(default_factory=set)
    _records: dict[str, RunRecord] = field(default_factory=dict)
    _references: dict[str, Reference | None] = field(default_factory=dict)
    _scenes: dict[tuple[str, bool], Scene] = field(default_factory=dict)
    _shown: dict[str, Shown] = field(default_factory=dict)

    def run(self, path: str) -> RunRecord:
        """The run in the file ``path``."""
        if path not in self._records:
            self._records[path] = read_run(self.store.root / path, images=path in self.pictured)
        return self._records[path]

    def reference(self, name: str) -> Reference | None:
        """The truth called ``name``; None where there is none."""
        if name not in self._references:
            self._references[name] = read_reference(self.store, name)
        return self._references[name]

    def scene(self, path: str) -> Scene:
        """What the run in the file ``path`` is shown against."""
        record = self.run(path)
        scene = Scene.of(record, self.reference(record.reference))
        return self._scenes.setdefault((record.reference, scene.probe_known), scene)

    def shown(self, path: str) -> Shown:
        """The run in the file ``path``, which has kept its object, in the gauge of the metrics."""
        if path not in self._shown:
            self._shown[path] = self.scene(path).show(self.run(path))
        return self._shown[path]


@dataclass(frozen=True)
class Material:
    """What a figure is drawn from.

    Parameters
    ----------
    table
        The runs that the figure is about, one row each, with factors and metrics as columns; ``path`` names
        their files, ``row`` their place in ``dataset``. ``attrs["factors"]`` and ``attrs["solver_settings"]``
        name columns, ``attrs["paths"]`` the column of each dotted path.
    dataset
        All runs of the store, with a curve ``NAME_curve`` (run, iteration) a metric.
    files
        Reads runs and truths.
    """

    table: pd.DataFrame
    dataset: xr.Dataset
    files: RunFiles

    def column(self, name: str) -> str:
        """The column of a factor or metric that a study names.

        Raises
        ------
        StudyError
            There is none.
        """
        by_path = self.table.attrs["paths"].get(name) or self.table.attrs["paths"].get(f"{name}.name")
        for candidate in (by_path, name, column_name(name), name.rsplit(".", 1)[-1]):
            if candidate in self.table.columns:
                return str(candidate)
        raise StudyError(
            f"a figure asks for '{name}', which the results do not have; {nearest(name, self.table.columns)}"
        )

    def of(self, table: pd.DataFrame) -> Material:
        """The same about the rows of ``table``."""
        table.attrs = self.table.attrs
        return Material(table, self.dataset, self.files)

    def timed(self, name: str) -> tuple[Material, str]:
        """Of a time, the runs whose times may be compared, and what to add to its name; else all of them."""
        metric = metric_of(name)
        if metric is None or not metric.is_time:
            return self, ""
        table, note = timed(self.table)
        return self.of(table), note

    def narrowed(self, where: Mapping[str, Any] | None) -> Material:
        """The same with the rows that ``where`` asks for.

        Raises
        ------
        StudyError
            No such factor.
        NothingToDraw
            No run is left.
        """
        table = self.table
        for name, wanted in (where or {}).items():
            values = wanted if isinstance(wanted, list) else [wanted]
            table = table[table[self.column(name)].isin(values)]
        if table.empty:
            shown = ", ".join(f"{name}: {value}" for name, value in (where or {}).items())
            raise NothingToDraw(f"no run with {{{shown}}} has results")
        return self.of(table)
