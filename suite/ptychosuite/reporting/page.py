"""The report: one self-contained page, with figures and numbers in files beside it."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from traceback import format_exception
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from ptychosuite import __version__
from ptychosuite.analysis.labels import metric_label, value_text
from ptychosuite.analysis.selection import Selection
from ptychosuite.analysis.tables import summary
from ptychosuite.core.runs import Status
from ptychosuite.errors import FigureError, NothingToDraw, StoreError, UserError
from ptychosuite.metrics.metric import metric_of
from ptychosuite.registry import lookup as registry
from ptychosuite.registry.validation import SettingError, validate
from ptychosuite.reporting.figures.figure_kind import Drawn, FigureKind
from ptychosuite.reporting.figures.material import Material, RunFiles
from ptychosuite.reporting.style import house_style, picture, render, save

T = TypeVar("T")


@dataclass(frozen=True)
class Sheet:
    """A figure about to be drawn."""

    figure: FigureKind
    material: Material
    stem: str  # of its files


@dataclass(frozen=True)
class Embedded:
    """A figure as the page shows it."""

    title: str
    caption: str
    source: str  # data URI; empty where there is nothing to draw
    stem: str  # of the files beside the page
    table: pd.DataFrame | None = None
    failure: str = ""  # the traceback, where it could not be drawn for an error


def write_report(selection: Selection, out: Path, source: str = "") -> Path:
    """Draw everything and write ``out/<study>/index.html``; its path is returned.

    ``source`` is what the page calls the results, where that is not the path of their folder.

    The folder is made anew beside the old one and takes its place at the end, so that a report that cannot
    be drawn does not cost the one there was.

    Raises
    ------
    StudyError
        A figure asks for something that the results do not have.
    StoreError
        The folder cannot be written, or no run has results.
    FigureError
        A figure has failed. The report is there all the same, with the others, and says so in its place.
    """
    if selection.usable.empty:
        raise StoreError(f"no run of {selection.name} has ended well; nothing can be drawn")
    folder = out / selection.name
    fresh = out / f".{selection.name}.{os.getpid()}"
    try:
        fresh.mkdir(parents=True)
        try:
            figures = _fill(selection, fresh, source or str(selection.store.root))
            if folder.exists():
                shutil.rmtree(folder)
            fresh.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise StoreError(f"cannot write the report to {folder}: {error.strerror or error}") from error
    page = folder / "index.html"
    failed = [f"{f.stem}: {f.caption.removeprefix('Failed: ')}" for f in figures if f.failure]
    if failed:
        raise FigureError(f"{len(failed)} of {len(figures)} figures failed: {'; '.join(failed)}", page)
    return page


def _fill(selection: Selection, folder: Path, source: str) -> list[Embedded]:
    numbers = folder / "numbers"
    numbers.mkdir()
    files = RunFiles(selection.store)
    with house_style():
        figures = _figures(selection, files, folder)
    table = summary(selection.usable)
    table.to_csv(numbers / "summary.csv", index=False)
    selection.table.drop(columns="row").to_csv(numbers / "runs.csv", index=False)
    page = render(
        "page.html.j2",
        title=selection.title,
        name=selection.name,
        version=__version__,
        facts=_facts(selection),
        figures=figures,
        header=[metric_label(str(name)) for name in table.columns],
        rows=[_cells(table, row) for row in table.itertuples(index=False)],
        failures=_failures(selection, files),
        provenance=_provenance(selection, files),
        study_text=selection.text,
        overrides=list(selection.overrides),
        store=source,
    )
    (folder / "index.html").write_text(page, encoding="utf-8")
    return figures


def _figures(selection: Selection, files: RunFiles, folder: Path) -> list[Embedded]:
    """Every figure. All say which images they need before the first is drawn, so that a file is read once."""
    begun = [
        _begun(number, settings, selection, files)
        for number, settings in enumerate(selection.figures, start=1)
    ]
    return [
        sheet
        if isinstance(sheet, Embedded)
        else _guarded(sheet.figure.title, sheet.stem, partial(_drawn, sheet, folder))
        for sheet in begun
    ]


def _begun(
    number: int, settings: Mapping[str, Any], selection: Selection, files: RunFiles
) -> Sheet | Embedded:
    title, kind = str(settings.get("title", "")), str(settings.get("kind", ""))
    try:
        figure = figure_of(settings)
    except (UserError, SettingError) as error:  # of a session: its plug-in is not here, or not that version
        return _failed(title, f"{number:02d}-{_slug(kind)}", error)

    def begin() -> Sheet:
        table = selection.table if figure.runs == "all" else selection.usable
        material = Material(table, selection.dataset, files).narrowed(figure.where)
        files.pictured.update(figure.pictured(material))
        return Sheet(figure, material, stem)

    stem = f"{number:02d}-{_slug(figure.stem)}"
    return _guarded(title, stem, begin)


def figure_of(settings: Mapping[str, Any]) -> FigureKind:
    """The figure that ``settings``, ``kind`` and its fields, describe.

    Raises
    ------
    StudyError
        There is no such kind.
    SettingError
        It has not these fields.
    """
    fields = dict(settings)
    cls = registry.class_of("figures", str(fields.pop("kind", "")))
    figure: FigureKind = validate(cls, fields, ("figures",))
    return figure


def _guarded(title: str, stem: str, step: Callable[[], T]) -> T | Embedded:
    """What ``step`` gives, or in its place on the page why there is nothing."""
    try:
        return step()
    except NothingToDraw as reason:
        return Embedded(title, f"Not drawn: {reason}.", "", stem)
    except UserError:
        raise
    except Exception as error:  # a mistake in one figure's code is told, and costs no other figure
        return _failed(title, stem, error)


def _failed(title: str, stem: str, error: Exception) -> Embedded:
    told = " ".join(f"{type(error).__name__}: {error}".split())
    return Embedded(title, f"Failed: {told}", "", stem, failure="".join(format_exception(error)))


def _drawn(sheet: Sheet, folder: Path) -> Embedded:
    drawn = sheet.figure.draw(sheet.material)
    if not isinstance(drawn, Drawn):
        raise TypeError(f"draw gave {type(drawn).__name__}; expected Drawn")
    try:
        files = save(drawn.figure, folder / "figures" / sheet.stem)
        drawn.numbers.to_csv(folder / "numbers" / f"{sheet.stem}.csv", index=False)
    except Exception:
        for half in folder.glob(f"*/{sheet.stem}.*"):
            half.unlink()
        raise
    if drawn.is_photograph:
        media, content = "image/png", picture(drawn.figure)
    else:
        media, content = "image/svg+xml", files["svg"].read_bytes()
    source = f"data:{media};base64,{base64.b64encode(content).decode()}"
    return Embedded(sheet.figure.title, drawn.caption, source, sheet.stem, drawn.table)


def _slug(text: str) -> str:
    """As part of a file's name."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "figure"


def _facts(selection: Selection) -> list[tuple[str, str]]:
    table = selection.table
    counts = table["status"].value_counts()
    missing = selection.planned - len(table)
    done = ", ".join(f"{count} {status}" for status, count in counts.items())
    facts = [("runs", done + (f", {missing} still to do" if missing else ""))]
    starts = sorted(start for start in table["start"] if start)
    if starts:
        facts.append(
            ("computed", f"{starts[0][:16].replace('T', ' ')} to {starts[-1][:16].replace('T', ' ')} UTC")
        )
    seconds = float(np.nansum(table["seconds"])) if "seconds" in table else 0.0
    facts.append(("solver time", f"{seconds:.3g} s in all"))
    return facts


def _failures(selection: Selection, files: RunFiles) -> list[dict[str, str]]:
    bad = selection.table[~selection.table["status"].isin([Status.COMPLETED])]
    result = []
    for _, row in bad.head(50).iterrows():
        record = files.run(row["path"])
        result.append({"run_id": row["run_id"], "status": row["status"], "message": record.message.strip()})
    return result


def _provenance(selection: Selection, files: RunFiles) -> list[tuple[str, str]]:
    """What the runs have in common and where they differ, from a sample of their records."""
    sample = selection.table.iloc[:: max(1, len(selection.table) // 20)]
    records = [files.run(path) for path in sample["path"]]
    found: dict[str, dict[str, None]] = {}
    for record in records:
        for key, value in record.provenance.items():
            if key not in ("start", "end", "process"):
                text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
                found.setdefault(key, {})[text] = None
    return [(key.replace("_", " "), " | ".join(values)) for key, values in found.items()]


def _cells(table: pd.DataFrame, row: Any) -> list[str]:
    cells = []
    for name, value in zip(table.columns, row, strict=True):
        metric = metric_of(str(name))
        if name == "solver":
            cells.append(registry.label_of("solvers", value))
        elif metric is not None:
            cells.append(metric.text(value))
        elif isinstance(value, float):
            cells.append(f"{value:.4g}" if np.isfinite(value) else "")
        else:
            cells.append(value_text(value))
    return cells
