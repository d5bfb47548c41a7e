"""Pictures outside reports: what a data file holds, and the course of a training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure

from ptychosuite.errors import StoreError
from ptychosuite.reporting.style import COLOURS, PANEL_INCHES, house_style, lay_out, save

BAD = COLOURS[0]  # of bad pixels
MOST_MODES = 3  # of a probe that are drawn
SIDE_INCHES = 3.6


def draw_measurement(
    title: str,
    scan_positions_px: np.ndarray,
    mean_pattern: np.ndarray,
    probe_modes: np.ndarray | None,
    good: np.ndarray | None,
    out: Path,
) -> None:
    """Draw a measurement into the picture ``out``; its ending says which format.

    Parameters
    ----------
    scan_positions_px : (N, 2)
    mean_pattern : (m, m)
        Mean counts, zero frequency at [0, 0].
    probe_modes : (M, m, m) complex, optional
        Magnitude and phase of the first three are drawn.
    good : (m, m) bool, optional
        Good pixels of the detector, zero frequency at [0, 0].

    Raises
    ------
    StoreError
        The picture cannot be written.
    """
    modes = np.zeros((0, 1, 1)) if probe_modes is None else probe_modes
    layout: Any = _layout(min(len(modes), MOST_MODES), good is not None)
    with house_style():
        figure = Figure(figsize=(SIDE_INCHES * len(layout[0]), 3.3 * len(layout) + 0.4))
        panels: dict[str, Axes] = figure.subplot_mosaic(layout)
        _draw_scan(figure, panels["scan"], scan_positions_px)
        _draw_mean(figure, panels["mean"], np.fft.fftshift(mean_pattern), good)
        if good is not None:
            _draw_mask(panels["mask"], np.fft.fftshift(good))
        shares = np.sum(np.abs(modes) ** 2, axis=(1, 2)) / np.sum(np.abs(modes) ** 2)
        for number, mode in enumerate(modes[:MOST_MODES]):
            name = "probe" if len(modes) == 1 else f"mode {number + 1} ({shares[number]:.0%})"
            _draw_mode(figure, panels[f"magnitude {number}"], panels[f"phase {number}"], mode, name)
        figure.suptitle(title)
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            lay_out(figure)
            figure.savefig(out)
        except (OSError, ValueError) as error:
            raise StoreError(f"cannot write the picture {out}: {error}") from error


def _layout(modes: int, masked: bool) -> list[list[str]]:
    """What is drawn where; a single mode is in the same row as scan, mean pattern and mask."""
    first = ["scan", "mean"] + ["mask"] * masked
    magnitudes, phases = ([f"{what} {n}" for n in range(modes)] for what in ("magnitude", "phase"))
    if modes < 2:
        return [first + magnitudes + phases]
    columns = max(len(first), modes)
    return [line + ["."] * (columns - len(line)) for line in (first, magnitudes, phases)]


def _draw_scan(figure: Figure, axis: Axes, scan_positions_px: np.ndarray) -> None:
    """Positions on lines from each to the next, coloured by their number, the first one marked."""
    rows, columns = scan_positions_px.T
    numbers = np.arange(len(rows))
    axis.plot(columns, rows, lw=0.5, color="0.8", zorder=1)
    dots = axis.scatter(columns, rows, c=numbers, s=9, cmap="viridis", zorder=2)
    axis.plot(columns[:1], rows[:1], "o", ms=9, mfc="none", mec=COLOURS[1], mew=1.6, label="first")
    axis.set(title=f"{len(rows)} scan positions", aspect="equal", xlabel="column / px", ylabel="row / px")
    axis.set_adjustable("datalim")
    axis.invert_yaxis()
    axis.legend(loc="upper right", frameon=True)
    figure.colorbar(dots, ax=axis, shrink=0.8, label="number of the pattern")


def _draw_mean(figure: Figure, axis: Axes, mean: np.ndarray, good: np.ndarray | None) -> None:
    """Mean counts on a logarithmic scale; bad pixels have the colour of a mask."""
    bright = mean[mean > 0]
    floor = max(float(bright.max(initial=1.0)) * 1e-6, float(bright.min(initial=np.inf)))
    shown = np.maximum(mean, floor)
    bad = np.zeros(mean.shape, dtype=bool) if good is None else ~np.fft.fftshift(good)
    colours = matplotlib.colormaps["magma"].with_extremes(bad=BAD)
    image = axis.imshow(np.ma.masked_array(shown, bad), norm=LogNorm(vmin=floor), cmap=colours)
    axis.set_title("mean counts")
    figure.colorbar(image, ax=axis, shrink=0.8, label="counts a pixel")
    _name_pixels(axis)


def _draw_mask(axis: Axes, good: np.ndarray) -> None:
    axis.imshow(good, cmap=ListedColormap([BAD, "0.9"]), vmin=0, vmax=1)
    bad = int(good.size - good.sum())
    axis.set_title(f"mask: {bad} of {good.size} pixels bad (blue)")
    _name_pixels(axis)


def _draw_mode(figure: Figure, above: Axes, below: Axes, mode: np.ndarray, name: str) -> None:
    """Magnitude of a mode, and its phase where it has light."""
    magnitude = np.abs(mode)
    image = above.imshow(magnitude, cmap="magma")
    above.set_title(f"{name}: magnitude")
    figure.colorbar(image, ax=above, shrink=0.8)
    dark = magnitude < 0.05 * magnitude.max()
    phase = np.ma.masked_array(np.angle(mode), dark)
    image = below.imshow(phase, cmap="twilight", vmin=-np.pi, vmax=np.pi)
    below.set_title(f"{name}: phase")
    figure.colorbar(image, ax=below, shrink=0.8, label="rad")
    for axis in (above, below):
        _name_pixels(axis)


def _name_pixels(axis: Axes) -> None:
    axis.set(xlabel="column / px", ylabel="row / px")
    axis.grid(False)


def draw_training(metrics: Path) -> Path:
    """Draw losses and what was learned over the epochs of ``metrics.json``, beside it; the PNG's path."""
    history = json.loads(metrics.read_text())["history"]
    epochs = [each["epoch"] for each in history]
    with house_style():
        figure = Figure(figsize=(2 * PANEL_INCHES, 0.8 * PANEL_INCHES))
        losses, removed = figure.subplots(1, 2)
        for colour, name in zip(COLOURS, ("train_loss", "validation_loss"), strict=False):
            losses.plot(epochs, [each[name] for each in history], color=colour, label=name.split("_")[0])
        losses.set(xlabel="epoch", ylabel="squared distance left,\nand slopes: share", yscale="log")
        for colour, name in zip(COLOURS, ("object_removed", "probe_removed"), strict=False):
            removed.plot(epochs, [each[name] for each in history], color=colour, label=name.split("_")[0])
        removed.set(xlabel="epoch", ylabel="squared distance\nremoved: share")
        for axes in (losses, removed):
            axes.legend()
        return save(figure, metrics.with_name("training"))["png"]
