"""What a run of another study has found: its object, its probe, its positions.

When a study is planned, ``study`` and ``where`` are resolved to one run, whose id stands beside them and is
part of the identity of what begins from it: where the results lie, and how the run was described, are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from ptychosuite.core.runs import RunRecord, Status
from ptychosuite.errors import DataFileError, StoreError
from ptychosuite.problems.problem_kind import ObjectKind, ProbeKind, ScanKind
from ptychosuite.store.layout import Store
from ptychosuite.store.read import read_reference, read_run


@dataclass(frozen=True)
class FromRun:
    """Base of what comes from a run.

    Parameters
    ----------
    study
        The study that the run is of: its results folder or s3:// address, or its file, whose results are then
        below "results" in the working directory.
    where
        Which of its runs, by its settings: {solver: rpie, seed: 0}, dotted paths, or {run_id: ...}. Exactly
        one has to be left.
    """

    study: str
    where: Mapping[str, Any] = field(default_factory=dict)
    run_id: str = ""

    @property
    def from_file(self) -> bool:
        return True

    @property
    def record(self) -> RunRecord:
        """The run, whole.

        Raises
        ------
        DataFileError
            It is gone, damaged, or did not complete.
        """
        if not self.run_id:
            raise DataFileError(
                f"the run of {self.study} is not known yet; it is found when a study is planned"
            )
        return _completed(self.study, self.run_id)

    def found(self, name: str) -> np.ndarray:
        """The array ``name`` of the run.

        Raises
        ------
        DataFileError
            As :attr:`record`, or the run has none, or one that is not finite.
        """
        array = getattr(self.record, name)
        if array is None:
            raise DataFileError(f"run {self.run_id} in {self.study} has no {name}; name another run")
        if not np.isfinite(array).all():
            raise DataFileError(
                f"the {name} of run {self.run_id} in {self.study} has values that are no number"
            )
        return np.asarray(array)


@dataclass(frozen=True)
class RunObject(FromRun, ObjectKind):
    """The object that a run has found."""

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.found("object").shape
        return rows, columns

    def make(self) -> np.ndarray:
        return self.found("object").astype(np.complex128)


@dataclass(frozen=True)
class RunProbe(FromRun, ProbeKind):
    """The probe that a run has found, or was given; counts are drawn as for the run that it comes from."""

    is_calibrated: ClassVar[bool] = True

    began_with: str = ""  # what that run began with, as JSON

    @property
    def size(self) -> int:  # type: ignore[override]  # found in the run, not set
        return int(self.found("probe").shape[-1])

    def make(self) -> np.ndarray:
        probe, modes = self.found("probe").astype(np.complex128), self.modes()
        return probe if modes is None else probe * np.sqrt(_power(modes) / _power(probe))

    def modes(self) -> np.ndarray | None:
        return None if self.record.probe_modes is None else self.found("probe_modes").astype(np.complex128)


@dataclass(frozen=True)
class RunScan(FromRun, ScanKind):
    """The positions that a run has found, or was given."""

    def given(self, object_shape: tuple[int, int], probe_size: int, rng: np.random.Generator) -> np.ndarray:
        if self.record.scan_positions_px is not None:
            return self.found("scan_positions_px").astype(np.float64)
        reference = read_reference(Store.open(self.study), self.record.reference)
        if reference is None:
            raise DataFileError(f"run {self.run_id} in {self.study} has no positions; name another run")
        return reference.told_positions_px.astype(np.float64)

    def positions(
        self, object_shape: tuple[int, int], probe_size: int, rng: np.random.Generator
    ) -> np.ndarray:
        given = self.given(object_shape, probe_size, rng)
        return given - np.floor(given.min(axis=0))


def _power(probe: np.ndarray) -> float:
    return float(np.sum(np.abs(probe) ** 2))


@lru_cache(maxsize=4)
def _completed(address: str, run_id: str) -> RunRecord:
    try:
        record = read_run(Store.open(address).run_file(run_id))
    except StoreError as error:
        raise DataFileError(f"the run to begin from is not to be had: {error}") from error
    if record.status is not Status.COMPLETED or record.run_id != run_id:
        raise DataFileError(f"run {run_id} in {address} is {record.status}; name one that completed")
    for array in (record.object, record.probe, record.probe_modes, record.scan_positions_px):
        if array is not None:
            array.setflags(write=False)
    return record
