"""The compiled forms of :mod:`ptychosuite.solvers.scan_geometry`.

A scan of N positions with b others near each takes time of order N b. Every sweep colours the same positions
in another order: which of them are near each other is found once, and kept of the last scan, in memory of
order N b. Overlaps are looked for by spatial hashing, up to the first.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from ptychosuite.backends.compiled import compiled
from ptychosuite.solvers.scan_geometry import pairs_that_overlap

NONE = -1  # the end of a list


def colour_groups(positions: np.ndarray, probe_size: int, order: np.ndarray) -> list[np.ndarray]:
    first, others = _neighbours(positions.shape, positions.astype(np.int64).tobytes(), probe_size)
    colours = np.full(len(positions), len(positions), np.int32)
    _colour(order, first, others, colours)
    ordered = colours[order]
    by_colour = order[np.argsort(ordered, kind="stable")]  # within a group, the order stays
    ends = np.cumsum(np.bincount(ordered)).tolist()
    return [by_colour[begin:end] for begin, end in pairwise([0, *ends])]


@lru_cache(maxsize=1)
def _neighbours(shape: tuple[int, int], positions: bytes, probe_size: int) -> tuple[np.ndarray, np.ndarray]:
    """With whom each patch shares pixels: patch k with ``others[first[k] : first[k + 1]]``."""
    pairs = pairs_that_overlap(np.frombuffer(positions, np.int64).reshape(shape), probe_size)
    pairs = pairs.astype(np.int32)  # half the memory to go through
    one, other = np.concatenate([pairs, pairs[:, ::-1]]).T
    first = np.concatenate([[0], np.cumsum(np.bincount(one, minlength=shape[0]))])
    return first, other[np.argsort(one, kind="stable")]


@compiled
def _colour(order: Any, first: Any, others: Any, colours: Any) -> None:
    """Each patch's colour: the lowest that none before has among those that share a pixel with it.

    ``colours`` are all N at first, which is one more than any can be.
    """
    taken_by = np.full(len(order) + 1, NONE, np.int32)  # for each colour, the last patch that may not have it
    for k in order:
        for place in range(first[k], first[k + 1]):
            taken_by[colours[others[place]]] = k
        colour = 0
        while taken_by[colour] == k:
            colour += 1
        colours[k] = colour


def any_overlap(positions: np.ndarray, probe_size: int) -> bool:
    return bool(_any_overlap(np.ascontiguousarray(positions), probe_size))


@compiled
def _any_overlap(positions: Any, size: Any) -> bool:
    """Whether any two share a pixel.

    The plane is cut into cells of the probe's size, so that a patch can share pixels only with those whose
    corners lie in its own cell or the eight around it. Cells are hashed into as many buckets as there are
    positions, each a linked list: two cells in one bucket cost time, and change nothing.
    """
    n, n_buckets = len(positions), 1
    while n_buckets < n:
        n_buckets *= 2
    buckets, following = np.full(n_buckets, NONE), np.empty(n, np.int64)
    for k in range(n):
        row, column = positions[k]
        for cell_row in range(row // size - 1, row // size + 2):
            for cell_column in range(column // size - 1, column // size + 2):
                other = buckets[_hash(cell_row, cell_column) & (n_buckets - 1)]
                while other != NONE:
                    if abs(positions[other, 0] - row) < size and abs(positions[other, 1] - column) < size:
                        return True
                    other = following[other]
        own = _hash(row // size, column // size) & (n_buckets - 1)
        following[k], buckets[own] = buckets[own], k
    return False


@compiled
def _hash(cell_row: Any, cell_column: Any) -> int:
    """M. Teschner and co-workers, VMV 2003, equation (1)."""
    return cell_row * 73856093 ^ cell_column * 19349663
