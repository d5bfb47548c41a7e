"""The compiled form of :mod:`ptychosuite.physics.shift`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptychosuite.backends.compiled import compiled


def times_phases(spectrum: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    moved = np.empty_like(spectrum, order="C")
    _times_phases(np.ascontiguousarray(spectrum), rows, columns, moved)
    return moved


@compiled
def _times_phases(spectrum: Any, rows: Any, columns: Any, out: Any) -> None:
    for i in range(len(rows)):
        row, moved = spectrum[i], out[i]
        for j in range(len(columns)):
            moved[j] = row[j] * (rows[i] * columns[j])
