"""Short names of what a study varies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suite.core.factors import are_numbers, factor_names, factor_value, fast_forward_label


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["problem.noise", "seed"], ["noise", "seed"]),
        (["solver.name", "solver.alpha"], ["solver", "alpha"]),
        (["problem.scan.kind", "problem.scan.overlap"], ["scan", "overlap"]),
        (["problem.object.size", "problem.probe.size"], ["object_size", "probe_size"]),
        (
            ["problem.object.size", "problem.probe.size", "problem.noise"],
            ["object_size", "probe_size", "noise"],
        ),
        (["problem.object.kind", "problem.object.size"], ["object", "size"]),
        (["fast_forward"], ["fast_forward"]),
        ([], []),
    ],
)
def test_names_are_short_where_they_can_be(paths, names):
    """The last part serves where it is unique, more of the path where it is not."""
    assert list(factor_names(paths).values()) == names


@given(st.sets(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4).map(".".join), max_size=12))
def test_names_are_unique(paths):
    """No two factors share a name, however alike their paths are."""
    names = factor_names(sorted(paths))
    assert set(names) == paths
    assert len(set(names.values())) == len(paths)


@pytest.mark.parametrize(
    ("values", "numbers"),
    [([1, 2.5, None], True), ([None], True), (["a", 1], False), ([True, False], False), ([], True)],
)
def test_numbers(values, numbers):
    """Booleans and text are no numbers; a missing value is no obstacle."""
    assert are_numbers(values) is numbers


def test_value_of_a_factor():
    """A run without the setting has None; fast-forward is one word."""
    leaves = {"solver.name": "magpie", "fast_forward.checkpoint": "default", "fast_forward.warm_up": 50}
    assert factor_value(leaves, "solver.name") == "magpie"
    assert factor_value(leaves, "solver.alpha") is None
    assert factor_value(leaves, "fast_forward") == fast_forward_label(leaves) == "default warm_up=50"
    assert factor_value({"fast_forward": None}, "fast_forward") == ""
