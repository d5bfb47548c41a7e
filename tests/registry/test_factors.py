"""Short names of what a study varies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ptychosuite.registry.factors import (
    are_numbers,
    factor_names,
    factor_value,
    fast_forward_as_one,
    fast_forward_label,
    is_value,
)


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
        (["problem.start_probe", "problem.start_probe.kind"], ["start_probe"]),
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
    """A run without the setting has None; fast-forward is a few words, empty where it is off."""
    leaves = {"solver.name": "magpie", "fast_forward.checkpoint": "default", "fast_forward.warm_up": 50}
    assert factor_value(leaves, "solver.name") == "magpie"
    assert factor_value(leaves, "solver.alpha") is None
    assert factor_value(leaves, "fast_forward") == fast_forward_label(leaves) == "network at 50, 62"
    assert factor_value({"fast_forward": None}, "fast_forward") == ""


@pytest.mark.parametrize(
    ("settings", "label"),
    [
        ({"kind": "network"}, "network at 13, 25"),
        (
            {"kind": "network", "checkpoint": "/a/mine.safetensors", "checkpoint_sha256": "0123456789"},
            "network mine-0123 at 13, 25",
        ),
        ({"kind": "extrapolation", "factor": 6.0, "jumps": 1}, "extrapolation factor 6 at 13"),
        ({"kind": "identity", "warm_up": 20, "spacing": 10, "jumps": 3}, "identity at 20, 30, 40"),
        ({"kind": "identity", "refits": 3}, "identity at 13, 25, refits 3"),
        (
            {"kind": "probe-refit", "safeguard": False, "look_ahead": 5},
            "probe-refit at 13, 25, safeguard off, look-ahead 5",
        ),
    ],
)
def test_fast_forward_in_words(settings, label):
    """Kind, own settings, where it jumps, and what is not as by default."""
    leaves = {f"fast_forward.{name}": value for name, value in settings.items()}
    assert fast_forward_label(leaves) == label
    assert fast_forward_as_one({"seed": 1, **leaves}) == {"seed": 1, "fast_forward": label}
    assert fast_forward_as_one({"seed": 1, "fast_forward": None}) == {"seed": 1, "fast_forward": None}


@pytest.mark.parametrize(
    ("found", "wanted", "agree"),
    [
        (0.4, "0.4", True),
        (0.5, "50 %", True),
        (1 / 3, 0.333333, True),
        (1 / 3, 0.33333, False),
        (0.30000000000000004, 0.3, True),
        (1234567, 1234570, False),
        (1, True, False),
        (0, False, False),
        (True, "on", True),
        ("True", True, True),
        (False, "true", False),
        (None, "none", True),
        ("", "off", True),
        (float("nan"), None, True),
        (0.0, None, False),
        ("12", 12, True),
        ("1e-3", 0.001, False),
        ("magpie", "MAGPIE", True),
        ("rpie, 20; emagpie", "rPIE 20 + eMAGPIE", True),
        ("texture", "Texture", False),
        ("on", "on", True),
        ("rpie", "epie", False),
    ],
)
def test_ways_to_write_a_value(found, wanted, agree):
    assert is_value(found, wanted) is agree
