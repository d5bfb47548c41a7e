"""A few runs that stand for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from suite.core.factors import fast_forward_as_one
from suite.core.run import RunSpec


def varying_paths(specs: Sequence[RunSpec]) -> list[str]:
    """Dotted paths of what differs between ``specs``, the solver's name always among them."""
    values: dict[str, set[Any]] = {"solver.name": set()}
    for spec in specs:
        for path, value in fast_forward_as_one(spec.leaves()).items():
            values.setdefault(path, set()).add(value)
    settings = (path for path in values if not path.endswith("_sha256"))
    return [path for path in settings if len(values[path]) > 1 or path == "solver.name"]


def balanced_sample(specs: Sequence[RunSpec], count: int, seed: int = 0) -> list[int]:
    """Places of ``count`` runs, drawn so that solvers and the values of every factor come up evenly.

    Each draw takes the run whose solver has come up least, and among those the one whose other values have;
    chance, seeded by ``seed``, decides between equals. The places are in ascending order.
    """
    paths = varying_paths(specs)
    traits = [_traits(fast_forward_as_one(spec.leaves()), paths) for spec in specs]
    left = np.random.default_rng(seed).permutation(len(specs)).tolist()
    drawn: Counter[tuple[str, Any]] = Counter()
    chosen: list[int] = []

    def how_often(place: int) -> tuple[int, int]:
        solver, *others = (drawn[trait] for trait in traits[place])
        return solver, sum(others)

    while left and len(chosen) < count:
        place = min(left, key=how_often)
        left.remove(place)
        chosen.append(place)
        drawn.update(traits[place])
    return sorted(chosen)


def _traits(leaves: Mapping[str, Any], paths: Sequence[str]) -> list[tuple[str, Any]]:
    """The solver first, then the other values that vary."""
    return [(path, leaves.get(path)) for path in paths]
