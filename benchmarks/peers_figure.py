"""The figure of ``peers.py``: misfit against solver time, probe known and unknown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from peers_contestants import CDTOOLS, OURS, PTYCHI
from ptychosuite.reporting.style import COLOURS, PANEL_INCHES, house_style

LINES = {OURS: ("-", "o"), PTYCHI: ("--", "s"), CDTOOLS: (":", "^")}  # and the marker at their ends
METHODS = {  # a method has its colour in every package; a variant has a lighter one
    "rPIE": COLOURS[0],
    "ePIE": COLOURS[5],
    "PIE": "#B5DDF5",
    "mPIE": COLOURS[4],
    "MAGPIE": COLOURS[1],
    "eMAGPIE": "#F0A878",
    "LSQML": COLOURS[2],
    "LSQML with momentum": "#8FD3BC",
    "L-BFGS": COLOURS[3],
    "Adam": COLOURS[6],
    "SGD": COLOURS[7],
    "difference map": "#8C564B",
    "RAAR": "#C9AFA9",
}
TITLES = {"known": "Probe known", "blind": "Probe unknown, started wrong"}


def draw(races: Mapping[str, tuple[float, list[Any]]], file: Path) -> None:
    """Save a panel for each race as PNG."""
    with house_style():
        figure = Figure(figsize=(2.4 * PANEL_INCHES, 1.6 * PANEL_INCHES))
        panels = figure.subplots(1, len(races), sharex=True)
        for axes, (title, (target, results)) in zip(panels, races.items(), strict=True):
            draw_race(axes, target, results)
            axes.set_title(TITLES[title])
        panels[0].set_ylabel("residual after each iteration")
        figure.legend(handles=package_handles(), loc="outside upper center", ncols=5)
        figure.legend(handles=method_handles(), loc="outside lower center", ncols=7, columnspacing=1.2)
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file)


def draw_race(axes: Axes, target: float, results: list[Any]) -> None:
    """One line a contestant; it ends in a filled marker where it met the target, in an open one where not."""
    axes.axhline(target, color="black", linewidth=0.8)
    axes.annotate("target", (0.01, target), xycoords=("axes fraction", "data"), va="bottom", fontsize=8)
    for result in reversed(results):  # the fastest on top
        line, marker = LINES[result.contestant.package]
        colour = METHODS[result.contestant.method]
        seconds, residual = result.curve_seconds[1:], result.curve_residual[1:]
        axes.plot(seconds, residual, line, color=colour)
        face = "white" if result.verdict else colour
        axes.plot(seconds[-1], residual[-1], marker, color=colour, markerfacecolor=face, markersize=6)
    axes.set(xscale="log", yscale="log", xlabel="solver time (s)")
    axes.set_ylim(top=2 * max(result.curve_residual[0] for result in results))


def package_handles() -> list[Line2D]:
    """Line styles of the packages, and what the markers mean."""
    packages = [
        Line2D([], [], color="black", linestyle=line, marker=marker, label=package)
        for package, (line, marker) in LINES.items()
    ]
    met = Line2D([], [], color="black", linestyle="", marker="o", label="target met")
    missed = Line2D(
        [], [], color="black", linestyle="", marker="o", markerfacecolor="white", label="given up"
    )
    return [*packages, met, missed]


def method_handles() -> list[Line2D]:
    return [Line2D([], [], color=colour, linewidth=3, label=name) for name, colour in METHODS.items()]
