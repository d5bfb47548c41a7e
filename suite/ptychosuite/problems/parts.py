"""What objects, probes and scans are: the bases of their classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

MAX_SIZE = 2**14  # pixels on a side; more is a slip of the pen


class FileSettings:
    """Base of the nouns whose settings may name files.

    A setting ``x`` names a file where the class has a field ``x_sha256``: when a study is planned, its path
    becomes absolute and its hash is taken. ``bundled_files`` are files that come with the package, by the
    names that a study gives them; ``bundled_images`` are names that stand for an image without a file.
    ``label`` is what figures call the class, its name by default.
    """

    label: ClassVar[str] = ""
    bundled_files: ClassVar[Mapping[str, Path]] = {}
    bundled_images: ClassVar[Sequence[str]] = ()

    @property
    def from_file(self) -> bool:
        """Whether a setting names a file."""
        fields: Any = dataclasses.fields(self)  # type: ignore[arg-type]  # the classes are dataclasses
        return any(f.name.endswith("_sha256") and getattr(self, f.name) for f in fields)


class ObjectKind(FileSettings):
    """Base of the objects: makes a complex transmission function.

    ``make`` and ``shape`` are all that an object has to bring; one of :class:`Square` has its shape.
    """

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        raise NotImplementedError

    def make(self) -> np.ndarray:
        """The object, (H, W) complex128."""
        raise NotImplementedError


class Square(ObjectKind):
    """Base of the objects of ``size`` x ``size`` pixels."""

    size: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.size, self.size


class ProbeKind(FileSettings):
    """Base of the probes: makes a complex field, centred in its window. ``size`` is its pixels on a side."""

    size: int

    def make(self) -> np.ndarray:
        """The probe, (m, m) complex128."""
        raise NotImplementedError


class ScanKind(FileSettings):
    """Base of the scans: lays out the positions of the patches' first corners."""

    def positions(
        self, object_shape: tuple[int, int], probe_size: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Positions (N, 2) in pixels, (row, column), whole or fractional."""
        raise NotImplementedError
