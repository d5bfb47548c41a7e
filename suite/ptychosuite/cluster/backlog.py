"""Which run goes where: the runs that wait, kept together with those that share their problem.

A worker keeps the problem that it has simulated; it goes on with the runs that share it for as long as there
are any, and only when no problem is left untouched do workers help each other out. Runs that are advanced
side by side need not share a problem, only its shape. Pure: knows no Dask.

What becomes of a run whose worker died. Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from ptychosuite.cluster.worker_log import UnfinishedRun
from ptychosuite.core.runs import RunSpec, Status, canonical_json


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


class Alike(NamedTuple):
    """What runs have in common that are kept together."""

    key: str
    backend: str
    dtype: str


class Backlog:
    """Runs that wait for a worker."""

    def __init__(self, specs: Iterable[RunSpec], stack_of: Callable[[str], int] = lambda backend: 1) -> None:
        """``stack_of``: how many runs of a backend are advanced side by side."""
        self._stack_of = stack_of
        self._groups: dict[Alike, deque[Try]] = {}
        for spec in specs:
            self._groups.setdefault(self._group(spec), deque()).append(Try(spec))
        self._untouched: dict[str, deque[Alike]] = {}  # by backend
        for group in self._groups:
            self._untouched.setdefault(group.backend, deque()).append(group)
        self._group_of: dict[str, Alike] = {}
        self._count = sum(map(len, self._groups.values()))

    def __len__(self) -> int:
        return self._count

    def take(self, worker: str, most: int, suits: Callable[[str], bool] = lambda backend: True) -> list[Try]:
        """At most ``most`` runs for ``worker``, all of one problem; none where none is left for it.

        ``suits`` tells whether the worker can carry out runs of a backend.
        """
        chosen = self._choose(worker, suits)
        if chosen is None:
            return []
        group = self._groups[chosen]
        taken = [group.popleft() for _ in range(min(most, len(group)))]
        self._count -= len(taken)
        if not group:
            del self._groups[self._group_of[worker]]
        return taken

    def put_back(self, tries: Iterable[Try]) -> None:
        """Runs that were taken and not carried out; they are the next of their group."""
        for item in reversed(list(tries)):
            self._groups.setdefault(self._group(item.spec), deque()).appendleft(item)
            self._count += 1

    def _choose(self, worker: str, suits: Callable[[str], bool]) -> Alike | None:
        mine = self._group_of.get(worker)
        if mine is not None and mine in self._groups:
            return mine
        mine = next(filter(None, map(self._next_untouched, filter(suits, self._untouched))), None)
        if mine is None:
            helped = [group for group in self._groups if suits(group.backend)]
            mine = max(helped, key=lambda group: len(self._groups[group]), default=None)
        if mine is not None:
            self._group_of[worker] = mine
        return mine

    def _group(self, spec: RunSpec) -> Alike:
        key = spec.problem_id if self._stack_of(spec.backend) == 1 else shape_key(spec)
        return Alike(key, spec.backend, spec.dtype)

    def _next_untouched(self, backend: str) -> Alike | None:
        groups = self._untouched[backend]
        while groups:
            group = groups.popleft()
            if group in self._groups:
                return group
        return None


def shape_key(spec: RunSpec) -> str:
    """Equal for runs that differ only in noise, seed and step sizes: those may be advanced side by side."""
    problem = {name: value for name, value in spec.problem.items() if name not in ("noise", "photons")}
    solver = {name: value for name, value in spec.solver.items() if not isinstance(value, float)}
    return canonical_json([problem, solver, spec.fast_forward, spec.half_scans])


MOST_LOSSES = 10  # a run that was never seen at work is tried again this often, and then given up


@dataclass(frozen=True)
class Death:
    """What is known of the end of a worker, beside what its log says."""

    grown_to_bytes: float | None = None  # its memory, when its nanny ended it for want of it
    unheard_s: float | None = None  # it was given up after it had not been heard of for so long
    with_nanny: bool = False  # what would start it anew has ended too: its job, or its machine
    killed_for_memory: int = 0  # processes that the system has ended for want of it since the run began


def judge(
    item: Try, unfinished: UnfinishedRun | None, retries: int, death: Death
) -> tuple[Status, str] | Try:
    """Status and message of a run that has come to its end, or the run as it is to be tried again.

    Parameters
    ----------
    item
        The try that did not return.
    unfinished
        What its worker noted; None where it had not begun the run.
    retries
        How often a run is tried again that was under way when its worker died.
    death
        Of its worker.
    """
    if unfinished is None:
        again = item.after_loss()
        if again.losses < MOST_LOSSES:
            return again
        return Status.FAILED, f"lost {MOST_LOSSES} times with its worker, which left no word of it"
    if death.with_nanny and not unfinished.timed_out:  # as batch systems end jobs: the run is not to blame
        again = item.after_loss()
        if again.losses < MOST_LOSSES:
            return again
        return Status.FAILED, _message(f"its worker's job or machine ended {MOST_LOSSES} times", unfinished)
    if len(unfinished.entry.tokens) > 1:  # runs side by side: alone, the culprit is told from its neighbours
        return item.after_death()
    if unfinished.timed_out:
        return Status.TIMED_OUT, _message("stopped at the time limit", unfinished)
    again = item.after_death()
    if again.deaths <= retries:
        return again
    times = f" ({again.deaths} times)" if again.deaths > 1 else ""
    return Status.FAILED, _message(f"its worker died{times}: {_cause(unfinished, death)}", unfinished)


MORE_MEMORY = "take fewer workers (--workers), or give each more memory"


def _cause(unfinished: UnfinishedRun, death: Death) -> str:
    if death.grown_to_bytes is not None:
        limit = unfinished.entry.memory_limit_bytes
        return (
            f"it had grown to {death.grown_to_bytes / 1e6:.0f} MB, its memory limit is {limit / 1e6:.0f} MB; "
            f"{MORE_MEMORY}"
        )
    if unfinished.fault:
        return unfinished.fault
    if death.unheard_s is not None:
        return f"given up, as nothing was heard of it for {death.unheard_s:.0f} s: it was stopped or is stuck"
    if unfinished.was_asked_to_end:
        return "it was asked to end (SIGTERM)"
    if death.killed_for_memory:
        return (
            "it was killed, when the system ended processes for want of memory "
            f"({death.killed_for_memory} since the run began); {MORE_MEMORY}"
        )
    return "it ended without a word: the run has ended or wrecked its process, or somebody has killed it"


def _message(reason: str, unfinished: UnfinishedRun) -> str:
    """Reason last: progress shows the last line of a message."""
    parts = [f"worker {unfinished.entry.worker} on {unfinished.entry.host}, begun {unfinished.entry.start}"]
    if unfinished.stack:
        parts.append(unfinished.stack)
    if unfinished.log:
        parts.append(f"the worker's output:\n{unfinished.log}")
    return "\n\n".join([*parts, reason])
