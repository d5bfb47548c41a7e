"""The stored run that is most like one that is to do, and in which settings the two differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ptychosuite.core.runs import LEFT_OUT, RunSpec, as_scalar
from ptychosuite.registry.factors import fast_forward_as_one, is_hash
from ptychosuite.store.planned import StoredRun

MOST_COMPARED = 2_000_000_000  # values, in about two seconds; what is beyond is not compared
MOST_SETTINGS = 4  # in which two runs of one study differ; beyond, it is another study
UNTIL = {"iterations": 1, "seconds": 1, "gradient": -1, "residual": -1}
"""Rule of ``stop`` -> whether a run goes on for longer with a higher (1) or a lower (-1) value."""


@dataclass(frozen=True)
class StoredRuns:
    """Runs of a results folder, to be compared with some that are to do.

    ``foreign`` are the places of those that the study does not have.
    """

    runs: Sequence[StoredRun]
    foreign: frozenset[int]

    @cached_property
    def _of_settings(self) -> list[Mapping[str, Any]]:
        return [settings_of(run.spec) for run in self.runs]

    @cached_property
    def _by_all_but_stop(self) -> dict[str, list[StoredRun]]:
        found: dict[str, list[StoredRun]] = {}
        for run in self.runs:
            found.setdefault(_all_but_stop(run.spec), []).append(run)
        return found

    def stopped_sooner(self, spec: RunSpec, code: str) -> StoredRun | None:
        """The run that has ended and differs from ``spec`` in rules that end it sooner.

        Of several the longest that ``code`` has computed, if it has any.
        """
        alike = self._by_all_but_stop.get(_all_but_stop(spec), ())
        sooner = [run for run in alike if not run.failed and stops_sooner(run.spec.stop, spec.stop)]
        return max(
            sooner, key=lambda run: (run.code == code, run.spec.stop["iterations"], run.run_id), default=None
        )

    def nearest(
        self, specs: Sequence[RunSpec]
    ) -> list[tuple[StoredRun, Mapping[str, tuple[Any, Any]]] | None]:
        """Of each of ``specs`` the foreign run that differs in the fewest settings, and these: then and now.

        None where a run that the study has is nearer, where they differ in more than :data:`MOST_SETTINGS`,
        or where there are too many to compare.
        """
        wanted = [settings_of(spec) for spec in specs]
        stored, asked = _numbered(self._of_settings, wanted)
        if not self.foreign or stored.size * len(asked) > MOST_COMPARED:
            return [None] * len(specs)
        is_foreign = np.isin(np.arange(len(stored)), list(self.foreign))
        found: list[tuple[StoredRun, Mapping[str, tuple[Any, Any]]] | None] = []
        for row, now in zip(asked, wanted, strict=True):
            distance = np.count_nonzero(stored != row, axis=1)
            place = int(np.argmin(2 * distance + ~is_foreign))
            if is_foreign[place] and 0 < distance[place] <= MOST_SETTINGS:
                found.append((self.runs[place], _differences(self._of_settings[place], now)))
            else:
                found.append(None)
        return found


def settings_of(spec: RunSpec) -> Mapping[str, Any]:
    """Dotted path -> value, as tables have them; fast-forward as one, of files their content alone."""
    leaves = dict(fast_forward_as_one(spec.leaves()))
    for path in [path for path in leaves if is_hash(path)]:
        if not path.endswith("_sha256"):
            del leaves[path]
        elif leaves[path]:
            leaves.pop(path.removesuffix("_sha256"), None)
    return leaves | {path: as_scalar(leaves[path]) for path in LEFT_OUT if path in leaves}


def stops_sooner(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether of two runs that are else alike the one with the rules ``then`` may end before the other."""
    if {key: value for key, value in then.items() if key not in UNTIL} != {
        key: value for key, value in now.items() if key not in UNTIL
    }:
        return False
    longer = [_length(now.get(key), sign) - _length(then.get(key), sign) for key, sign in UNTIL.items()]
    changed = [then.get(key) != now.get(key) for key in UNTIL]
    return any(changed) and all(
        more > 0 for more, is_changed in zip(longer, changed, strict=True) if is_changed
    )


def _length(value: float | None, sign: int) -> float:
    return float(np.finfo(float).max) if value is None else sign * value


def _all_but_stop(spec: RunSpec) -> str:
    return replace(spec, stop={}).spec_id


def _numbered(
    stored: Sequence[Mapping[str, Any]], asked: Sequence[Mapping[str, Any]]
) -> tuple[np.ndarray, np.ndarray]:
    """Both as whole numbers, one a different value, (runs, settings), without what all have alike."""
    together = [*stored, *asked]
    columns = []
    for path in dict.fromkeys(path for run in together for path in run):
        values = [run.get(path) for run in together]
        if len(set(values)) > 1 or len(set(map(type, values))) > 1:
            numbers: dict[Any, int] = {}
            columns.append([numbers.setdefault(_key(value), len(numbers)) for value in values])
    table = np.asarray(columns, dtype=np.int32).reshape(len(columns), len(together)).T
    return table[: len(stored)], table[len(stored) :]


def _key(value: Any) -> Any:
    return (isinstance(value, bool), value)  # 1 is not on


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {
        path: (then.get(path), now.get(path))
        for path in dict.fromkeys([*then, *now])
        if _key(then.get(path)) != _key(now.get(path))
    }
