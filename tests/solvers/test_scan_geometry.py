"""Colour groups and overlaps, looked for nearby alone: those of all pairs, at a cost that stays linear."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ptychosuite.solvers import scan_geometry_kernels
from ptychosuite.solvers.scan_geometry import any_overlap, colour_groups

corners = st.tuples(st.integers(-20, 40), st.integers(-20, 40))


@settings(deadline=None, max_examples=150)
@given(st.lists(corners, min_size=1, max_size=40), st.integers(1, 12), st.integers(0, 99))
def test_as_of_all_pairs(positions, size, seed):
    """Spatial hashing finds the groups that the greedy colouring by all pairs finds, in the same order."""
    positions = np.array(positions)
    order = np.random.default_rng(seed).permutation(len(positions))
    found, expected = (f(positions, size, order) for f in (colour_groups, colour_groups.__wrapped__))
    assert [group.tolist() for group in found] == [group.tolist() for group in expected]
    assert any_overlap(positions, size) == any_overlap.__wrapped__(positions, size)


@pytest.mark.parametrize("step", [7, 8])
def test_patches_that_touch_share_nothing(step):
    """Of 8 pixels at a distance of 8 no two overlap; one pixel nearer, neighbours do."""
    positions = np.stack(np.meshgrid(*[np.arange(5) * step] * 2), -1).reshape(-1, 2)
    assert any_overlap(positions, 8) == (step < 8)
    assert len(colour_groups(positions, 8, np.arange(25))) == (4 if step < 8 else 1)


def raster(side, step=8):
    return np.stack(np.meshgrid(*[np.arange(side) * step] * 2), -1).reshape(-1, 2)


def seconds(side):
    """Shortest of three colourings of scans that were not seen before."""
    times = []
    for seed in range(3):
        positions = raster(side) + seed
        order = np.random.default_rng(seed).permutation(len(positions))
        begin = time.perf_counter()
        colour_groups(positions, 32, order)
        times.append(time.perf_counter() - begin)
    return min(times)


def test_ten_thousand_positions_cost_no_more_than_their_number():
    """16 times the positions of the same density take about 16 times as long, not 256 times."""
    seconds(5)  # compiles
    few, many = seconds(50), seconds(200)
    assert many < 64 * few
    assert many < 2  # 40,000 positions; by all pairs half an hour


def test_what_lies_near_is_found_once_a_scan(monkeypatch):
    """Other orders of the same positions do not look again; other positions or sizes of patches do."""
    looked = []
    plain = scan_geometry_kernels.pairs_that_overlap
    monkeypatch.setattr(
        scan_geometry_kernels, "pairs_that_overlap", lambda *scan: looked.append(1) or plain(*scan)
    )
    for expected, positions, size in (
        (1, raster(9), 20),
        (1, raster(9), 20),
        (2, raster(9), 30),
        (3, raster(8), 30),
    ):
        order = np.random.default_rng(expected).permutation(len(positions))
        colour_groups(positions + 77, size, order)
        assert len(looked) == expected
