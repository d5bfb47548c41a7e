"""Colour groups and overlaps, looked for nearby alone: those of all pairs, at a cost that stays linear."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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


def seconds(positions, size):
    """Best of three colourings."""
    times = []
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(positions))
        begin = time.perf_counter()
        colour_groups(positions, size, order)
        times.append(time.perf_counter() - begin)
    return min(times)


def test_ten_thousand_positions_cost_no_more_than_their_number():
    """16 times the positions of the same density take about 16 times as long, not 256 times."""
    seconds(raster(5), 32)  # compiles
    few, many = seconds(raster(50), 32), seconds(raster(200), 32)
    assert many < 64 * few
    assert many < 0.5  # 40,000 positions; by all pairs half an hour
