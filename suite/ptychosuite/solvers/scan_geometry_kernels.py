"""The compiled forms of :mod:`ptychosuite.solvers.scan_geometry`, by spatial hashing.

The plane is cut into cells of the probe's size, so that a patch can share pixels only with those whose
corners lie in its own cell or the eight around it. Cells are hashed into as many buckets as there are
positions, each a linked list: two cells in one bucket cost time, and change nothing. A scan of N positions
with b others near each takes time of order N b and memory of order N: a small part of an iteration, also
where positions are corrected and every iteration has others.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ptychosuite.backends.compiled import compiled

NONE = -1  # the end of a list


def colour_groups(positions: np.ndarray, probe_size: int, order: np.ndarray) -> list[np.ndarray]:
    colours = _colours(positions[order], probe_size)
    by_colour = np.argsort(colours, kind="stable")  # within a group, the order stays
    return np.split(order[by_colour], np.cumsum(np.bincount(colours))[:-1])


def any_overlap(positions: np.ndarray, probe_size: int) -> bool:
    return len(positions) > 1 and bool(_colours(positions, probe_size).any())


def _colours(positions: np.ndarray, probe_size: int) -> np.ndarray:
    """Each patch's colour: the lowest that none before has among those that share a pixel with it."""
    n = len(positions)
    colours, buckets = np.empty(n, np.int64), np.full(1 << max(n - 1, 1).bit_length(), NONE)
    _colour(np.ascontiguousarray(positions), probe_size, buckets, colours)
    return colours


@compiled
def _colour(positions: Any, size: Any, buckets: Any, colours: Any) -> None:
    n, mask = len(positions), len(buckets) - 1
    following = np.empty(n, np.int64)
    taken_by = np.full(n + 1, NONE)  # for each colour, the last patch that may not have it
    for k in range(n):
        row, column = positions[k]
        for cell_row in range(row // size - 1, row // size + 2):
            for cell_column in range(column // size - 1, column // size + 2):
                other = buckets[_hash(cell_row, cell_column) & mask]
                while other != NONE:
                    if abs(positions[other, 0] - row) < size and abs(positions[other, 1] - column) < size:
                        taken_by[colours[other]] = k
                    other = following[other]
        colour = 0
        while taken_by[colour] == k:
            colour += 1
        colours[k] = colour
        own = _hash(row // size, column // size) & mask
        following[k], buckets[own] = buckets[own], k


@compiled
def _hash(cell_row: Any, cell_column: Any) -> int:
    """M. Teschner and co-workers, VMV 2003, equation (1)."""
    return cell_row * 73856093 ^ cell_column * 19349663
