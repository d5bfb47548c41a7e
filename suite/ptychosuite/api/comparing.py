"""Two stores side by side: results folders, bundles, or one study with two folders of results."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import astuple, dataclass, field, replace
from math import isfinite
from pathlib import Path, PurePath
from typing import Any

from ptychosuite.analysis.comparison import MetricChange, StoreComparison, StoreRuns, compare_stores
from ptychosuite.api.display import Displayed, html_table, text_table
from ptychosuite.api.following import Progress
from ptychosuite.api.planning import File, Study, plan_of
from ptychosuite.api.publishing import Page
from ptychosuite.reporting.bundle import is_bundle, opened_bundle
from ptychosuite.reporting.compare_page import ChangeRow, change_rows, sentence, write_comparison
from ptychosuite.reporting.index_page import write_index
from ptychosuite.store.layout import Store, results_of
from ptychosuite.store.planned import study_content, with_results
from ptychosuite.store.read import latest_session

HEADER = ("condition", "line", "metric", "A", "B", "B/A", "beyond rounding", "completed in A", "in B")


@dataclass(frozen=True)
class ComparedStores(Displayed):
    """What :func:`compare` found; it prints itself as a table.

    Parameters
    ----------
    page
        The page that shows it.
    comparison
        All pairs of runs with their changes.
    """

    page: Page
    comparison: StoreComparison = field(repr=False)

    @property
    def rows(self) -> list[ChangeRow]:
        """Every condition and line in the metrics that lists of runs show, in words."""
        return change_rows(self.comparison, [m for m in self.comparison.metrics if m.in_show])

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; None where there is no number."""
        found = self.comparison
        return {
            "page": str(self.page),
            "a": found.a.source,
            "b": found.b.source,
            "pairs": len(found.pairs),
            "matched_by": "factors" if found.by_factors else "specification",
            "changed": found.changed,
            "only_a": found.only_a,
            "only_b": found.only_b,
            "settings": {path: list(values) for path, values in found.settings.items()},
            "origin": {name: [a, b] for name, a, b in found.origin},
            "groups": [
                {
                    "condition": group.place.condition,
                    "line": group.place.line,
                    "a": group.a.counts,
                    "b": group.b.counts,
                    "metrics": {change.metric.name: _plain(change) for change in group.changes},
                }
                for group in found.groups
            ],
        }

    def __str__(self) -> str:
        found = self.comparison
        head = [
            f"A: {found.a.source}, {found.a.outcome.text}",
            f"B: {found.b.source}, {found.b.outcome.text}",
        ]
        differing = [f"{path}: {a} in A, {b} in B" for path, (a, b) in found.settings.items()]
        origin = [f"{name}: {a or '-'} in A, {b or '-'} in B" for name, a, b in found.origin if a != b]
        table = text_table(HEADER, list(map(_cells, self.rows)))
        return "\n".join([*head, *differing, *origin, "", table, "", f"{sentence(found)}: {self.page}"])

    def _repr_html_(self) -> str:
        return html_table(HEADER, list(map(_cells, self.rows)), below=sentence(self.comparison))


def compare(
    a: Study,
    b: Study | None = None,
    *,
    results: File | tuple[File, File] = "results",
    out: File = "reports",
    progress: bool | Progress = True,
) -> ComparedStores:
    """Draw two stores side by side, ``out/compare-A-B/index.html``, with every pair of runs as CSV.

    Runs are paired by their specification, or where none is the same in both by the factors that vary. It
    is no verdict: :func:`~ptychosuite.api.checking.check` judges.

    Parameters
    ----------
    a, b
        Results folders, of which the latest sessions count, bundles, or studies (file or dict); ``b`` may be
        left out where ``results`` names two folders.
    results
        Folder that holds a results folder for each study, or two, one for ``a`` and one for ``b``.
    out
        Folder that gets a folder for the page.
    progress
        Whether to follow the work on stderr or in the notebook.

    Raises
    ------
    StudyError, StoreError
        One of them cannot be read, or no run of one has a partner in the other.
    """
    first, second = results if isinstance(results, tuple) else (results, results)
    with ExitStack() as stack:
        shown = Progress.of(progress)
        with shown.status("reading"):
            asked = ((a, first), (a if b is None else b, second))
            sides = [_runs_of(study, str(folder), stack, shown) for study, folder in asked]
            names = _distinct_names(*(side.source for side in sides))
            named = [replace(side, name=name) for side, name in zip(sides, names, strict=True)]
        with shown.status("comparing"):
            comparison = compare_stores(*named)
            page = Page(write_comparison(comparison, Path(out)))
            write_index(Path(out))
    return ComparedStores(page, comparison)


def _runs_of(study: Study, results: str, stack: ExitStack, shown: Progress) -> StoreRuns:
    """The runs of one side; a bundle stays unpacked as long as ``stack`` lasts."""
    if isinstance(study, Mapping) or not (is_bundle(Path(study)) or Path(study).is_dir()):
        plan = plan_of(study, results=results)
        address = results_of(results, plan.name)
        store = Store.open(address)
        content, note = with_results(store, study_content(plan))
        if note:
            shown.say(f"note: {address}: {note}")
        return StoreRuns.of(plan.name, address, store, content, plan.runs)
    if is_bundle(Path(study)):
        bundle = stack.enter_context(opened_bundle(Path(study)))
        return StoreRuns.of(bundle.name, str(study), bundle.store, bundle.study)
    store = Store.open(Path(study))
    return StoreRuns.of(store.root.name, str(study), store, latest_session(store))


def _distinct_names(a: str, b: str) -> list[str]:
    """The ends of two addresses, as far as it takes to tell them apart, as names of files."""
    parts = [[part for part in PurePath(text).with_suffix("").parts if part != "/"] for text in (a, b)]
    depth = 1
    while parts[0][-depth:] == parts[1][-depth:] and depth < max(map(len, parts)):
        depth += 1
    return [re.sub(r"[^\w.-]+", "-", "-".join(each[-depth:])).strip("-.") or "store" for each in parts]


def _cells(row: ChangeRow) -> tuple[str, ...]:
    return astuple(row)[: len(HEADER)]


def _plain(change: MetricChange) -> dict[str, Any]:
    numbers = {"a": change.a, "b": change.b, "ratio": change.ratio}
    finite = {
        name: value if value is not None and isfinite(value) else None for name, value in numbers.items()
    }
    counts = {
        "pairs": change.pairs, "compared": change.compared, "better": change.better, "worse": change.worse
    }  # fmt: skip
    return finite | counts | {"note": change.note}
