"""Which runs stand for a study in pictures: one for each line of each condition."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
        "noise 0.05 · overlap 0.5"; empty where nothing but solvers and seeds varies.
    runs
        One a line.
    places
        Rows in the table of all runs of the condition, completed ones first.
    """

    condition: str
    runs: Sequence[ShownRun]
    places: Sequence[Hashable]


def blocks_of(table: pd.DataFrame, lines: pd.Series) -> list[Block]:
    """The runs to be shown of a table of planned runs, in its order; ``lines`` has the label of each row.

    Of each line and condition it is the first seed that completed.
    """
    hidden = {"solver", "seed", "fast_forward", *table.attrs["solver_settings"]}
    factors = [name for name in table.attrs["factors"] if name in table]
    varying = [name for name in factors if name not in hidden and table[name].nunique(dropna=False) > 1]
    computed = [name for name in factors if name in hidden and name != "seed"]
    blocks = []
    for rows in _groups(table, varying):
        first = rows.iloc[0]
        condition = " · ".join(f"{name} {value_text(first[name])}" for name in varying)
        runs = [_shown(group, str(lines[group.index[0]])) for group in _groups(rows, computed)]
        rank = (rows["status"] != Status.COMPLETED).astype(int)
        places = rank.sort_values(kind="stable").index.tolist()
        blocks.append(Block(condition, runs, places))
    return blocks


def _groups(table: pd.DataFrame, columns: Sequence[str]) -> list[pd.DataFrame]:
    if not columns:
        return [table]
    return [rows for _, rows in table.groupby(list(columns), dropna=False, sort=False)]


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
