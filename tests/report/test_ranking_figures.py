"""The performance profile and the ranking, of made-up studies and on the page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from ptychosuite.analysis.selection import selection_of_plan
from ptychosuite.core.stages import IMPORTED
from ptychosuite.errors import NothingToDraw, StudyError
from ptychosuite.reporting.figures.heatmap import HeatmapFigure
from ptychosuite.reporting.figures.performance_profile import ProfileFigure
from ptychosuite.reporting.figures.ranking import RankingFigure
from ptychosuite.reporting.page import write_report
from ptychosuite.reporting.style import house_style

from tests.analysis.made_up import made_up, run
from tests.report.drawing import draw
from tests.report.test_report import Page
from tests.study.small import carry_out, plan_text

STUDY = """\
axes:
  problem.noise: [0.05, 0.3]
  solver: [rpie, {name: magpie, levels: 2}, lbfgs]
  seed: {range: 3}
exclude: [{solver.name: lbfgs, problem.noise: 0.3}]
figures:
  - {kind: performance-profile}
  - {kind: performance-profile, x: iteration, within: 0.1, title: Sooner}
  - {kind: ranking, title: Who is first}
  - {kind: ranking, where: {noise: 0.05}, quality: error, key: quiet}
"""


ALGORITHMS = ("autodiff", "ePIE")


def drawn_of(figure, runs):
    table, dataset = made_up(runs, settings=[name for name in ("algorithm", "batch") if name in runs[0]])
    with house_style():
        return draw(figure, table, dataset)


def fading(rate, steps=30):
    return (100 * np.exp(-rate * np.arange(steps)) + 1).tolist()


def some_runs():
    """Three lines on four problems; one of them failed twice, one is missing once, one not planned once."""
    runs = [run("rpie", fading(0.5), seed, phase_rmse_rad=0.1 * (1 + seed)) for seed in range(4)]
    runs += [run("epie", fading(0.2), seed, phase_rmse_rad=0.3) for seed in (0, 1)]
    runs += [run("epie", [], seed, status="failed") for seed in (2, 3)]
    runs += [run("lbfgs", fading(0.4), seed, step=0.2, phase_rmse_rad=0.2) for seed in (0, 1)]
    return [*runs, run("lbfgs", [], 2, status="missing")]


@pytest.mark.usefixtures("quick_figures")
def test_both_on_the_page(tmp_path):
    """Drawn from real runs with tables and captions, and their numbers in files."""
    plan = plan_text(tmp_path, STUDY, "stop={iterations: 6, check_every: 1}")
    carry_out(plan, tmp_path / "results")
    page = write_report(selection_of_plan(plan, tmp_path / "results"), tmp_path / "reports")
    text = " ".join(Page(page.read_text(encoding="utf-8")).text.split())
    assert "Not drawn" not in text
    for part in (
        "so many times the least solver time that any line takes",
        "so many times the fewest iterations",
        "6 problems, each one condition and seed",
        "all but 10 % of the way from its start",
        "A line that has not all problems is judged by its own",
        "within twice the best",
        "rank by iterations",
        "final error in magnitude",
        "15 of 15 completed",
    ):
        assert part in text, part
    stems = ["performance-profile-iteration", "performance-profile-seconds", "quiet", "ranking"]
    assert sorted(path.stem for path in (page.parent / "figures").glob("*.svg")) == stems
    profile = pd.read_csv(page.parent / "numbers/performance-profile-iteration.csv")
    assert profile.groupby("line")["problems"].first().to_dict() == {"rPIE": 6, "MAGPIE": 6, "L-BFGS": 3}
    ranks = pd.read_csv(page.parent / "numbers/ranking.csv")
    assert set(ranks["by"]) == {"seconds", "iteration", "phase_rmse_rad"}
    assert len(ranks) == 9


def test_staircases_are_their_numbers():
    """What is drawn is what the file says, and goes on level to the right end."""
    drawn = drawn_of(ProfileFigure(), some_runs())
    (axis,) = drawn.figure.axes
    for line, (_, steps) in zip(axis.get_lines(), drawn.numbers.groupby("line", sort=False), strict=True):
        x, y = line.get_data()
        assert line.get_drawstyle() == "steps-post"
        np.testing.assert_array_equal(x[:-1], steps["ratio"])
        np.testing.assert_array_equal(y[:-1], steps["share"])
        assert (x[-1], y[-1]) == (axis.get_xlim()[1], y[-2])
    assert drawn.table is not None
    table = drawn.table.set_index("")
    assert table.loc["ePIE"].tolist() == ["4", "0", "0", "2", "2", "never", "0"]
    assert table.loc["L-BFGS"].tolist() == ["2", "2", "2", "2", "0", "2.4", "1"]
    assert "Not known" in drawn.caption
    legend = [text.get_text() for text in drawn.figure.legends[0].get_texts()]
    assert legend == ["L-BFGS – 2 problems", "rPIE", "ePIE"]


def test_ranking_in_words():
    """Sorted by time; a line that reaches half of its targets has an arrow that says so, and no median."""
    drawn = drawn_of(RankingFigure(), some_runs())
    assert drawn.numbers["line"].unique().tolist() == ["L-BFGS", "rPIE", "ePIE"]
    assert drawn.table is not None
    table = drawn.table.set_index("")
    assert table["rank by time"].tolist() == ["1", "2", "3 (never)"]
    assert table["rank by quality"].tolist() == ["2", "1", "3 (none)"]
    assert table["solved"].tolist() == ["2 of 2, 1 not known", "4 of 4", "2 of 4"]
    assert table.loc["ePIE", "iterations to the target"].startswith("never (")
    assert table.loc["L-BFGS", "final phase RMSE / rad"] == "0.2; 2 of 4 problems"
    assert "problems" not in table.loc["rPIE", "iterations to the target"]
    words = [text.get_text() for text in drawn.figure.axes[0].texts]
    assert words == ["reached by 2 of 4"]
    labels = [label.get_text() for label in drawn.figure.axes[0].get_yticklabels()]
    assert labels == ["L-BFGS", "rPIE", "ePIE"]


def test_imported_and_throughput():
    """Results from elsewhere are no line of the profile; times of runs side by side are not comparable."""
    runs = [
        run("rpie", fading(0.5), lane="throughput"),
        run("epie", fading(0.2), lane="throughput"),
        run("theirs", fading(0.3), lane=IMPORTED),
    ]
    profile = drawn_of(ProfileFigure(), runs)
    assert set(profile.numbers["line"]) == {"rPIE", "ePIE"}
    label = " ".join(profile.figure.axes[0].get_xlabel().split())
    assert "not comparable" in label
    assert "without imported results" in label
    ranking = drawn_of(RankingFigure(), runs)
    assert "not comparable" in " ".join(ranking.figure.axes[0].get_title().split())
    assert [text.get_text().strip() for text in ranking.figure.axes[0].texts] == ["not known"]
    assert ranking.table is not None
    assert ranking.table.set_index("").loc["theirs", "solved"] == "not known"
    assert "ranked by their ends alone" in ranking.caption


def test_nothing_to_draw():
    """Where no run has come to anything, there is a sentence; ends alone can be ranked."""
    failed = [run("rpie", [], status="failed"), run("epie", [], status="failed")]
    risen = [run("rpie", [1.0, 2.0]), run("epie", [1.0, 3.0])]
    for runs in (failed, risen):
        with pytest.raises(NothingToDraw, match="better than it began with"):
            drawn_of(ProfileFigure(), runs)
    with pytest.raises(NothingToDraw):
        drawn_of(RankingFigure(), failed)
    assert drawn_of(RankingFigure(), risen).table["rank by time"].tolist() == ["1= (never)"] * 2
    with pytest.raises(StudyError, match="says nothing of how a run ends"):
        drawn_of(RankingFigure(quality="seconds"), [run("rpie", [9.0, 1.0], seconds=1.0)])


@pytest.mark.parametrize("width", [None, "page", "column"])
@pytest.mark.parametrize("lines", [1, 30])
@pytest.mark.parametrize("kind", [ProfileFigure, RankingFigure])
def test_names_have_room(kind, lines, width):
    """From one line to thirty: none is cut off, and none is written over another."""
    runs = [
        run("ptychi", fading(0.05 * (1 + line)), seed, algorithm=ALGORITHMS[line % 2], batch=float(line))
        for line in range(lines)
        for seed in range(3)
    ]
    figure = drawn_of(kind(width=width), runs).figure
    FigureCanvasAgg(figure).draw()
    inside = figure.bbox.padded(1)
    shown = figure.legends[0].get_texts() if figure.legends else figure.axes[0].get_yticklabels()
    boxes = [text.get_window_extent() for text in shown]
    assert len(boxes) == lines
    assert all(inside.contains(*box.min) and inside.contains(*box.max) for box in boxes)
    apart = [one.overlaps(other) for n, one in enumerate(boxes) for other in boxes[:n]]
    assert not any(apart)


@pytest.mark.parametrize("figure", [ProfileFigure, RankingFigure])
def test_a_target_that_no_run_sets(figure):
    """What noise leaves: who gets there in which time, and how many never do, in the words of the caption."""
    runs = [run("rpie", fading(0.5), seed, truth_deviance=1.0, phase_rmse_rad=0.1) for seed in range(3)]
    runs += [run("epie", fading(0.1), seed, truth_deviance=1.0, phase_rmse_rad=0.1) for seed in range(3)]
    table, dataset = made_up(runs, "poisson_deviance")
    drawn = draw(figure(target="noise"), table, dataset)
    assert "has come for good to 1.1 times what noise leaves (the truth's own deviance" in drawn.caption
    rows = drawn.table.set_index("").map(str)
    steps = int(np.ceil(np.log(1000) / 0.5))  # 100 exp(-n / 2) is below 0.1 from there on
    assert any(value.startswith(str(steps)) for value in rows.loc["rPIE"])
    assert "never" in rows.loc["ePIE"].str.cat()
    assert figure(target="noise").stem.endswith("-noise")
    with pytest.raises(StudyError, match="'residual' is none"):
        draw(figure(target="noise", metric="residual"), table, dataset)
    unknown = table.drop(columns="truth_deviance")
    unknown.attrs = table.attrs
    if figure is RankingFigure:  # the ends can be ranked all the same
        assert set(draw(figure(target="noise"), unknown, dataset).table["solved"]) == {"not known"}
    else:
        with pytest.raises(NothingToDraw, match="or nobody knows what that is"):
            draw(figure(target="noise"), unknown, dataset)


def test_ends_without_a_number():
    """Runs that completed and have no finite end are not said to have failed, in ranking or heat map."""
    runs = [run("rpie", fading(0.5), seed, frc_resolution_px=1.5) for seed in range(3)]
    runs += [run("epie", fading(0.5), seed, frc_resolution_px=np.inf) for seed in range(3)]
    drawn = drawn_of(RankingFigure(quality="frc_resolution_px"), runs)
    texts = [text.get_text() for axis in drawn.figure.axes for text in axis.texts]
    assert texts == ["0 of 3 have one"]


@pytest.mark.parametrize(("number", "text"), [(np.nan, "no value"), (np.inf, "infinite")])
def test_cells_without_a_number(number, text):
    """One run diverged, those that completed have no number: the cell says that, not how they ended."""
    runs = [run("rpie", fading(0.5), seed, frc_resolution_px=1.5) for seed in range(3)]
    runs += [run("epie", fading(0.5), seed, frc_resolution_px=number) for seed in range(2)]
    runs += [run("epie", fading(0.5), 2, status="diverged")]
    table, dataset = made_up(runs)
    drawn = draw(HeatmapFigure("noise", "solver", "frc_resolution_px"), table.assign(noise=0.1), dataset)
    assert drawn.numbers.set_index("row").loc["ePIE", "state"] == "none"
    assert [each.get_text() for each in drawn.figure.axes[0].texts] == ["1.5", text]
    assert "No value: the runs that completed have no number of it" in drawn.caption
    assert not any(word in drawn.caption for word in ("Never", "Missing", "Hatched"))
