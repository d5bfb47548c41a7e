"""What was simulated or measured: object, probe and scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ptychosuite.errors import NothingToDraw
from ptychosuite.reporting.figures.figure_kind import Drawn, FigureKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ptychosuite.core.problem import Reference
    from ptychosuite.core.runs import RunRecord
    from ptychosuite.reporting.figures.material import Material

MAX_ROWS = 8


@dataclass(frozen=True)
class SetupFigure(FigureKind):
    """What was simulated: object, probe and scan of the first run."""

    def pictured(self, material: Material) -> Sequence[str]:
        """The first run: without a truth, the scan is drawn over the extent of its object."""
        return _first_of_each(material)[:1]

    def draw(self, material: Material) -> Drawn:
        """Object, probe and scan, a row for each simulated truth; of measured data, the scan."""
        import pandas as pd
        from matplotlib.figure import Figure

        records = [material.files.run(path) for path in _first_of_each(material)]
        names = dict.fromkeys(record.reference for record in records)
        references = [found for name in names if (found := material.files.reference(name)) is not None]
        if not references:
            return _draw_measured_scan(records[0])
        references = references[:MAX_ROWS]
        figure = Figure(figsize=(12.4, 2.9 * len(references)))
        axes = figure.subplots(len(references), 5, squeeze=False)
        for line, reference in zip(axes, references, strict=True):
            _draw_row(figure, line, reference)
        caption = "Set-up: " + " ".join(dict.fromkeys(_describe_scan(reference) for reference in references))
        positions = [pd.DataFrame(r.scan_positions_px, columns=["row_px", "column_px"]) for r in references]
        numbers = pd.concat(positions, keys=range(len(positions)), names=["setup", None])
        return Drawn(figure, caption, numbers.reset_index("setup"), is_photograph=True)


def _draw_measured_scan(record: RunRecord) -> Drawn:
    import pandas as pd
    from matplotlib.figure import Figure

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


def _first_of_each(material: Material) -> list[str]:
    """Files of the first run of each combination of what is not the solver's business."""
    table = material.table
    ignored = {"solver", "seed", "noise", "fast_forward", *table.attrs["solver_settings"]}
    factors = [name for name in table.attrs["factors"] if name not in ignored]
    paths: list[str] = (table.drop_duplicates(factors) if factors else table.head(1))["path"].tolist()
    return paths


def _draw_row(figure: Figure, axes: Any, reference: Reference) -> None:
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
    from matplotlib.patches import Rectangle

    centres = positions + size / 2
    axis.plot(centres[:, 1], centres[:, 0], ".", ms=4, color="#0072B2")
    first = positions[0]
    axis.add_patch(Rectangle((first[1], first[0]), size, size, fill=False, color="#D55E00"))
    axis.set(title="scan, one probe array", xlim=(0, shape[1]), ylim=(shape[0], 0), aspect="equal")
    axis.set(xticks=[], yticks=[])
    axis.spines[["right", "top"]].set_visible(True)
