"""Which runs have times that may be compared."""

from __future__ import annotations

import pandas as pd

from suite.core.run import Lane

TIMES = ("seconds", "seconds_per_iteration")
NOT_COMPARABLE = " (throughput lane: not comparable)"


def timed(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The runs of the timing lane, and what to add to the name of a time.

    Where there are none, all runs, and the name says that their times are not comparable. Runs that know of
    no lane are older than the lanes and had their cores to themselves.
    """
    alone = table[~in_throughput(table)]
    alone.attrs = table.attrs
    return (alone, "") if len(alone) else (table, NOT_COMPARABLE)


def in_throughput(table: pd.DataFrame) -> pd.Series:
    """Whether each row was computed in the throughput lane."""
    if "lane" not in table:
        return pd.Series(False, index=table.index)
    return table["lane"] == Lane.THROUGHPUT
