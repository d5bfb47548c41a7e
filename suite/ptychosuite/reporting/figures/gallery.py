"""What figures of objects and probes have in common: the runs they show, in blocks of one condition each."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ptychosuite.analysis.outcomes import Outcome
from ptychosuite.analysis.shown_runs import Block, blocks_of
from ptychosuite.errors import NothingToDraw

if TYPE_CHECKING:
    import pandas as pd

    from ptychosuite.analysis.in_gauge import Shown
    from ptychosuite.reporting.figures.material import Material

NUMBERS = ("run_id", "seed", "error", "phase_rmse_rad", "residual")
MAX_ROWS = 12  # of a figure, truths included


LABEL_LETTERS = 26  # of a line beside a picture


@dataclass(frozen=True)
class Tile:
    """A run, or a truth, about to be drawn.

    Parameters
    ----------
    name
        Of its line, or "truth".
    condition
        As of a :class:`~ptychosuite.analysis.shown_runs.Block`.
    note
        Why it is another seed than the first, or why there is nothing to be seen.
    shown
        In the gauge of the metrics; None where there is nothing to be seen.
    truth
        What it is compared with, where that is known.
    removed
        What was removed from it, in words.
    place
        Its row in the table; None for a truth, and for a line without a completed run.
    """

    name: str
    condition: str
    note: str = ""
    shown: Shown | None = None
    truth: Shown | None = None
    removed: str = ""
    place: Hashable | None = None

    @property
    def is_truth(self) -> bool:
        return self.shown is not None and self.shown is self.truth

    @property
    def without_condition(self) -> Tile:
        """The same where its condition is said elsewhere."""
        return replace(self, condition="")

    @property
    def words(self) -> str:
        """What stands beside it, on one line."""
        return " · ".join(filter(None, (self.name, self.condition, self.note)))

    @property
    def label(self) -> str:
        """The same on lines as short as a picture; a note in the place of a picture is not there."""
        from ptychosuite.reporting.style import on_lines

        name, condition = self.name.replace(" (", "\n("), self.condition.replace(" · ", "\n")
        note = self.note.replace(": ", ":\n") if self.shown is not None else ""
        lines = [line for part in (name, condition, note) for line in part.splitlines()]
        return "\n".join(on_lines(line, LABEL_LETTERS) for line in lines)


@dataclass(frozen=True)
class Gallery:
    """The runs that a figure shows.

    Parameters
    ----------
    blocks
        Those of one condition each, its truth first, where it is known.
    left_out
        Number of lines that there was no room for.
    """

    blocks: Sequence[Sequence[Tile]]
    left_out: int

    @property
    def tiles(self) -> list[Tile]:
        return [tile for block in self.blocks for tile in block]

    @property
    def runs(self) -> list[Tile]:
        return [tile for tile in self.tiles if not tile.is_truth]

    def numbers(self, table: pd.DataFrame, label: str) -> pd.DataFrame:
        """One row a line: its run with its metrics, where there is one; column ``label`` has its words."""
        import pandas as pd

        columns = [name for name in NUMBERS if name in table]
        rows = [{} if tile.place is None else dict(table.loc[tile.place, columns]) for tile in self.runs]
        return pd.DataFrame(rows, columns=columns).assign(**{label: [tile.words for tile in self.runs]})

    def caption(self, table: pd.DataFrame) -> str:
        """Which runs these are, what is removed from them, and what is not shown."""
        which = "The first completed seed of each line" if table["seed"].nunique() > 1 else "One run a line"
        told = [f"{which} (runs: {Outcome.of_rows(table).text})."]
        told += [f"{sentence}." for sentence in dict.fromkeys(tile.removed for tile in self.runs) if sentence]
        if self.left_out:
            lines = self.left_out + len(self.runs)
            told.append(f"Not shown: {self.left_out} of {lines} lines; 'where' chooses.")
        return " ".join(told)


def pictured(material: Material) -> list[str]:
    """The files of the runs that :func:`gallery` shows."""
    blocks, _ = _fitting(_blocks(material))
    places = [run.place for block in blocks for run in block.runs if run.place is not None]
    paths: list[str] = material.table.loc[places, "path"].tolist()
    return paths


def gallery(material: Material) -> Gallery:
    """The runs to be shown, each condition below its truth.

    Raises
    ------
    NothingToDraw
        Of none of them there is anything to be seen.
    """
    blocks, left_out = _fitting(_blocks(material))
    found = Gallery([list(_tiles(block, material)) for block in blocks], left_out)
    if all(tile.shown is None for tile in found.tiles):
        raise NothingToDraw(f"{Outcome.of_rows(material.table).text}; no run has kept what it shows")
    return found


def _blocks(material: Material) -> list[Block]:
    return blocks_of(material.table, material.lines("solver"), material.whole)


def _fitting(blocks: Sequence[Block]) -> tuple[list[Block], int]:
    """As many whole blocks as there is room for, with a truth each, and how many lines are left over."""
    first = Block(blocks[0].condition, blocks[0].runs[: MAX_ROWS - 1], blocks[0].places)
    chosen, rows = [first], 1 + len(first.runs)
    for block in blocks[1:]:
        rows += 1 + len(block.runs)
        if rows > MAX_ROWS:
            break
        chosen.append(block)
    return chosen, sum(len(block.runs) for block in blocks) - sum(len(block.runs) for block in chosen)


def _tiles(block: Block, material: Material) -> Iterator[Tile]:
    truth = _truth(block, material)
    if truth is not None:
        yield Tile("truth", block.condition, shown=truth, truth=truth)
    for run in block.runs:
        if run.place is None:
            yield Tile(run.line, block.condition, run.note)
            continue
        path = material.table.loc[run.place, "path"]
        if material.files.run(path).object is None:
            yield Tile(run.line, block.condition, "no object was kept", place=run.place)
            continue
        scene, shown = material.files.scene(path), material.files.shown(path)
        yield Tile(run.line, block.condition, run.note, shown, scene.truth, scene.removed, run.place)


def _truth(block: Block, material: Material) -> Shown | None:
    """The truth of a condition, from the first of its runs that can know it."""
    for path in filter(None, material.table.loc[list(block.places), "path"]):
        truth = material.files.scene(path).truth
        if truth is not None or material.files.run(path).status.is_final:
            return truth
    return None
