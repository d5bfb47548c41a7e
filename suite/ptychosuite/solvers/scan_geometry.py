"""Which patches of a scan share pixels.

Two patches of m x m pixels share one where their first corners are less than m apart in rows and in columns.
Colours and overlaps look at all pairs here, and say what is meant; on the host, where positions always are,
those of :mod:`ptychosuite.solvers.scan_geometry_kernels` look only at patches near each other.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from ptychosuite.backends.compiled import accelerated


@accelerated
def colour_groups(
    positions: Int[np.ndarray, "N 2"], probe_size: int, order: Int[np.ndarray, " N"]
) -> list[Int[np.ndarray, " _"]]:
    """Greedy colouring of the overlap graph in the given order: groups of patches that do not overlap.

    ``positions`` are first corners and ``probe_size`` the side of a patch, in pixels; ``order`` and what
    comes back number the positions.
    """
    colours: list[list[int]] = []
    for k in order.tolist():
        for members in colours:
            if (np.abs(positions[members] - positions[k]).max(axis=1) >= probe_size).all():
                members.append(k)
                break
        else:
            colours.append([k])
    return [np.asarray(members) for members in colours]


@accelerated
def any_overlap(positions: Int[np.ndarray, "n 2"], probe_size: int) -> bool:
    """Whether any two patches of ``probe_size`` pixels on a side at ``positions`` share one."""
    distances = np.abs(positions[:, None, :] - positions[None, :, :]).max(axis=2)
    np.fill_diagonal(distances, probe_size)
    return bool((distances < probe_size).any())


def connected_groups(positions: Int[np.ndarray, "n 2"], probe_size: int) -> list[Int[np.ndarray, " _"]]:
    """Numbers of the positions, in groups: patches of different groups share no pixel.

    A group is as small as can be: one comes from any of its patches to any other by some that share pixels.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n, pairs = len(positions), pairs_that_overlap(positions, probe_size)
    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    number, group = connected_components(links, directed=False)
    by_group = np.argsort(group, kind="stable")
    return np.split(by_group, np.cumsum(np.bincount(group, minlength=number))[:-1])


def pairs_that_overlap(positions: Int[np.ndarray, "n 2"], probe_size: int) -> Int[np.ndarray, "P 2"]:
    """The numbers of any two positions whose patches share a pixel, each pair once."""
    from scipy.spatial import cKDTree

    return cKDTree(positions).query_pairs(probe_size - 0.5, p=np.inf, output_type="ndarray")
