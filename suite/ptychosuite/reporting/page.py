"""The report: one self-contained page, with figures and numbers in files beside it."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ptychosuite import __version__
from ptychosuite.analysis.convergence import summary
from ptychosuite.analysis.labels import metric_label, value_text
from ptychosuite.analysis.selection import Selection
from ptychosuite.core.figures import (
    ConvergenceFigure,
    Figure,
    HeatmapFigure,
    ImagesFigure,
    ProbeFigure,
    RingsFigure,
    SetupFigure,
    SpeedUpFigure,
)
from ptychosuite.core.runs import Status
from ptychosuite.errors import StoreError
from ptychosuite.metrics.catalogue import metric_of
from ptychosuite.registry.lookup import label_of
from ptychosuite.reporting.figures import Drawn, NothingToDraw, draw_convergence, draw_heatmap
from ptychosuite.reporting.images import draw_images, draw_probes, draw_setup
from ptychosuite.reporting.rings import draw_rings
from ptychosuite.reporting.speed_up import draw_speed_up
from ptychosuite.reporting.style import house_style, picture, render, save
from ptychosuite.store.read import read_run


@dataclass(frozen=True)
class Embedded:
    """A figure as the page shows it."""

    title: str
    caption: str
    source: str  # data URI; empty where there is nothing to draw
    stem: str  # of the files beside the page
    table: pd.DataFrame | None = None


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
    """
    if selection.usable.empty:
        raise StoreError(f"no run of {selection.name} has ended well; nothing can be drawn")
    folder = out / selection.name
    fresh = out / f".{selection.name}.{os.getpid()}"
    try:
        fresh.mkdir(parents=True)
        try:
            _fill(selection, fresh, source or str(selection.store.root))
            if folder.exists():
                shutil.rmtree(folder)
            fresh.rename(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise StoreError(f"cannot write the report to {folder}: {error.strerror or error}") from error
    return folder / "index.html"


def _fill(selection: Selection, folder: Path, source: str) -> None:
    with house_style():
        figures = list(_figures(selection, folder))
    numbers = folder / "numbers"
    table = summary(_with_attrs(selection.usable, selection.table))
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
        failures=_failures(selection),
        provenance=_provenance(selection),
        study_text=selection.text,
        overrides=list(selection.overrides),
        store=source,
    )
    (folder / "index.html").write_text(page, encoding="utf-8")


def _figures(selection: Selection, folder: Path) -> Iterator[Embedded]:
    (folder / "numbers").mkdir()
    for number, settings in enumerate(selection.figures, start=1):
        stem = f"{number:02d}-{_slug(settings)}"
        try:
            drawn = _draw(settings, selection)
        except NothingToDraw as reason:
            yield Embedded(settings.title, f"Not drawn: {reason}.", "", stem)
            continue
        files = save(drawn.figure, folder / "figures" / stem)
        drawn.numbers.to_csv(folder / "numbers" / f"{stem}.csv", index=False)
        if drawn.is_photograph:
            media, content = "image/png", picture(drawn.figure)
        else:
            media, content = "image/svg+xml", files["svg"].read_bytes()
        source = f"data:{media};base64,{base64.b64encode(content).decode()}"
        yield Embedded(settings.title, drawn.caption, source, stem, drawn.table)


def _draw(settings: Figure, selection: Selection) -> Drawn:
    table = _with_attrs(selection.usable, selection.table)
    match settings:
        case ConvergenceFigure():
            return draw_convergence(settings, table, selection.dataset)
        case HeatmapFigure():
            return draw_heatmap(settings, table, selection.dataset)
        case ImagesFigure():
            return draw_images(settings, table, selection.store)
        case SetupFigure():
            return draw_setup(settings, table, selection.store)
        case ProbeFigure():
            return draw_probes(settings, table, selection.store)
        case RingsFigure():
            return draw_rings(settings, table, selection.store)
        case SpeedUpFigure():  # a run that failed has not reached its target: it counts
            return draw_speed_up(settings, selection.table, selection.dataset)


def _slug(settings: Figure) -> str:
    match settings:
        case ConvergenceFigure():
            return f"convergence-{settings.metric}-{settings.x}".replace("_", "-")
        case HeatmapFigure():
            return f"heatmap-{settings.value}".replace("_", "-")
        case ImagesFigure():
            return "images"
        case SetupFigure():
            return "setup"
        case ProbeFigure():
            return "probe"
        case RingsFigure():
            return "rings"
        case SpeedUpFigure():
            return f"speed-up-{settings.x}".replace("_", "-")


def _with_attrs(table: pd.DataFrame, source: pd.DataFrame) -> pd.DataFrame:
    table.attrs = source.attrs
    return table


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


def _failures(selection: Selection) -> list[dict[str, str]]:
    bad = selection.table[~selection.table["status"].isin([Status.COMPLETED])]
    result = []
    for _, row in bad.head(50).iterrows():
        record = read_run(selection.store.root / row["path"], images=False)
        result.append({"run_id": row["run_id"], "status": row["status"], "message": record.message.strip()})
    return result


def _provenance(selection: Selection) -> list[tuple[str, str]]:
    """What the runs have in common and where they differ, from a sample of their records."""
    sample = selection.table.iloc[:: max(1, len(selection.table) // 20)]
    records = [read_run(selection.store.root / path, images=False) for path in sample["path"]]
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
            cells.append(label_of("solvers", value))
        elif metric is not None:
            cells.append(metric.text(value))
        elif isinstance(value, float):
            cells.append(f"{value:.4g}" if np.isfinite(value) else "")
        else:
            cells.append(value_text(value))
    return cells
