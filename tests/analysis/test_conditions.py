"""The conditions of a study in words: each has one name, wherever it is asked for."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest
from ptychosuite.analysis.conditions import condition_labels, conditions


def table_of(rows: list[dict], factors: list[str]) -> pd.DataFrame:
    table = pd.DataFrame(rows)
    table.attrs = {"factors": factors, "solver_settings": []}
    return table


def unbalanced() -> pd.DataFrame:
    """Some solvers are of one condition alone: what most runs share, most conditions do not."""
    rows = []
    for probe, start, noise, overlap in itertools.product(("a", "b"), ("", "x", "y"), (0.1, 0.2), (0.5, 0.6)):
        for solver in ["rpie"] + ["lbfgs"] * 9 * (start == "" and noise == 0.1):
            rows.append(
                {
                    "probe": probe,
                    "start": start,
                    "noise": noise,
                    "overlap": overlap,
                    "solver": solver,
                    "seed": 0,
                }
            )
    return table_of(rows, ["probe", "start", "noise", "overlap", "solver", "seed"])


@pytest.mark.parametrize("keep", [range(10**6), range(0, 10**6, 2), range(8)])
def test_the_list_has_what_the_rows_have(keep):
    table = unbalanced()
    table = table[table.index.isin(keep)]
    table.attrs = unbalanced().attrs
    words = condition_labels(table)
    assert conditions(table) == sorted(set(words), key=conditions(table).index)
    columns = ["probe", "start", "noise", "overlap"]
    assert len(set(words)) == len(table[columns].drop_duplicates())
    assert table.groupby(words)[columns].nunique().to_numpy().max() == 1


def test_what_is_shared_by_most_is_left_out():
    """Of many columns; where no value is most runs', all columns stay."""
    table = unbalanced()
    assert "no start" not in set(condition_labels(table).str.split(" · ").explode())
    even = table.drop_duplicates(["probe", "start", "noise", "overlap"]).reset_index(drop=True)
    even.attrs = table.attrs
    assert condition_labels(even)[0] == "probe a · no start · noise 0.1 · overlap 50 %"
