"""The stages of a solver, as a study writes them: a list of solvers, each with its iterations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ptychosuite.registry.validation import Keys, SettingError, as_mapping, shown

STAGED = "staged"  # the solver that a list of solvers is short for

Complete = Callable[[Any, Keys], dict[str, Any]]  # of one solver's settings


def complete_stages(given: Any, path: Keys, complete: Complete) -> list[dict[str, Any]]:
    """Each stage with its solver's settings complete; the last one may say no iterations of its own."""
    if not isinstance(given, list) or not given:
        example = "[{name: rpie, iterations: 20}, emagpie]"
        raise SettingError(path, f"found {shown(given)}; expected a list of solvers, as in {example}")
    return [
        _stage(stage, (*path, place), complete, is_last=place == len(given) - 1)
        for place, stage in enumerate(given)
    ]


def _stage(given: Any, path: Keys, complete: Complete, is_last: bool) -> dict[str, Any]:
    settings = {"name": given} if isinstance(given, str) else as_mapping(given, path)
    iterations = settings.pop("iterations", None)
    if iterations is None and not is_last:
        raise SettingError(path, "'iterations' is missing: only the last stage goes on to stop.iterations")
    if iterations is not None and (type(iterations) is not int or iterations < 1):
        raise SettingError((*path, "iterations"), f"found {shown(iterations)}; expected a number from 1 on")
    if settings.get("name") == STAGED:
        raise SettingError(path, "a stage is one solver; write its stages into the one list")
    return {**complete(settings, path), "iterations": iterations}


def total_iterations(stages: Sequence[Mapping[str, Any]], wanted: int | None, default: int) -> int:
    """How many iterations a run of ``stages`` does at most.

    Parameters
    ----------
    wanted
        What the study says; None where it leaves it to the stages or to the ``default``.

    Raises
    ------
    SettingError
        The stages need more, or have come to an end before.
    """
    iterations = [stage["iterations"] for stage in stages]
    known = sum(filter(None, iterations))
    path, partner = ("stop", "iterations"), ("solver",)
    if iterations[-1] is not None and wanted not in (None, known):
        message = (
            f"found {wanted}; the stages take {known} together: say {known}, or leave out the last one's"
        )
        raise SettingError(path, message, partner)
    total = known if iterations[-1] is not None else wanted or default
    if known >= total and iterations[-1] is None:
        message = f"found {total}; the last stage would never begin, those before it take {known}"
        raise SettingError(path, message, partner)
    return total
