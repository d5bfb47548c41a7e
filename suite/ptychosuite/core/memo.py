"""Remember what was computed for an object, for as long as it is asked about."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

Argument = TypeVar("Argument")
Result = TypeVar("Result")

MOST = 1024


def by_identity(function: Callable[[Argument], Result]) -> Callable[[Argument], Result]:
    """Call ``function`` once for each object, equal ones included: no hash, no comparison.

    For plain data that nobody changes: the runs of a plan share their problems and solvers.
    """
    known: dict[int, tuple[Argument, Result]] = {}

    @wraps(function)
    def remembered(argument: Argument) -> Result:
        found = known.get(id(argument))
        if found is None or found[0] is not argument:
            if len(known) >= MOST:
                known.clear()
            found = known[id(argument)] = (argument, function(argument))  # kept, so that its id stays its own
        return found[1]

    return remembered
