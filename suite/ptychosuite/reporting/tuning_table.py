"""What the tries of a study have found, as a table of the report and as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ptychosuite.analysis.labels import metric_label
from ptychosuite.analysis.tries import median_text, no_value
from ptychosuite.analysis.tuned_lines import TunedLine
from ptychosuite.metrics.metric import metric_of
from ptychosuite.registry.factors import factor_names, value_in_words
from ptychosuite.reporting.page_content import TextTable

NOTE = (
    "Each solver had as many tries, or all that a few choices allow, the first with the settings that the "
    "study writes, on problems that are not among those compared here. A try has a rank on each of them; "
    "the one with the best mean rank has given the settings of all runs of its line. A try that failed or "
    "diverged shares the last rank, as does one that never meets what it is ranked by. Where a setting is at "
    "the bound, a better one may lie beyond. numbers/tuning.csv has all tries."
)


def tuning_table(lines: Sequence[TunedLine]) -> TextTable | None:
    """A row a solver that is tuned; None where the study has none."""
    if not lines:
        return None
    label = metric_label(lines[0].tuned.metric)
    header = [
        "line",
        "tries",
        "settings found",
        f"{label}, as written",
        f"{label}, with them",
        "at the bound",
    ]
    is_apart = any(each.condition for each in lines)
    rows = []
    for each in lines:
        tuned = each.tuned
        settings, names = tuned.tries[tuned.chosen], _names(tuned.tries)
        rows.append(
            [
                each.line,
                *([each.condition] if is_apart else []),
                _tries(each),
                _in_words(settings, names),
                median_text(tuned, 0),
                median_text(tuned, tuned.chosen),
                ", ".join(names[path] for path in tuned.at_bound),
            ]
        )
    return TextTable([header[0], *(["tuned for"] if is_apart else []), *header[1:]], rows)


def _names(tries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return factor_names(path for tried in tries for path in tried)


def _in_words(settings: Mapping[str, Any], names: Mapping[str, str]) -> str:
    return ", ".join(
        f"{names[path]} {value_in_words(value) or 'default'}" for path, value in settings.items()
    )


def _tries(each: TunedLine) -> str:
    """How many there were, on how many problems, and how many did not come to a value on all of them."""
    tuned = each.tuned
    number, on = len(tuned.tries), tuned.problems
    broken = sum(completed < on for completed in tuned.completed)
    told = f", {broken} failed or diverged" if broken else ""
    metric, lacking = metric_of(tuned.metric), sum(number > 0 for number in tuned.without)
    told += f", {lacking} {no_value(metric)}" if metric and lacking else ""
    return f"{number} on {on} problem{'s' * (on > 1)}{told}"


def write_tuning(lines: Sequence[TunedLine], folder: Path) -> None:
    """Write every try as ``numbers/tuning.csv``, where the study has any."""
    rows = [
        {
            "line": each.line,
            "tuned_for": each.condition,
            "try": place,
            "chosen": place == each.tuned.chosen,
            "mean_rank": each.tuned.ranks[place],
            each.tuned.metric: each.tuned.medians[place],
            "completed": each.tuned.completed[place],
            "without_value": each.tuned.without[place] if each.tuned.without else "",
            "problems": each.tuned.problems,
            **settings,
        }
        for each in lines
        for place, settings in enumerate(each.tuned.tries)
    ]
    if rows:
        pd.DataFrame(rows).to_csv(folder / "numbers" / "tuning.csv", index=False)
