"""What a peer is given to solve, as plain arrays, and what is asked of it while it does.

Nothing of ours is imported here: the peer's process may have another environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True)
class PeerTask:
    """A problem on the host."""

    intensity: np.ndarray  # (N, m, m), zero frequency at [0, 0]
    positions_px: np.ndarray  # (N, 2), first corners, with their fractions
    object: np.ndarray  # (H, W) complex, to start from
    probe: np.ndarray  # (M, m, m) complex, mutually incoherent modes to start from
    moves_probe: bool
    is_between_pixels: bool
    mask: np.ndarray | None = None  # (m, m) bool, True where a pixel is fitted
    fitted: np.ndarray | None = None  # (N, m, m) bool instead, where that differs from pattern to pattern
    variations: np.ndarray | None = None  # (J, m, m) complex, by what the first mode may vary

    @property
    def probe_size(self) -> int:
        return int(self.probe.shape[-1])

    def parts(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Words, and arrays in the shapes of the fields, by name: what :meth:`of` takes."""
        every = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays = {name: value for name, value in every.items() if isinstance(value, np.ndarray)}
        return {name: value for name, value in every.items() if isinstance(value, bool)}, arrays

    @classmethod
    def of(cls, words: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> PeerTask:
        """As :meth:`parts` has told it."""
        parts: dict[str, Any] = {**words, **arrays}
        return cls(**parts)


class Running(Protocol):
    """A peer's reconstruction under way, in the peer's process."""

    @property
    def data_passes(self) -> int: ...
    def epoch(self, batches: list[list[int]]) -> None:
        """One more epoch over ``batches`` of scan positions, in place."""

    def arrays(self) -> dict[str, np.ndarray]:
        """``object`` (H, W) and ``probe`` (M, m, m), complex; where they are found, ``positions_px`` (N, 2),
        ``intensity`` (N,), ``variations`` (J, m, m) and ``weights`` (N, J)."""

    def modelled(self) -> np.ndarray:
        """Intensities (N, m, m) by the peer's own forward model, in the units and order of the data."""

    def go_to(self, obj: np.ndarray | None, probe: np.ndarray | None) -> None:
        """Put ``obj`` (H, W) and ``probe`` (M, m, m), where given, in the place of the peer's own, and forget
        the directions that led there; all else that was found or counted stays."""


def go_to(running: Running, arrays: Mapping[str, np.ndarray]) -> None:
    """Put what differs from what the peer holds in its place; where nothing does, nothing is touched.

    ``arrays`` are ``object`` (H, W) and ``probe`` (M, m, m), as :meth:`Running.arrays` has them.
    """
    held = running.arrays()
    changed = {
        name: array
        for name, array in arrays.items()
        if not np.array_equal(held[name].astype(array.dtype), array)
    }
    if changed:
        running.go_to(changed.get("object"), changed.get("probe"))


class Driver(Protocol):
    """What drives one package."""

    __name__: str
    package: str  # its distribution

    def load(self) -> None:
        """Import the package."""

    def begin(self, settings: Mapping[str, Any], task: PeerTask) -> Running: ...
