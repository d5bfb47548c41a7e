"""What objects, probes and scans are: the bases of their classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np


class ObjectKind:
    """Base of the objects: makes a complex transmission function."""

    label: ClassVar[str] = ""
    bundled_files: ClassVar[Mapping[str, Path]] = {}  # that come with the package, by their names in a study

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        raise NotImplementedError

    def make(self) -> np.ndarray:
        """The object, (H, W) complex128."""
        raise NotImplementedError


class ProbeKind:
    """Base of the probes: makes a complex field, centred in its window. ``size`` is its pixels on a side."""

    label: ClassVar[str] = ""
    bundled_files: ClassVar[Mapping[str, Path]] = {}  # that come with the package, by their names in a study
    size: int

    def make(self) -> np.ndarray:
        """The probe, (m, m) complex128."""
        raise NotImplementedError


class ScanKind:
    """Base of the scans: lays out the positions of the patches' first corners."""

    label: ClassVar[str] = ""
    bundled_files: ClassVar[Mapping[str, Path]] = {}  # that come with the package, by their names in a study

    def positions(
        self, object_shape: tuple[int, int], probe_size: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Positions (N, 2) in pixels, (row, column), whole or fractional."""
        raise NotImplementedError
