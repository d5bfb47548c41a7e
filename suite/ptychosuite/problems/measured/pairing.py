"""Patterns and positions that their files number: each pattern gets the position of its number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.pattern_stack import PatternStack
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.selected import Selected


def pair(raw: Raw, path: str) -> None:
    """Put the positions in the order of the patterns, and leave out patterns that have none.

    Only one of the two may have numbers; the other is then counted from 0. Positions without a pattern are
    left out as well.

    Raises
    ------
    DataFileError
        Two have the same number, or no pattern has a position.
    """
    if raw.positions is None or raw.stack is None:
        return
    if raw.pattern_numbers is None and raw.position_numbers is None:
        return
    patterns = _numbers(raw.pattern_numbers, raw.stack.n_patterns, "patterns", path)
    positions = _numbers(raw.position_numbers, len(raw.positions), "positions", path)
    places = {number: place for place, number in enumerate(positions.tolist())}
    kept = np.array([i for i, number in enumerate(patterns.tolist()) if number in places], dtype=int)
    if not len(kept):
        raise DataFileError(
            f"{path}: no pattern has a position: the patterns are numbered {_span(patterns)}, the positions "
            f"{_span(positions)}; check that these files belong together"
        )
    raw.positions = raw.positions[[places[number] for number in patterns[kept].tolist()]]
    if len(kept) < len(patterns):
        _leave_out(raw, raw.stack, kept)


def _numbers(given: np.ndarray | None, n: int, what: str, path: str) -> np.ndarray:
    if given is None:
        return np.arange(n)
    numbers = np.ravel(given)
    if len(numbers) != n or len(np.unique(numbers)) != n:
        raise DataFileError(
            f"{path}: {n} {what} have {len(numbers)} numbers, {len(np.unique(numbers))} of them different; "
            "expected one for each"
        )
    return numbers


def _span(numbers: np.ndarray) -> str:
    return f"{numbers.min()} to {numbers.max()}"


def _leave_out(raw: Raw, stack: PatternStack, kept: np.ndarray) -> None:
    """All but the patterns ``kept``, of everything that has one value for each."""
    parts, before = [], 0
    for part in stack.parts:
        mine = kept[(kept >= before) & (kept < before + part.n_patterns)] - before
        if len(mine) and part.outer is not None:
            raise DataFileError(f"'{stack.name}' is a raster, and some of its patterns have no position")
        if len(mine):
            parts.append(replace(part, array=Selected(part.array, part.axes[0], mine)))
        before += part.n_patterns
    raw.source["pairing"] = f"{len(kept)} of {stack.n_patterns} patterns have a position, by their numbers"
    raw.stack = PatternStack(tuple(parts), stack.name)
    if raw.good is not None and raw.good.ndim == 3 and len(raw.good) == before:
        raw.good = raw.good[kept]
    if raw.intensities is not None and len(raw.intensities) == before:
        raw.intensities = raw.intensities[kept]
