"""What is said of the stages of a staged solver: in one line, and setting by setting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

STAGES = "stages"  # the setting that holds them
IMPORTED = "imported"
"""Name of what stands in a solver's place in a result that was computed elsewhere, and its lane."""

Stages = Sequence[Mapping[str, Any]]


def stages_of(solver: Mapping[str, Any]) -> Stages:
    """The stages of a solver's settings; none where it has none."""
    found = solver.get(STAGES)
    has_stages = isinstance(found, list | tuple) and all(isinstance(stage, Mapping) for stage in found)
    return found if has_stages and found else ()


def in_words(stages: Stages) -> str:
    """The solvers with their iterations, "rpie, 20; emagpie"; the last may have none of its own."""
    told = ((stage["name"], stage["iterations"]) for stage in stages)
    return "; ".join(f"{name}, {iterations}" if iterations else str(name) for name, iterations in told)


def solver_name(settings: Mapping[str, Any]) -> str:
    """What tables call the solver of ``settings``: its name, its stages in words, an import by its label."""
    if settings["name"] == IMPORTED:
        return f"{settings['label']} ({IMPORTED})"
    return in_words(stages_of(settings)) or str(settings["name"])


def parts_of(name: str) -> list[list[str]]:
    """The way back from :func:`in_words`: each stage's name, and its iterations where it has any."""
    return [stage.split(", ") for stage in name.split("; ")]


def leaves(stages: Stages) -> Iterator[tuple[str, Any]]:
    """Dotted path of every setting of the stages; names and iterations are in the solver's own name."""
    for place, stage in enumerate(stages):
        for key, value in stage.items():
            if key not in ("name", "iterations"):
                yield f"{STAGES}.{place}.{key}", value


def short(parts: Sequence[str]) -> tuple[str, ...]:
    """The parts of a dotted path with those of a stage's setting as one: "stage_1_alpha", counted from 1."""
    if STAGES not in parts[:-2]:
        return tuple(parts)
    place = parts.index(STAGES)
    return (*parts[:place], "_".join(["stage", str(int(parts[place + 1]) + 1), *parts[place + 2 :]]))
