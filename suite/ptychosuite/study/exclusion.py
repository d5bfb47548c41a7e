"""Which runs a study excludes: patterns of settings, compared however each is spelt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ptychosuite.core.stages import in_words, stages_of
from ptychosuite.registry.factors import is_value

FAST_FORWARD = "fast_forward"


@dataclass(frozen=True)
class Exclusion:
    """The patterns of ``exclude``; ``used`` are the places of those that some run has matched."""

    patterns: Sequence[Mapping[str, Any]]
    used: set[int] = field(default_factory=set)

    def covers(self, fields: Mapping[str, Any]) -> bool:
        """Whether a run of these fields, as the study gives them or complete, is left out."""
        matching = {place for place, pattern in enumerate(self.patterns) if matches(fields, pattern)}
        self.used.update(matching)
        return bool(matching)

    @property
    def unused(self) -> list[int]:
        """Places of the patterns that have matched no run."""
        return [place for place in range(len(self.patterns)) if place not in self.used]


def matches(fields: Mapping[str, Any], pattern: Mapping[str, Any]) -> bool:
    """Whether a run has every value of ``pattern``; a list means any of its values."""
    return all(_has(fields, str(path), wanted) for path, wanted in pattern.items())


def _has(fields: Mapping[str, Any], path: str, wanted: Any) -> bool:
    if path == "solver.name":
        path = "solver"  # that of stages is in words
    found = _get(fields, path)
    if path == FAST_FORWARD and found in (None, False):  # off, as a study or as a complete run says it
        return _agrees(None, wanted) or _agrees(False, wanted)
    return _agrees(found, wanted)


def _agrees(found: Any, wanted: Any) -> bool:
    """Whether a setting is the wanted one: a part by its name, or by some of its settings."""
    if isinstance(wanted, list):
        return bool(found == wanted) or any(_agrees(found, item) for item in wanted)
    if isinstance(wanted, Mapping):
        return found is not None and all(_agrees(_get(found, str(key)), item) for key, item in wanted.items())
    if isinstance(found, Mapping):
        return wanted is True or any(is_value(name, wanted) for name in _names(found))
    return is_value(found, wanted)


def _names(part: Mapping[str, Any]) -> list[Any]:
    """What a part is called: by its name or kind, and as tables show its stages."""
    stages = stages_of(part)
    in_full = stages and all("name" in stage and "iterations" in stage for stage in stages)
    return [name for name in (part.get("name"), part.get("kind"), in_full and in_words(stages)) if name]


def _get(fields: Any, path: str) -> Any:
    """What stands at a dotted path; None where there is nothing."""
    value = fields
    for key in path.split("."):
        if isinstance(value, str) and key in ("name", "kind"):
            return value
        if isinstance(value, list | tuple) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            value = value.get(key) if isinstance(value, Mapping) else None
    return value
