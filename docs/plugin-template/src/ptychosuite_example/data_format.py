"""Patterns as lines of text: row and column of the position in pixels, then the counts of all pixels."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ptychosuite.problems.measured.pattern_stack import single_stack
from ptychosuite.problems.measured.raw import Raw

FIRST_LINE = b"# ptychography as text\n"


@dataclass(frozen=True)
class Text:
    """A line a pattern, zero frequency in the middle."""

    label: ClassVar[str] = "text"
    suffixes: ClassVar[tuple[str, ...]] = (".txt",)

    def recognises(self, source):
        return source.head.startswith(FIRST_LINE)

    def read(self, source, places):
        with source.open() as file:
            lines = np.loadtxt(file)
        side = round((lines.shape[1] - 2) ** 0.5)
        patterns = lines[:, 2:].reshape(-1, side, side).astype(np.uint32)
        stack = single_stack(patterns, "lines", places.path)
        return Raw(stack, positions=lines[:, :2], positions_unit="px", convention="centre")


def write_text(path, patterns, positions_px):
    """Write counts (N, m, m), zero frequency in the middle, and positions (N, 2)."""
    lines = np.concatenate([positions_px, patterns.reshape(len(patterns), -1)], axis=1)
    with open(path, "wb") as file:
        file.write(FIRST_LINE)
        np.savetxt(file, lines, fmt="%g")
