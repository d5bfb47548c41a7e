"""Which runs stand for a study in pictures: one for each line of each condition."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ptychosuite.analysis.conditions import ALL, condition_labels, conditions
from ptychosuite.analysis.labels import value_text
from ptychosuite.analysis.outcomes import Outcome
from ptychosuite.core.runs import Status

if TYPE_CHECKING:  # the kinds of figures load this module, and planning a study must not wait for pandas
    import pandas as pd


@dataclass(frozen=True)
class ShownRun:
    """The run that stands for one line in one condition.

    Parameters
    ----------
    line
        What the line is called.
    place
        Its row in the table; None where no run of the line has completed.
    note
        Why it is another seed than the first, or what became of all; empty where the first completed.
    """

    line: str
    place: Hashable | None
    note: str = ""


@dataclass(frozen=True)
class Block:
    """The lines of one condition.

    Parameters
    ----------
    condition
        "noise 0.05 · overlap 50 %"; empty where nothing but solvers and seeds varies.
    runs
        One a line.
    places
        Rows in the table of all runs of the condition, completed ones first.
    """

    condition: str
    runs: Sequence[ShownRun]
    places: Sequence[Hashable]


def blocks_of(table: pd.DataFrame, lines: pd.Series, study: pd.DataFrame) -> list[Block]:
    """The runs to be shown of a table of planned runs: of each line and condition the first completed seed.

    Parameters
    ----------
    table
        The runs that a figure is about.
    lines
        The label of each row.
    study
        All planned runs: conditions are in its words and its order.
    """
    words = condition_labels(study).loc[table.index]
    blocks = []
    for condition in conditions(study):
        rows = table[words == condition]
        if rows.empty:
            continue
        runs = [
            _shown(group, str(line))
            for line, group in rows.groupby(lines.loc[rows.index], sort=False, dropna=False)
        ]
        rank = (rows["status"] != Status.COMPLETED).astype(int)
        places = rank.sort_values(kind="stable").index.tolist()
        blocks.append(Block("" if condition == ALL else condition, runs, places))
    return blocks


def _shown(rows: pd.DataFrame, line: str) -> ShownRun:
    done = (rows["status"] == Status.COMPLETED).to_numpy()
    if not done.any():
        counts = Outcome.of(rows["status"]).counts
        return ShownRun(
            line, None, ", ".join(f"{number} {status}" for status, number in counts.items() if number)
        )
    position = int(done.argmax())
    if position == 0:
        return ShownRun(line, rows.index[0])
    passed: dict[str, list[str]] = {}
    for seed, status in zip(rows["seed"].iloc[:position], rows["status"].iloc[:position], strict=True):
        passed.setdefault(str(status), []).append(value_text(seed))
    reasons = [
        f"seed{'s' * (len(seeds) > 1)} {', '.join(seeds)} {status}" for status, seeds in passed.items()
    ]
    note = f"seed {value_text(rows['seed'].iloc[position])}: {', '.join(reasons)}"
    return ShownRun(line, rows.index[position], note)
