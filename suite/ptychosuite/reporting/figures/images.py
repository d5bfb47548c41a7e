"""Pictures of reconstructions beside the truth: objects and probes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator

from ptychosuite.analysis.labels import value_text
from ptychosuite.errors import NothingToDraw
from ptychosuite.reporting.figures.figure_kind import Drawn, FigureKind

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.colors import Normalize

    from ptychosuite.core.problem import Reference
    from ptychosuite.core.runs import RunRecord
    from ptychosuite.reporting.figures.material import Material

MAX_ROWS = 8
TITLES = {
    "magnitude": "magnitude",
    "phase": "phase / rad",
    "difference": "magnitude − truth",
    "phase-difference": "phase − truth / rad",
}
COLOUR_MAPS = {"magnitude": "gray", "phase": "cividis", "difference": "RdBu_r", "phase-difference": "RdBu_r"}

Panel = Literal["magnitude", "phase", "difference", "phase-difference"]
Panels = Annotated[
    Sequence[Panel], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
]


@dataclass(frozen=True)
class ImagesFigure(FigureKind):
    """Reconstructed objects, one row a run of the first seed, and their differences to the truth."""

    show: Panels = ("magnitude", "phase", "difference", "phase-difference")

    def pictured(self, material: Material) -> Sequence[str]:
        return _first_rows(material)["path"].tolist()

    def draw(self, material: Material) -> Drawn:
        """The truth on top, a row a run of the first seed; one colour scale a column."""
        from matplotlib.figure import Figure

        from ptychosuite.reporting.style import row_labels, show_image

        rows = _first_rows(material)
        labels = row_labels(rows)
        records = [material.files.run(path) for path in rows["path"]]
        truths = [material.files.reference(record.reference) for record in records]
        compared = all(truth is not None for truth in truths)
        shown = [panel for panel in self.show if compared or not panel.endswith("difference")]
        if not shown:
            raise NothingToDraw("the truth is not known")
        truth = truths[0] if truths and len({record.reference for record in records}) == 1 else None
        pictures = [_pictures(record, t) for record, t in zip(records, truths, strict=True)]
        scales: dict[str, Normalize] = {
            panel: _scale(panel, [p[panel] for p in pictures], truth) for panel in shown
        }
        n_rows = len(records) + (truth is not None)
        figure = Figure(figsize=(2.15 * len(shown) + 0.5, 2.0 * n_rows + 0.5))
        axes = figure.subplots(n_rows, len(shown), squeeze=False)
        if truth is not None:
            _draw_truth(axes[0], shown, truth, scales)
        for line, label, picture in zip(axes[n_rows - len(records) :], labels, pictures, strict=True):
            for axis, panel in zip(line, shown, strict=True):
                show_image(axis, picture[panel], scales[panel], COLOUR_MAPS[panel])
            line[0].set_ylabel(label)
        for column, panel in enumerate(shown):
            axes[0, column].set_title(TITLES[panel])
            mappable = next(a.images[0] for a in reversed(axes[:, column]) if a.images)
            figure.colorbar(mappable, ax=axes[:, column].tolist(), location="bottom", shrink=0.85, pad=0.02)
        seed = value_text(rows["seed"].iloc[0])
        caption = f"Reconstructions of seed {seed}; each column has one colour scale. "
        if all(t is None for t in truths):
            caption += "Each object is divided by its median magnitude and mean phase."
        else:
            caption += "The global phase is removed before phases are compared."
        left_out = int((material.table["seed"] == rows["seed"].iloc[0]).sum()) - len(rows)
        if left_out:
            caption += f" {left_out} more runs are not shown."
        metrics = [name for name in ("error", "phase_rmse_rad", "residual") if name in rows]
        numbers = rows[["run_id", *metrics]].assign(row=labels)
        return Drawn(figure, caption, numbers, is_photograph=True)


@dataclass(frozen=True)
class ProbeFigure(FigureKind):
    """Reconstructed probes of the first seed, magnitude and phase, one column a run."""

    def pictured(self, material: Material) -> Sequence[str]:
        return _first_rows(material)["path"].tolist()

    def draw(self, material: Material) -> Drawn:
        """Magnitude and phase of the probes that the runs of the first seed ended with."""
        from matplotlib.colors import Normalize
        from matplotlib.figure import Figure

        from ptychosuite.reporting.style import row_labels, show_image

        rows = _first_rows(material)
        labels = row_labels(rows)
        probes = [np.asarray(material.files.run(path).probe) for path in rows["path"]]
        figure = Figure(figsize=(max(4.2, 2.1 * len(probes) + 0.6), 4.6))
        axes = figure.subplots(2, len(probes), squeeze=False)
        scale = Normalize(0, max(float(np.abs(probe).max()) for probe in probes))
        for (upper, lower), label, probe in zip(axes.T, labels, probes, strict=True):
            magnitude = show_image(upper, np.abs(probe), scale, "magma")
            phase = show_image(lower, np.angle(probe), Normalize(-np.pi, np.pi), "twilight")
            upper.set_title(label)
        figure.colorbar(magnitude, ax=axes[0].tolist(), label="magnitude")
        figure.colorbar(phase, ax=axes[1].tolist(), label="phase / rad")
        numbers = rows[["run_id"]].assign(column=labels)
        return Drawn(figure, "Reconstructed probes.", numbers, is_photograph=True)


def _first_rows(material: Material) -> pd.DataFrame:
    """The first runs of the first seed."""
    table = material.table
    return material.of(table[table["seed"] == table["seed"].min()].head(MAX_ROWS)).table


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
    from matplotlib.colors import Normalize

    if panel.endswith("difference"):
        reach = max(float(np.quantile(np.abs(image), 0.99)) for image in images) or 1.0
        return Normalize(-reach, reach)
    if truth is not None:
        exact = np.abs(truth.object) if panel == "magnitude" else np.angle(truth.object)
        return Normalize(float(exact.min()), float(exact.max()))
    low, high = np.quantile(np.stack([np.quantile(i, (0.005, 0.995)) for i in images]), (0, 1))
    return Normalize(float(low), float(high))


def _draw_truth(axes: Any, shown: Sequence[str], truth: Reference, scales: dict[str, Normalize]) -> None:
    from ptychosuite.reporting.style import show_image

    exact = {"magnitude": np.abs(truth.object), "phase": np.angle(truth.object)}
    for axis, panel in zip(axes, shown, strict=True):
        if panel in exact:
            show_image(axis, exact[panel], scales[panel], COLOUR_MAPS[panel])
        else:
            axis.axis("off")
    axes[0].set_ylabel("truth")
