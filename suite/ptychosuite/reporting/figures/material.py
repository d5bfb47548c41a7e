"""What figures are drawn from: the table of the runs, the dataset with their curves, and their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
import xarray as xr

from ptychosuite.analysis.in_gauge import Scene, Shown
from ptychosuite.analysis.labels import column_name, line_labels
from ptychosuite.analysis.outcomes import Outcome
from ptychosuite.analysis.tables import are_imported, compared_by, in_throughput
from ptychosuite.core.problem import Reference
from ptychosuite.core.runs import RunRecord, Status
from ptychosuite.errors import DamagedFile, NothingToDraw, StudyError, nearest
from ptychosuite.metrics.metric import metric_of
from ptychosuite.registry.factors import is_value
from ptychosuite.reporting.figures.wanted import Where, alternatives, in_words
from ptychosuite.reporting.page_content import Series
from ptychosuite.reporting.series import series_of
from ptychosuite.store.layout import Store
from ptychosuite.store.read import read_reference, read_run


@dataclass(frozen=True)
class RunFiles:
    """The run files and truths of a store, each read once, however many figures ask for it.

    Parameters
    ----------
    pictured
        The run files, relative to the store, that are read with their images; known before the first is read.
    damaged
        What is wrong with images and truths, by their paths; runs are then shown without them.
    """

    store: Store
    pictured: set[str] = field(default_factory=set)
    damaged: dict[str, str] = field(default_factory=dict)
    _records: dict[str, RunRecord] = field(default_factory=dict)
    _references: dict[str, Reference | None] = field(default_factory=dict)
    _scenes: dict[tuple[str, bool], Scene] = field(default_factory=dict)
    _shown: dict[str, Shown] = field(default_factory=dict)

    def run(self, path: str) -> RunRecord:
        """The run in the file ``path``."""
        if path not in self._records:
            self._records[path] = self._read(path)
        return self._records[path]

    def _read(self, path: str) -> RunRecord:
        if path in self.pictured:
            try:
                return read_run(self.store.root / path)
            except DamagedFile as error:
                self.damaged[path] = str(error)
        return read_run(self.store.root / path, images=False)

    def reference(self, name: str) -> Reference | None:
        """The truth called ``name``; None where there is none."""
        if name not in self._references:
            try:
                self._references[name] = read_reference(self.store, name)
            except DamagedFile as error:
                self._references[name], self.damaged[name] = None, str(error)
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
        their files, ``row`` their place in ``dataset``, ``status`` how they ended. ``attrs["factors"]`` and
        ``attrs["solver_settings"]`` name columns, ``attrs["paths"]`` the column of each dotted path.
    dataset
        All runs of the store, with a curve ``NAME_curve`` (run, iteration) a metric.
    files
        Reads runs and truths.
    study
        All planned runs of the study, one row each; those of ``table`` by default.
    """

    table: pd.DataFrame
    dataset: xr.Dataset
    files: RunFiles
    study: pd.DataFrame | None = None

    @property
    def whole(self) -> pd.DataFrame:
        """All planned runs of the study."""
        return self.table if self.study is None else self.study

    def lines(self, factor: str) -> pd.Series:
        """The label of each row's line, the same in every figure of the study."""
        return line_labels(self.whole, self.column(factor)).loc[self.table.index]

    def series(self, factor: str) -> dict[str, Series]:
        """Label of a line -> its colour, dash and marker, the same in every figure of the study."""
        return series_of(self.whole, self.column(factor))

    def column(self, name: str) -> str:
        """The column of a factor or metric that a study names.

        Raises
        ------
        StudyError
            There is none.
        """
        found = self._column(name)
        if found is None:
            valid = nearest(name, self.table.columns)
            raise StudyError(f"a figure asks for '{name}', which the results do not have; {valid}")
        return found

    def has_column(self, name: str) -> bool:
        """Whether there is such a factor or metric."""
        return self._column(name) is not None

    def _column(self, name: str) -> str | None:
        paths = self.table.attrs["paths"]
        by_path = paths.get(name) or paths.get(f"{name}.name") or paths.get(f"{name}.kind")
        tries = (by_path, name, column_name(name), name.rsplit(".", 1)[-1])
        return next((str(each) for each in tries if each in self.table.columns), None)

    def of(self, table: pd.DataFrame) -> Material:
        """The same about the rows of ``table``."""
        table.attrs = self.table.attrs
        return replace(self, table=table)

    def ended(self) -> Material:
        """The same with the runs that came to an end of their own.

        Raises
        ------
        NothingToDraw
            There is none.
        """
        rows = self.table[self.table["status"].isin([Status.COMPLETED, Status.DIVERGED])]
        if rows.empty:
            raise NothingToDraw(f"none of its runs has ended well: {Outcome.of_rows(self.table).text}")
        return self.of(rows)

    def timed(self, name: str) -> tuple[Material, str]:
        """Of a time, the runs whose times may be compared, and what to add to its name; else all of them.

        Results that were computed elsewhere have nothing that a run's loop counts.
        """
        metric = metric_of(name)
        if metric is None or metric.needs != "the loop":
            return self, ""
        ours, without = self.computed_here()
        table, note = compared_by(ours.table, metric)
        left_out = ours.table.drop(table.index)
        if untimed := int(in_throughput(left_out).sum()):
            note += f" (without {untimed} run{'s' * (untimed > 1)} of the throughput lane)"
        return self.of(table), note + without

    def computed_here(self) -> tuple[Material, str]:
        """The same without results that were computed elsewhere, and what to add to a name if there are any.

        Raises
        ------
        NothingToDraw
            There is nothing else.
        """
        outside = are_imported(self.table)
        if not outside.any():
            return self, ""
        if outside.all():
            raise NothingToDraw("all results were computed elsewhere, and nothing is known of their course")
        return self.of(self.table[~outside]), " (without imported results)"

    def narrowed(self, where: Where) -> Material:
        """The same with the rows that ``where`` asks for: one set of factors, or several as alternatives.

        Raises
        ------
        StudyError
            No such factor.
        NothingToDraw
            No run is left.
        """
        chosen = pd.Series(False, index=self.table.index)
        for wanted in alternatives(where):
            chosen |= self._has(wanted)
        if not chosen.any():
            raise NothingToDraw(f"no run with {in_words(where)} was planned")
        return self.of(self.table[chosen])

    def _has(self, wanted: Mapping[str, Any]) -> pd.Series:
        """Whether each row has the values, or one of the lists of values, of ``wanted``."""
        chosen = pd.Series(True, index=self.table.index)
        for name, value in wanted.items():
            values = value if isinstance(value, list) else [value]
            chosen &= self.table[self.column(name)].map(
                lambda has, v=values: any(is_value(has, w) for w in v)
            )
        return chosen
