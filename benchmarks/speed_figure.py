"""The figure of benchmarks/speed.py."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from ptychosuite.reporting.style import COLOURS, house_style


def draw(tables: Mapping[str, Any], path: Path) -> None:
    """Every solver over the floor; cost against the size of the data; the ratio against the probe's size."""
    with house_style():
        figure, axes = plt.subplots(1, 3, figsize=(12.5, 4.2))
        _over_the_floor(axes[0], tables["solvers"])
        _against_work(axes[1], tables)
        _against_size(axes[2], tables["sizes"]["complex64"])
        figure.savefig(path)
        plt.close(figure)


def _over_the_floor(ax: Axes, seconds: Mapping[str, float]) -> None:
    labels = list(seconds)
    ratios = [seconds[label] / seconds[labels[0]] for label in labels]
    colours = [COLOURS[7] if "literal" in label or label == "metrics" else COLOURS[0] for label in labels]
    bars = ax.barh(labels, ratios, color=colours)
    ax.bar_label(bars, fmt="%.1f", padding=3)
    ax.invert_yaxis()
    ax.set(
        xscale="log",
        xlabel="time of an iteration / time of its two FFTs a pattern",
        xlim=(0.8, 2 * max(ratios)),
    )
    ax.set_title("49 patterns of 128 × 128")


def _against_work(ax: Axes, tables: Mapping[str, Any]) -> None:
    for colour, solver in zip(COLOURS, ("rPIE", "MAGPIE, all levels"), strict=False):
        points = [
            (16 * int(m) ** 2 * np.log2(int(m)), row[solver])
            for m, row in tables["sizes"]["complex64"].items()
        ]
        points += [(int(n) * 64**2 * 6, row[solver]) for n, row in tables["patterns"].items()]
        work, seconds = np.array(sorted(points)).T
        ax.plot(work, seconds, "o", color=colour, label=solver, alpha=0.8)
    through = np.median(seconds / work) * work
    ax.plot(work, through, "--", color=COLOURS[7], label=r"$\propto N m^2 \log m$")
    ax.set(xscale="log", yscale="log", xlabel=r"$N m^2 \log_2 m$", ylabel="seconds an iteration")
    ax.set_title("cost against size: N = 16 … 1024, m = 64 … 512")
    ax.legend()


def _against_size(ax: Axes, sizes: Mapping[str, Mapping[str, float]]) -> None:
    probes = list(map(int, sizes))
    floor = [row["two FFTs a pattern"] for row in sizes.values()]
    for colour, solver in zip(COLOURS, ("rPIE", "MAGPIE, all levels"), strict=False):
        ratio = [row[solver] / base for row, base in zip(sizes.values(), floor, strict=True)]
        ax.plot(probes, ratio, "o-", color=colour, label=solver)
    ax.set(
        xlabel="probe, pixels on a side",
        ylabel="time / time of two FFTs a pattern",
        xscale="log",
        ylim=(1, None),
    )
    ax.set_xticks(probes, map(str, probes))
    ax.minorticks_off()
    ax.set_title("overhead against the probe's size")
    ax.legend()
