"""How a study says which runs and which names a figure is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from annotated_types import Len
from pydantic import AfterValidator

OneOrMore = str | Sequence[str]
"""One name, or a list of several."""

Where = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
"""Factors with the value, or the list of values, that runs have; a list of such sets for alternatives."""


def _rising(ends: Sequence[float]) -> Sequence[float]:
    if not ends[0] < ends[1]:
        raise ValueError("expected the lower end first")
    return ends


Ends = Annotated[Sequence[float], Len(2, 2), AfterValidator(_rising)]
"""Lower and upper end of a scale."""


def listed(names: OneOrMore) -> list[str]:
    """``names`` as a list."""
    return [names] if isinstance(names, str) else list(names)


def alternatives(where: Where) -> list[Mapping[str, Any]]:
    """The sets of factors, of which a run has to have one."""
    if not where:
        return [{}]
    return [where] if isinstance(where, Mapping) else list(where)


def in_words(where: Where) -> str:
    """As in a message: "{solver: rpie} or {solver: magpie, levels: 7}"."""
    sets = (", ".join(f"{name}: {value}" for name, value in wanted.items()) for wanted in alternatives(where))
    return " or ".join(f"{{{words}}}" for words in sets)
