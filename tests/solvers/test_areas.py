"""Areas of a batch: every patch on one of them, and what is summed there as on the whole grid."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ptychosuite.backends.arrays import backend, to_numpy
from ptychosuite.physics.forward import accumulate_patches
from ptychosuite.registry.lookup import build
from ptychosuite.solvers import areas, batches, lsqml
from ptychosuite.solvers.areas import Area, areas_of
from ptychosuite.solvers.scan_geometry import connected_groups

from tests.conftest import small_problem
from tests.physics.test_forward import complex_random
from tests.solvers.test_contract import iterate

corners = st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), min_size=1, max_size=30)


def share_pixels(positions, size):
    return np.abs(positions[:, None] - positions[None]).max(axis=2) < size


@settings(deadline=None, max_examples=100)
@given(corners, st.integers(1, 20))
def test_groups_are_the_connected_ones(positions, size):
    """By the closure of who shares pixels with whom."""
    positions = np.array(positions)
    reached = share_pixels(positions, size)
    for _ in range(5):
        reached = (reached.astype(int) @ reached) > 0
    expected = {tuple(np.flatnonzero(row)) for row in reached}
    found = connected_groups(positions, size)
    assert {tuple(group) for group in found} == expected
    assert sorted(np.concatenate(found)) == list(range(len(positions)))


@settings(deadline=None, max_examples=100)
@given(corners, st.integers(1, 20))
def test_sums_are_those_of_the_whole_grid(positions, size):
    positions, rng = np.array(positions), np.random.default_rng(0)
    obj, images = np.zeros((110, 110), complex), complex_random(rng, len(positions), size, size)
    for area in areas_of(obj, positions, size):
        area.part[...] += area.sum_of(images)
    whole = accumulate_patches(np.zeros_like(obj), images, positions)
    np.testing.assert_allclose(obj, whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize(
    "settings",
    [
        {"name": "lsqml", "batch": 2},
        {"name": "lsqml", "batch": 2, "probe_modes": 2},
        {"name": "lsqml", "batch": 2, "likelihood": "poisson", "probe_variations": 1},
        {"name": "rpie", "sweep": "minibatch", "batch": 3},
        {"name": "epie", "sweep": "minibatch", "batch": 3, "probe_modes": 2},
    ],
    ids=str,
)
def test_an_iteration_is_that_by_one_window(monkeypatch, library, settings):
    problem = dataclasses.replace(
        small_problem(backend(library), noise=0.5, flat_start=False), probe_known=False
    )
    solver = build("solvers", settings)
    several = []

    def counted(obj, positions, size):
        found = areas_of(obj, positions, size)
        several.append(len(found) > 1)
        return found

    for module in (lsqml, batches):
        monkeypatch.setattr(module, "areas_of", counted)
    found = iterate(solver, problem, 7)[-1]
    assert any(several)
    for module in (lsqml, batches):
        monkeypatch.setattr(module, "areas_of", one_window)
    expected = iterate(solver, problem, 7)[-1]
    for name in ("object", "probe"):
        one, other = (to_numpy(getattr(state, name)) for state in (found, expected))
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-10)


def one_window(obj, positions, size):
    return [Area(*areas.window(obj, positions, size), slice(None))]
