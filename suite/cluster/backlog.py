"""Which run goes where: the runs that wait, kept together with those that share their problem.

A worker keeps the problem that it has simulated; it goes on with the runs that share it for as long as there
are any, and only when no problem is left untouched do workers help each other out. Pure: knows no Dask.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace

from suite.core.run import RunSpec


@dataclass(frozen=True)
class Try:
    """A run that is to be carried out, and what became of earlier tries."""

    spec: RunSpec
    deaths: int = 0  # of workers that were at it
    losses: int = 0  # of workers that had it before them

    @property
    def token(self) -> str:
        """Names this try."""
        return f"{self.spec.spec_id}.{self.deaths}.{self.losses}"

    def after_death(self) -> Try:
        return replace(self, deaths=self.deaths + 1)

    def after_loss(self) -> Try:
        return replace(self, losses=self.losses + 1)


class Backlog:
    """Runs that wait for a worker."""

    def __init__(self, specs: Iterable[RunSpec]) -> None:
        self._groups: dict[Hashable, deque[Try]] = {}
        for spec in specs:
            self._groups.setdefault(_problem(spec), deque()).append(Try(spec))
        self._untouched = deque(self._groups)
        self._group_of: dict[str, Hashable] = {}
        self._count = sum(map(len, self._groups.values()))

    def __len__(self) -> int:
        return self._count

    def take(self, worker: str, most: int) -> list[Try]:
        """At most ``most`` runs for ``worker``, all of one problem; none where none is left."""
        if not self._count:
            return []
        group = self._groups[self._choose(worker)]
        taken = [group.popleft() for _ in range(min(most, len(group)))]
        self._count -= len(taken)
        if not group:
            del self._groups[self._group_of[worker]]
        return taken

    def put_back(self, tries: Iterable[Try]) -> None:
        """Runs that were taken and not carried out; they are the next of their group."""
        for item in reversed(list(tries)):
            self._groups.setdefault(_problem(item.spec), deque()).appendleft(item)
            self._count += 1

    def _choose(self, worker: str) -> Hashable:
        mine = self._group_of.get(worker)
        if mine is None or mine not in self._groups:
            while self._untouched and self._untouched[0] not in self._groups:
                self._untouched.popleft()
            if self._untouched:
                mine = self._untouched.popleft()
            else:
                mine = max(self._groups, key=lambda key: len(self._groups[key]))
            self._group_of[worker] = mine
        return mine


def _problem(spec: RunSpec) -> Hashable:
    return spec.problem_id, spec.backend, spec.dtype
