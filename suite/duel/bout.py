"""How the times of one case are taken: in turns, in samples that are long enough.

At any moment one of the two processes runs while the other waits for its turn on the same core or device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy as np

from suite.analysis.timing import Comparison
from suite.duel.cases import Case
from suite.duel.clocks import Reading, clock_reader, summary
from suite.duel.opponent import Player
from suite.duel.process import Sample, Side

SHORTEST_SAMPLE_S = 0.05


@dataclass
class Bout:
    """What has been measured of one case at one stage."""

    pairs: list[tuple[float, float]] = field(default_factory=list)  # seconds an iteration: baseline, head
    cold: list[tuple[float, float]] = field(default_factory=list)  # seconds of the first run, likewise
    wall: list[tuple[float, float]] = field(default_factory=list)  # as pairs, by the clock on the wall
    clocks: list[Reading] = field(default_factory=list)
    iterations: int = 0  # in a sample

    def add(self, baseline: Sample, head: Sample) -> None:
        """Take in a pair of samples."""
        self.pairs.append((baseline.seconds / self.iterations, head.seconds / self.iterations))
        self.wall.append((baseline.wall_seconds / self.iterations, head.wall_seconds / self.iterations))

    @property
    def comparison(self) -> Comparison:
        return Comparison.of(self.pairs)

    def to_dict(self) -> dict[str, Any]:
        """For provenance."""
        return {
            "pairs": len(self.pairs),
            "iterations_a_sample": self.iterations,
            "cold_seconds": self.cold,
            "share_of_core": float(np.sum(self.pairs) / np.sum(self.wall)),
            **summary(self.clocks),
        }


@dataclass(frozen=True)
class Duel:
    """Two players and the core on which they take turns; None leaves that to the system."""

    baseline: Player
    head: Player
    core: int | None

    @contextmanager
    def sides(self) -> Iterator[tuple[Side, Side]]:
        """A fresh process for each player: baseline, head."""
        with Side(self.baseline, self.core) as baseline, Side(self.head, self.core) as head:
            yield baseline, head

    def take_pairs(self, sides: tuple[Side, Side], case: Case, count: int, bout: Bout) -> None:
        """Add ``count`` pairs to ``bout``; raises DuelError where a side cannot carry the case out."""
        baseline, head = sides
        spec, first = case.spec.to_dict(), case.iterations if case.whole else 1
        cold = [side.prepare(spec, first) for side in sides]
        bout.cold.append((cold[0]["cold_seconds"], cold[1]["cold_seconds"]))
        read_clock = clock_reader(cold[1]["device"], self.core)
        iterations, repeats = sample_size(case, sides)
        bout.iterations = iterations * repeats
        for number in range(count):
            order = sides if number % 2 == 0 else sides[::-1]  # ABBA
            taken = {side: side.sample(iterations, repeats) for side in order}
            bout.add(taken[baseline], taken[head])
            bout.clocks.append(read_clock())


def sample_size(case: Case, sides: Sequence[Side]) -> tuple[int, int]:
    """Iterations of a run, and how many such runs, that take either side at least 50 ms."""
    iterations = case.iterations if case.whole else 1
    while True:
        seconds = min(side.sample(iterations, 1).seconds for side in sides)
        if seconds >= SHORTEST_SAMPLE_S or iterations == case.iterations:
            return iterations, ceil(SHORTEST_SAMPLE_S / seconds)
        iterations = min(case.iterations, ceil(1.2 * iterations * SHORTEST_SAMPLE_S / seconds))
