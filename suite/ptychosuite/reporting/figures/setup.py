"""What was simulated or measured: object, probe and scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ptychosuite.analysis.labels import value_text
from ptychosuite.core.runs import Status
from ptychosuite.errors import NothingToDraw
from ptychosuite.metrics.light import light_diameter_px, light_overlap, step_px
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
    """What was simulated: object, probe and scan, a row for each truth; of measured data, the scan."""

    runs: ClassVar[Literal["ended", "all"]] = "all"

    def pictured(self, material: Material) -> Sequence[str]:
        """The first run: without a truth, the scan is drawn over the extent of its object."""
        return list(_setups(material).values())[:1]

    def draw(self, material: Material) -> Drawn:
        """Object, probe and scan, a row for each simulated truth; of measured data, the scan."""
        import pandas as pd

        from ptychosuite.reporting.style import width_of

        found = {words: material.files.run(path) for words, path in _setups(material).items()}
        if not found:
            raise NothingToDraw("no run has results")
        truths: dict[str, tuple[str, Reference]] = {}
        for words, record in found.items():
            if (truth := material.files.reference(record.reference)) is not None:
                truths.setdefault(record.reference, (words, truth))
        if not truths:
            return _draw_measured_scan(next(iter(found.values())), width_of(self.width, 4.2))
        shown = list(truths.values())[:MAX_ROWS]
        figure, axes = _canvas(len(shown), self.width)
        for line, (words, reference) in zip(axes, shown, strict=True):
            _draw_row(figure, line, reference)
            line[0].set_ylabel(words.replace(" · ", "\n") if len(truths) > 1 else "")
        caption = "Set-up: " + " ".join(dict.fromkeys(_describe_scan(reference) for _, reference in shown))
        if len(truths) > len(shown):
            caption += f" Not shown: {len(truths) - len(shown)} of {len(truths)} set-ups; 'where' chooses."
        positions = [pd.DataFrame(r.scan_positions_px, columns=["row_px", "column_px"]) for _, r in shown]
        numbers = pd.concat(positions, keys=range(len(positions)), names=["setup", None])
        told = "Magnitude and phase of object and probe, and the scan's positions on the object"
        told += f": {'; '.join(words for words, _ in shown)}." if len(truths) > 1 else "."
        return Drawn(figure, caption, numbers.reset_index("setup"), told, is_photograph=True)


def _canvas(setups: int, width: str | None) -> tuple[Figure, np.ndarray]:
    """Five axes a set-up, (set-ups, five or more), the rest of them hidden."""
    from matplotlib.figure import Figure

    from ptychosuite.reporting.style import width_of

    beside = 3 if width == "column" else 5
    rows = -(-5 // beside)
    inches = width_of(width, 12.4)
    figure = Figure(figsize=(inches, (inches / beside + 0.42) * rows * setups))
    axes = figure.subplots(rows * setups, beside, squeeze=False).reshape(setups, -1)
    for axis in axes[:, 5:].ravel():
        axis.set_visible(False)
    return figure, axes


def _draw_measured_scan(record: RunRecord, inches: float) -> Drawn:
    import pandas as pd
    from matplotlib.figure import Figure

    positions, obj, probe = record.scan_positions_px, record.object, record.probe
    if positions is None or obj is None or probe is None:
        raise NothingToDraw("neither truth nor scan are known")
    figure = Figure(figsize=(inches, min(inches, 4.2)))
    _draw_scan(figure.subplots(), positions, probe.shape[0], obj.shape)
    modes = probe if record.probe_modes is None else record.probe_modes
    caption = f"Scan: {_overlaps(modes, positions, 'a reconstructed probe')}."
    told = "The centre of each scan position as a dot on the field, and one pattern's window as a square."
    return Drawn(figure, caption, pd.DataFrame(positions, columns=["row_px", "column_px"]), told)


def _setups(material: Material) -> dict[str, str]:
    """Words -> file of a run for each combination of what is not the solver's business.

    The run is one that completed, where any did; a combination of which there is no file is left out.
    """
    table = material.table[material.table["path"] != ""]
    ignored = {"solver", "seed", "noise", "photons", "fast_forward", *material.table.attrs["solver_settings"]}
    factors = [name for name in material.table.attrs["factors"] if name not in ignored and name in table]
    order = (table["status"] != Status.COMPLETED).sort_values(kind="stable").index
    chosen = (table.loc[order].drop_duplicates(factors) if factors else table.loc[order].head(1)).sort_index()
    varying = [name for name in factors if material.table[name].nunique(dropna=False) > 1]
    words = (
        " · ".join(f"{name} {text}" for name in varying if (text := value_text(row[name], name)))
        for _, row in chosen.iterrows()
    )
    return dict(zip(words, chosen["path"], strict=True))


def _draw_row(figure: Figure, axes: Any, reference: Reference) -> None:
    from ptychosuite.reporting.photographs import few_ticks, phase_scale, scale_of, whole_circle

    object_parts = np.abs(reference.object), np.angle(reference.object)
    probe_parts = np.abs(reference.probe), np.angle(reference.probe)
    images = [
        (object_parts[0], scale_of("gray", [object_parts[0]], []), "object\nmagnitude"),
        (object_parts[1], phase_scale([object_parts[1]], []), "object\nphase / rad"),
        (probe_parts[0], scale_of("magma", [probe_parts[0]], []), "probe\nmagnitude"),
        (probe_parts[1], whole_circle(), "probe\nphase / rad"),
    ]
    for axis, (image, scale, title) in zip(axes, images, strict=False):
        mappable = scale.draw(axis, image)
        axis.set_title(title)
        bar = figure.colorbar(mappable, ax=axis, location="bottom", shrink=0.85, extend=scale.extend)
        few_ticks(bar)
    _draw_scan(axes[4], reference.scan_positions_px, reference.probe.shape[0], reference.object.shape)


def _describe_scan(reference: Reference) -> str:
    modes = reference.probe if reference.probe_modes is None else reference.probe_modes
    return f"{_overlaps(modes, reference.scan_positions_px, 'a probe')}."


def _overlaps(probe: np.ndarray, positions: np.ndarray, whose: str) -> str:
    """Size of the probe, step and both overlaps in words; of one position there is neither."""
    size, diameter = probe.shape[-1], light_diameter_px(probe)
    told = f"{len(positions)} positions, {whose} of {size} x {size} pixels"
    if np.isfinite(diameter):
        told += f", 90 % of whose power lies in a disk of {diameter:.3g} pixels"
    step, overlap = step_px(positions), light_overlap(probe, positions)
    if not np.isfinite(step):
        return told
    light = f"the light overlaps by {overlap:.0%}, " if np.isfinite(overlap) else ""
    return f"{told}, a step of {step:.4g} pixels: {light}the arrays by {max(0.0, 1 - step / size):.0%}"


def _draw_scan(axis: Axes, positions: np.ndarray, size: int, shape: tuple[int, ...]) -> None:
    from matplotlib.patches import Rectangle

    centres = positions + size / 2
    axis.plot(centres[:, 1], centres[:, 0], ".", ms=4, color="#0072B2")
    first = positions[0]
    axis.add_patch(Rectangle((first[1], first[0]), size, size, fill=False, color="#D55E00"))
    axis.set(title="scan,\none probe array", xlim=(0, shape[1]), ylim=(shape[0], 0), aspect="equal")
    axis.set(xticks=[], yticks=[])
    axis.spines[["right", "top"]].set_visible(True)
