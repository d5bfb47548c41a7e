"""The values of an axis: as they are listed, or as a range says them; counted before they are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ptychosuite.registry.validation import shown
from ptychosuite.registry.yaml_text import rounded

MOST_RUNS = 100_000  # of one plan, which has them all in memory; the values of an axis likewise
EXPECTED = (
    "expected a list of values, {range: 5}, {range: [start, stop, step]}, {linspace: [first, last, number]} "
    "or {geomspace: [first, last, number]}"
)


def axis_values(values: Any, error: Any) -> list[Any]:
    """The values of an axis: a list, or one of range, linspace, geomspace.

    ``{range: 5}`` is 0 ... 4, ``{range: [start, stop, step]}`` as in Python; ``{linspace: [first, last,
    number]}`` and ``{geomspace: ...}`` include both ends, and have 15 digits, so that 0.3 is 0.3.

    Raises
    ------
    What ``error`` makes of the message, where they are none of these, or too many.
    """
    try:
        if isinstance(values, list):
            found: Any = values
        else:
            ((kind, given),) = values.items()
            found = KINDS[kind](*(given if isinstance(given, list) else [given]))
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as wrong:
        raise error(f"found {shown(values)}; {EXPECTED}") from wrong
    if not found:
        raise error(f"found {shown(values)}; {EXPECTED}")
    if found[MOST_RUNS:]:
        raise error(f"found {shown(values)}; an axis has at most {MOST_RUNS:,} values")
    return list(found)


def one_or_more(value: Any, error: Any) -> list[Any]:
    """The values of a list or a range; anything else is one value."""
    is_range = isinstance(value, Mapping) and not KINDS.keys().isdisjoint(value)
    return axis_values(value, error) if isinstance(value, list) or is_range else [value]


def _spaced(first: float, last: float, number: int, at: Callable[[float], float]) -> list[float]:
    """``number`` values, of which ``at`` gives those between by their share of the way."""
    if number < 2:
        raise ValueError(number)
    shares = (i / (number - 1) for i in range(1, min(number - 1, MOST_RUNS + 1)))
    return [float(first), *(rounded(at(share)) for share in shares), float(last)]


def _linspace(first: float, last: float, number: int) -> list[float]:
    return _spaced(first, last, number, lambda share: first + share * (last - first))


def _geomspace(first: float, last: float, number: int) -> list[float]:
    if min(first, last) <= 0:
        raise ValueError(first, last)
    return _spaced(first, last, number, lambda share: first * (last / first) ** share)


KINDS: dict[str, Callable[..., Any]] = {"range": range, "linspace": _linspace, "geomspace": _geomspace}
