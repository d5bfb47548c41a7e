"""Numbers of logarithmic axes, scales of panels that are compared, and what no logarithm has."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure
from ptychosuite.reporting.figures.convergence import ConvergenceFigure
from ptychosuite.reporting.log_axes import number_axes

from tests.analysis.made_up import made_up, run
from tests.report.drawing import draw


def labels(limits, is_small=False):
    """What stands along the vertical and the horizontal axis of a panel."""
    figure = Figure(figsize=(3.4, 2.9))
    axes = figure.subplots()
    axes.set(xscale="log", yscale="log", xlim=limits, ylim=limits)
    number_axes(axes, is_small)
    figure.canvas.draw()
    return [
        {label.get_text() for label in axis.get_ticklabels(which="both")} - {""}
        for axis in (axes.yaxis, axes.xaxis)
    ]


@pytest.mark.parametrize("is_small", [False, True])
@pytest.mark.parametrize("limits", [(0.41, 0.49), (45, 80), (0.9, 30), (1, 1000), (1e-7, 1e-3), (2e6, 3e7)])
def test_every_axis_has_numbers(limits, is_small):
    """Two or more, whatever is in view, that are plain where a person would write them so."""
    vertical, horizontal = labels(limits, is_small)
    assert len(vertical) >= 2
    assert horizontal
    if limits[0] >= 1e-3 and limits[1] < 1e5:
        assert all(float(text) > 0 for text in vertical | horizontal)


def test_numbers_are_as_one_writes_them():
    vertical, _ = labels((0.02, 300))
    assert {"0.1", "1", "10", "100"} <= vertical
    _, horizontal = labels((1e4, 1e7))
    assert {"10000", "$\\mathdefault{10^{6}}$"} <= horizontal


@pytest.mark.parametrize(
    ("end", "scale", "told"), [(-0.5, "linear", False), (0.0, "log", True), (1.0, "log", False)]
)
def test_curves_that_no_logarithm_has(end, scale, told):
    """Below zero all are drawn on a linear axis; zeros alone are told of, on a logarithmic one."""
    rows = [run("epie", [4, 2, 1.5, end], seed) for seed in range(3)]
    table, dataset = made_up([*rows, *(run("rpie", [4, 5, 9, 12], seed) for seed in range(3))], "psnr_phase")
    drawn = draw(ConvergenceFigure(metric="psnr_phase"), table, dataset)
    assert drawn.figure.axes[0].get_yscale() == scale
    assert ("1 point of the medians at 0 cannot be shown" in drawn.caption) is told
    assert drawn.figure.axes[0].get_ylim()[0] < (end or 1.5)


@pytest.mark.parametrize(("seeds", "name"), [(5, "with the range of all"), (6, "with the 95 % interval")])
def test_caption_names_the_ends_of_the_band(seeds, name):
    """Of a few runs they are no interval of 95 %."""
    table, dataset = made_up([run("epie", [4, 2, 1 + seed], seed) for seed in range(seeds)])
    assert f"median over {seeds} seeds, {name}." in draw(ConvergenceFigure(), table, dataset).caption
