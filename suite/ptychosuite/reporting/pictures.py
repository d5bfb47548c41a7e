"""Pictures outside reports: what a data file holds, and the course of a training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ptychosuite.errors import StoreError
from ptychosuite.reporting.style import COLOURS, PANEL_INCHES, house_style, save


def draw_measurement(
    title: str, scan_positions_px: np.ndarray, mean_pattern: np.ndarray, probe: np.ndarray | None, out: Path
) -> None:
    """Draw a measurement into the picture ``out``; its ending says which format.

    Parameters
    ----------
    scan_positions_px : (N, 2)
    mean_pattern : (m, m)
        Mean counts, zero frequency at [0, 0].
    probe : (m, m) complex, optional

    Raises
    ------
    StoreError
        The picture cannot be written.
    """
    mean = np.fft.fftshift(mean_pattern)
    panels = 2 if probe is None else 3
    with house_style():
        figure = Figure(figsize=(4 * panels, 3.9))
        axes = figure.subplots(1, panels)
        rows, columns = scan_positions_px.T
        axes[0].plot(columns, rows, ".", ms=3)
        axes[0].set(title=f"{len(scan_positions_px)} scan positions / px", aspect="equal")
        axes[0].invert_yaxis()
        floor = max(float(mean.max()) * 1e-6, float(mean[mean > 0].min(initial=np.inf)))
        image = axes[1].imshow(np.maximum(mean, floor), norm=LogNorm(), cmap="magma")
        axes[1].set_title("mean counts, zero frequency in the middle")
        figure.colorbar(image, ax=axes[1], shrink=0.8)
        if probe is not None:
            image = axes[2].imshow(np.abs(probe), cmap="magma")
            axes[2].set_title("probe magnitude")
            figure.colorbar(image, ax=axes[2], shrink=0.8)
        for axis in axes[1:]:
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
            axis.spines[:].set_visible(False)
        figure.suptitle(title)
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(out)
        except (OSError, ValueError) as error:
            raise StoreError(f"cannot write the picture {out}: {error}") from error


def draw_training(metrics: Path) -> Path:
    """Draw losses and what was learned over the epochs of ``metrics.json``, beside it; the PNG's path."""
    history = json.loads(metrics.read_text())["history"]
    epochs = [each["epoch"] for each in history]
    with house_style():
        figure = Figure(figsize=(2 * PANEL_INCHES, 0.8 * PANEL_INCHES))
        losses, removed = figure.subplots(1, 2)
        for colour, name in zip(COLOURS, ("train_loss", "validation_loss"), strict=False):
            losses.plot(epochs, [each[name] for each in history], color=colour, label=name.split("_")[0])
        losses.set(xlabel="epoch", ylabel="share of the squared distance left, with slopes", yscale="log")
        for colour, name in zip(COLOURS, ("object_removed", "probe_removed"), strict=False):
            removed.plot(epochs, [each[name] for each in history], color=colour, label=name.split("_")[0])
        removed.set(xlabel="epoch", ylabel="share of the squared distance removed")
        for axes in (losses, removed):
            axes.legend()
        return save(figure, metrics.with_name("training"))["png"]
