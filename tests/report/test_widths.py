"""Figures of a journal's width: type of fixed size, all of it inside, and none of it over other type."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from ptychosuite.analysis.selection import selection_of_plan
from ptychosuite.reporting.drawing import figure_of
from ptychosuite.reporting.figures.material import Material, RunFiles
from ptychosuite.reporting.style import WIDTHS, house_style, lay_out, on_lines, set_heading

from tests.study.small import carry_out, plan_text

STUDY = """\
axes:
  problem.scan.overlap: [0.4, 0.7]
  problem.noise: [0.05, 0.4]
  solver: [lbfgs, rpie, {name: magpie, levels: 1}, {name: magpie, levels: 2}, {name: magpie, levels: 3}]
  seed: {range: 3}
"""
ONE = {"where": {"overlap": 0.7, "noise": 0.05}}
KINDS = {
    "convergence": {"kind": "convergence"},
    "two metrics": {"kind": "convergence", "metric": ["residual", "error"]},
    "long names": {"kind": "convergence", "metric": ["nmse", "poisson_deviance", "phase_rmse_rad"], **ONE},
    "in seconds": {"kind": "convergence", "x": "seconds", "panel": "noise"},
    "images": {"kind": "images", **ONE},
    "two images": {"kind": "images", "show": ["magnitude", "phase"], **ONE},
    "probe": {"kind": "probe", "where": {"overlap": 0.7, "noise": 0.05, "solver": ["lbfgs", "rpie"]}},
    "setup": {"kind": "setup"},
    "rings": {"kind": "rings", **ONE},
    "heatmap": {"kind": "heatmap", "x": "noise", "y": "solver", "value": "error"},
    "performance profile": {"kind": "performance-profile"},
    "ranking": {"kind": "ranking"},
}
TITLE = "What a figure is about may take a good many words to say"


@dataclass(frozen=True)
class Words:
    """Type as it stands on a figure: its ends in pixels."""

    text: str
    left: float
    bottom: float
    right: float
    top: float

    def covers(self, other: Words) -> bool:
        """By more than a pixel."""
        across = min(self.right, other.right) - max(self.left, other.left)
        return across > 1 and min(self.top, other.top) - max(self.bottom, other.bottom) > 1


def out_of_view(axes: Axes) -> Iterator[Text]:
    """Labels of ticks beyond the ends of an axis, which matplotlib keeps and does not draw."""
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        slack = 1e-9 * (high - low)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not low - slack <= tick.get_loc() <= high + slack:
                yield from (tick.label1, tick.label2)


def words_on(figure: Figure) -> list[Words]:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    unseen = {text for axes in figure.axes for text in out_of_view(axes)}
    unseen |= {text for axes in figure.axes if not axes.get_visible() for text in axes.findobj(Text)}
    seen = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    boxes = [(text, text.get_window_extent(canvas.get_renderer())) for text in seen if text not in unseen]
    return [Words(text.get_text(), box.x0, box.y0, box.x1, box.y1) for text, box in boxes]


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("widths")
    plan = plan_text(folder, STUDY)
    carry_out(plan, folder / "results")
    selection = selection_of_plan(plan, folder / "results")
    return Material(selection.table, selection.dataset, RunFiles(selection.store), selection.table)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_all_words_are_to_be_read(material, kind, width):
    """They are on the paper, and do not touch; a title runs over as many lines as it needs."""
    figure = figure_of({**KINDS[kind], "width": width, "title": TITLE})
    chosen = material.narrowed(figure.where)
    material.files.pictured.update(figure.pictured(chosen))
    with house_style():
        drawn = figure.draw(chosen).figure
        set_heading(drawn, figure.title)
        lay_out(drawn)
    assert drawn.get_figwidth() == WIDTHS[width]
    found = words_on(drawn)
    wide, high = drawn.bbox.width, drawn.bbox.height
    for words in found:
        assert -1 < words.left < words.right < wide + 1, words
        assert -1 < words.bottom < words.top < high + 1, words
    for one, other in combinations(found, 2):
        assert not one.covers(other), (one, other)


@pytest.mark.parametrize("width", [None, *WIDTHS])
def test_tilted_names_of_columns_are_on_the_paper(material, width):
    """Solvers across a heat map, and the names of both axes."""
    figure = figure_of({"kind": "heatmap", "x": "solver", "y": "noise", "value": "error", "width": width})
    with house_style():
        drawn = figure.draw(material.narrowed(figure.where)).figure
        lay_out(drawn)
    found = words_on(drawn)
    assert {"solver", "noise", "MAGPIE (levels 3)"} <= {words.text for words in found}
    for words in found:
        assert -1 < words.left < words.right < drawn.bbox.width + 1, words
        assert -1 < words.bottom < words.top < drawn.bbox.height + 1, words
    cell = drawn.axes[0].get_window_extent()
    assert cell.width > 100
    assert cell.height > 100


def test_a_setting_stays_beside_its_value():
    """Where a label takes several lines, it is broken elsewhere."""
    label = "Adam (learning_rate 0.01, beta_2 0.999) + network at 12, 27, 42"
    assert on_lines(label, 32) == "Adam (learning_rate 0.01,\nbeta_2 0.999) + network at 12,\n27, 42"
    assert on_lines("MAGPIE 7 levels", 8, indent="  ") == "MAGPIE 7\n  levels"
