"""The course of a training."""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib.figure import Figure

from ptychosuite.reporting.style import COLOURS, PANEL_INCHES, house_style, save


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
