"""What figures of scan positions have in common: a panel for each line of each condition."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ptychosuite.analysis.outcomes import Outcome
from ptychosuite.analysis.shown_runs import blocks_of
from ptychosuite.errors import NothingToDraw
from ptychosuite.reporting.figures.tiles import leave_empty, say_instead

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ptychosuite.core.problem import Reference
    from ptychosuite.core.runs import RunRecord
    from ptychosuite.reporting.figures.material import Material

MAX_PANELS = 12
PANEL_INCHES = 2.7
MANY = 1000  # positions of a panel: more are pixels rather than shapes


@dataclass(frozen=True)
class ChosenRun:
    """The run of one panel.

    Parameters
    ----------
    words
        Its line, its condition, and why it is another seed than the first.
    record
        None where no run of the line has completed; then ``note`` says what became of them.
    reference
        The truth, where that is known.
    """

    words: str
    note: str = ""
    record: RunRecord | None = None
    reference: Reference | None = None

    @property
    def given_px(self) -> np.ndarray | None:
        """Positions (N, 2) that the solver was told."""
        if self.record is None:
            return None
        if self.record.given_positions_px is not None:
            return self.record.given_positions_px
        return self._known_px if self.reference is None else self.reference.told_positions_px

    @property
    def found_px(self) -> np.ndarray | None:
        """Positions (N, 2) that it ended with."""
        known = self._known_px
        return self.given_px if known is None else known

    @property
    def _known_px(self) -> np.ndarray | None:
        return None if self.record is None else self.record.scan_positions_px


def chosen_runs(material: Material) -> tuple[list[ChosenRun], int]:
    """Of each line of each condition the first seed that completed, and how many lines had no room.

    Raises
    ------
    NothingToDraw
        No run has completed.
    """
    blocks = blocks_of(material.table, material.lines("solver"), material.whole)
    lines = [(block.condition, run) for block in blocks for run in block.runs]
    found = []
    for condition, run in lines[:MAX_PANELS]:
        words = " · ".join(filter(None, (run.line, condition, run.note if run.place is not None else "")))
        if run.place is None:
            found.append(ChosenRun(words, run.note))
            continue
        record = material.files.run(material.table.loc[run.place, "path"])
        found.append(ChosenRun(words, "", record, material.files.reference(record.reference)))
    if all(each.record is None for each in found):
        raise NothingToDraw(f"{Outcome.of_rows(material.table).text}; no run has what it shows")
    return found, len(lines) - len(found)


def which_runs(table: pd.DataFrame, left_out: int) -> str:
    """For a caption: which runs these are, and what is not shown."""
    which = "The first completed seed of each line" if table["seed"].nunique() > 1 else "One run a line"
    told = f"{which} (runs: {Outcome.of_rows(table).text})."
    return told + (f" Not shown: {left_out} lines; 'where' chooses." if left_out else "")


def map_panels(number: int, width: str | None) -> tuple[Figure, list[Axes]]:
    """A figure of ``number`` square panels, whose rows go down."""
    from matplotlib.figure import Figure

    from ptychosuite.reporting.style import width_of

    columns = min(number, 1 if width == "column" else 2 if number in (2, 4) else 3)
    rows = -(-number // columns)
    inches = width_of(width, max(PANEL_INCHES * columns + 0.9, 4.6))
    figure = Figure(figsize=(inches, rows * (inches - 0.9) / columns + 0.7 * rows + 0.5))
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axis in axes[number:]:
        axis.set_visible(False)
    return figure, axes[:number]


def draw_frame(axis: Axes, run: ChosenRun, told: str, positions: np.ndarray | None) -> bool:
    """Title and extent of a panel; False where there is nothing to be drawn in it, which is said."""
    import textwrap

    axis.set_title("\n".join([*textwrap.wrap(run.words, 38), *filter(None, [told])]), fontsize="small")
    if positions is None:
        leave_empty(axis)
        say_instead(axis, run.note or "none were kept")
        return False
    low, high = positions.min(axis=0), positions.max(axis=0)
    room = 0.08 * float((high - low).max()) + 1
    axis.set(xlim=(low[1] - room, high[1] + room), ylim=(high[0] + room, low[0] - room), aspect="equal")
    axis.tick_params(labelsize="x-small")
    axis.locator_params(nbins=4)
    return True


def typical_step_px(positions: np.ndarray) -> float:
    """Median distance of a position (N, 2) to its nearest neighbour; 1 where there is none."""
    from scipy.spatial import cKDTree

    if len(positions) < 2:
        return 1.0
    nearest = cKDTree(positions).query(positions, k=2)[0][:, 1]
    return float(np.median(nearest)) or 1.0


def plain_factor(largest: float) -> float:
    """1, 2 or 5 times a power of ten: the largest that is not above ``largest``."""
    power = 10.0 ** math.floor(math.log10(largest))
    return max(step for step in (power, 2 * power, 5 * power) if step <= largest * (1 + 1e-9))


def positions_table(
    runs: Sequence[ChosenRun], columns: Sequence[dict[str, np.ndarray]], label: str = "panel"
) -> pd.DataFrame:
    """One row a position: its run, its number, and the ``columns`` of each run."""
    import pandas as pd

    parts = [
        pd.DataFrame({label: run.words, "run_id": run.record.run_id, **values}).rename_axis("position")
        for run, values in zip(runs, columns, strict=True)
        if run.record is not None and values
    ]
    return pd.concat(parts).reset_index() if parts else pd.DataFrame(columns=[label, "run_id"])
