"""Pictures: reconstructions beside the truth, and what was simulated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ptychosuite.analysis.labels import line_labels, value_text
from ptychosuite.core.figures import ImagesFigure, ProbeFigure, SetupFigure
from ptychosuite.core.problem import Reference
from ptychosuite.core.runs import RunRecord
from ptychosuite.reporting.figures import Drawn, NothingToDraw, narrow
from ptychosuite.store.layout import Store
from ptychosuite.store.read import read_reference, read_run

MAX_ROWS = 8
TITLES = {
    "magnitude": "magnitude",
    "phase": "phase / rad",
    "difference": "magnitude − truth",
    "phase-difference": "phase − truth / rad",
}
COLOUR_MAPS = {"magnitude": "gray", "phase": "cividis", "difference": "RdBu_r", "phase-difference": "RdBu_r"}


def draw_images(settings: ImagesFigure, table: pd.DataFrame, store: Store) -> Drawn:
    """The truth on top, a row a run of the first seed; one colour scale a column."""
    table = narrow(table, settings.where)
    rows = table[table["seed"] == table["seed"].min()]
    rows.attrs = table.attrs
    left_out = max(0, len(rows) - MAX_ROWS)
    rows = rows.head(MAX_ROWS)
    labels = _row_labels(rows)
    records = [read_run(store.root / path) for path in rows["path"]]
    truths = [read_reference(store, record.reference) for record in records]
    shown: list[str] = [
        panel
        for panel in settings.show
        if not panel.endswith("difference") or all(t is not None for t in truths)
    ]
    if not shown:
        raise NothingToDraw("the truth is not known")
    truth = truths[0] if truths and len({record.reference for record in records}) == 1 else None
    pictures = [_pictures(record, t) for record, t in zip(records, truths, strict=True)]
    scales = {panel: _scale(panel, [p[panel] for p in pictures], truth) for panel in shown}
    n_rows = len(records) + (truth is not None)
    figure = Figure(figsize=(2.15 * len(shown) + 0.5, 2.0 * n_rows + 0.5))
    axes = figure.subplots(n_rows, len(shown), squeeze=False)
    if truth is not None:
        _draw_truth(axes[0], shown, truth, scales)
    for line, label, picture in zip(axes[n_rows - len(records) :], labels, pictures, strict=True):
        for axis, panel in zip(line, shown, strict=True):
            _draw(axis, picture[panel], panel, scales[panel])
        line[0].set_ylabel(label)
    for column, panel in enumerate(shown):
        axes[0, column].set_title(TITLES[panel])
        mappable = next(a.images[0] for a in reversed(axes[:, column]) if a.images)
        figure.colorbar(mappable, ax=axes[:, column].tolist(), location="bottom", shrink=0.85, pad=0.02)
    caption = (
        f"Reconstructions of seed {value_text(rows['seed'].iloc[0])}; each column has one colour scale. "
    )
    if all(t is None for t in truths):
        caption += "Each object is divided by its median magnitude and mean phase."
    else:
        caption += "The global phase is removed before phases are compared."
    if left_out:
        caption += f" {left_out} more runs are not shown."
    numbers = rows[["run_id", *[n for n in ("error", "phase_rmse_rad", "residual") if n in rows]]].assign(
        row=labels
    )
    return Drawn(figure, caption, numbers, is_photograph=True)


def draw_probes(settings: ProbeFigure, table: pd.DataFrame, store: Store) -> Drawn:
    """Magnitude and phase of the probes that the runs of the first seed ended with."""
    table = narrow(table, settings.where)
    rows = table[table["seed"] == table["seed"].min()].head(MAX_ROWS)
    rows.attrs = table.attrs
    labels = _row_labels(rows)
    probes = [np.asarray(read_run(store.root / path).probe) for path in rows["path"]]
    figure = Figure(figsize=(max(4.2, 2.1 * len(probes) + 0.6), 4.6))
    axes = figure.subplots(2, len(probes), squeeze=False)
    scale = Normalize(0, max(float(np.abs(probe).max()) for probe in probes))
    for column, (label, probe) in enumerate(zip(labels, probes, strict=True)):
        magnitude = axes[0, column].imshow(np.abs(probe), cmap="magma", norm=scale)
        phase = axes[1, column].imshow(np.angle(probe), cmap="twilight", norm=Normalize(-np.pi, np.pi))
        axes[0, column].set_title(label)
    for axis in axes.ravel():
        axis.set(xticks=[], yticks=[])
        axis.grid(False)
        axis.spines[:].set_visible(False)
    figure.colorbar(magnitude, ax=axes[0].tolist(), label="magnitude")
    figure.colorbar(phase, ax=axes[1].tolist(), label="phase / rad")
    numbers = rows[["run_id"]].assign(column=labels)
    return Drawn(figure, "Reconstructed probes.", numbers, is_photograph=True)


def draw_setup(settings: SetupFigure, table: pd.DataFrame, store: Store) -> Drawn:
    """Object, probe and scan, a row for each simulated truth; of measured data, the scan."""
    table = narrow(table, settings.where)
    records = [read_run(store.root / path, images=False) for path in _first_of_each(table)]
    names = dict.fromkeys(record.reference for record in records)
    references = [reference for name in names if (reference := read_reference(store, name)) is not None]
    if not references:
        return _draw_measured_scan(read_run(store.root / table["path"].iloc[0]))
    references = references[:MAX_ROWS]
    figure = Figure(figsize=(12.4, 2.9 * len(references)))
    axes = figure.subplots(len(references), 5, squeeze=False)
    for line, reference in zip(axes, references, strict=True):
        _draw_setup_row(figure, line, reference)
    caption = "Set-up: " + " ".join(dict.fromkeys(_describe_scan(reference) for reference in references))
    positions = [pd.DataFrame(r.scan_positions_px, columns=["row_px", "column_px"]) for r in references]
    numbers = pd.concat(positions, keys=range(len(positions)), names=["setup", None]).reset_index("setup")
    return Drawn(figure, caption, numbers, is_photograph=True)


def _draw_measured_scan(record: RunRecord) -> Drawn:
    positions, obj, probe = record.scan_positions_px, record.object, record.probe
    if positions is None or obj is None or probe is None:
        raise NothingToDraw("neither truth nor scan are known")
    figure = Figure(figsize=(4.2, 4.2))
    _draw_scan(figure.subplots(), positions, probe.shape[0], obj.shape)
    step = _typical_step(positions)
    caption = (
        f"Scan: {len(positions)} positions, patterns of {probe.shape[0]} x {probe.shape[0]} pixels, "
        f"a typical step of {step:.3g} pixels: the arrays overlap by {1 - step / probe.shape[0]:.0%}."
    )
    return Drawn(figure, caption, pd.DataFrame(positions, columns=["row_px", "column_px"]))


def _first_of_each(table: pd.DataFrame) -> pd.Series:
    """Files of the first run of each combination of what is not the solver's business."""
    ignored = {"solver", "seed", "noise", "fast_forward", *table.attrs["solver_settings"]}
    factors = [name for name in table.attrs["factors"] if name not in ignored]
    return (table.drop_duplicates(factors) if factors else table.head(1))["path"]


def _draw_setup_row(figure: Figure, axes: Any, reference: Reference) -> None:
    images = [
        (np.abs(reference.object), "gray", "object magnitude"),
        (np.angle(reference.object), "cividis", "object phase / rad"),
        (np.abs(reference.probe), "magma", "probe magnitude"),
        (np.angle(reference.probe), "twilight", "probe phase / rad"),
    ]
    for axis, (image, colour_map, title) in zip(axes, images, strict=False):
        mappable = axis.imshow(image, cmap=colour_map)
        axis.set(title=title, xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        figure.colorbar(mappable, ax=axis, location="bottom", shrink=0.85)
    _draw_scan(axes[4], reference.scan_positions_px, reference.probe.shape[0], reference.object.shape)


def _describe_scan(reference: Reference) -> str:
    probe, positions = reference.probe, reference.scan_positions_px
    size, bright, step = probe.shape[0], bright_width_px(probe), _typical_step(positions)
    return (
        f"{len(positions)} positions, a probe of {size} x {size} pixels whose bright spot "
        f"(above 10 % of the largest magnitude) is {bright} pixels wide, a step of {step:g} pixels: "
        f"the arrays overlap by {1 - step / size:.0%}, the bright spots by {max(0.0, 1 - step / bright):.0%}."
    )


def bright_width_px(probe: np.ndarray) -> int:
    """Width of the region above 10 % of the largest magnitude, mean of rows and columns."""
    bright = np.abs(probe) > 0.1 * np.abs(probe).max()
    widths = [np.ptp(np.flatnonzero(bright.any(axis=axis))) + 1 for axis in (0, 1)]
    return round(float(np.mean(widths)))


def _typical_step(positions: np.ndarray) -> float:
    """Median distance of a position to its nearest neighbour, in pixels."""
    if len(positions) < 2:
        return 0.0
    sample = positions[:400].astype(float)
    distances = np.hypot(*(sample[:, None, :] - positions[None, :, :]).transpose(2, 0, 1))
    distances[distances == 0] = np.inf
    return float(np.median(distances.min(axis=1)))


def _draw_scan(axis: Axes, positions: np.ndarray, size: int, shape: tuple[int, ...]) -> None:
    centres = positions + size / 2
    axis.plot(centres[:, 1], centres[:, 0], ".", ms=4, color="#0072B2")
    first = positions[0]
    axis.add_patch(Rectangle((first[1], first[0]), size, size, fill=False, color="#D55E00"))
    axis.set(title="scan, one probe array", xlim=(0, shape[1]), ylim=(shape[0], 0), aspect="equal")
    axis.set(xticks=[], yticks=[])
    axis.spines[["right", "top"]].set_visible(True)


def _row_labels(rows: pd.DataFrame) -> list[str]:
    """Solver, and any other factor that differs between the rows."""
    hidden = {"solver", "seed", "fast_forward", *rows.attrs["solver_settings"]}
    others = [name for name in rows.attrs["factors"] if name not in hidden and rows[name].nunique() > 1]
    labels = line_labels(rows, "solver")
    texts = []
    for label, (_, row) in zip(labels, rows.iterrows(), strict=True):
        extra = "\n".join(f"{name} {value_text(row[name])}" for name in others)
        texts.append(label.replace(" (", "\n(") + (f"\n{extra}" if extra else ""))
    return texts


def _pictures(record: RunRecord, truth: Reference | None) -> dict[str, np.ndarray]:
    obj = np.asarray(record.object)
    if truth is None:  # scale and phase of an object are only known together with its probe's
        obj = obj / (np.median(np.abs(obj)) * np.exp(1j * np.angle(obj.mean())))
        return {"magnitude": np.abs(obj), "phase": np.angle(obj)}
    overlap = np.vdot(obj, truth.object)  # removes the global phase
    obj = obj * (overlap / abs(overlap) if overlap else 1)
    return {
        "magnitude": np.abs(obj),
        "phase": np.angle(obj),
        "difference": np.abs(obj) - np.abs(truth.object),
        "phase-difference": np.angle(obj * np.conj(truth.object)),
    }


def _scale(panel: str, images: list[np.ndarray], truth: Reference | None) -> Normalize:
    if panel.endswith("difference"):
        reach = max(float(np.quantile(np.abs(image), 0.99)) for image in images) or 1.0
        return Normalize(-reach, reach)
    if truth is not None:
        exact = np.abs(truth.object) if panel == "magnitude" else np.angle(truth.object)
        return Normalize(float(exact.min()), float(exact.max()))
    low, high = np.quantile(np.stack([np.quantile(i, (0.005, 0.995)) for i in images]), (0, 1))
    return Normalize(float(low), float(high))


def _draw_truth(axes: Any, shown: list[str], truth: Reference, scales: dict[str, Normalize]) -> None:
    exact = {"magnitude": np.abs(truth.object), "phase": np.angle(truth.object)}
    for axis, panel in zip(axes, shown, strict=True):
        if panel in exact:
            _draw(axis, exact[panel], panel, scales[panel])
        else:
            axis.axis("off")
    axes[0].set_ylabel("truth")


def _draw(axis: Axes, image: np.ndarray, panel: str, norm: Normalize) -> None:
    axis.imshow(image, norm=norm, cmap=COLOUR_MAPS[panel])
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    axis.spines[:].set_visible(False)
