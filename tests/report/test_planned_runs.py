"""A report starts from the plan: nothing that failed, diverged or is missing vanishes from it."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from ptychosuite.analysis.bands import AXES
from ptychosuite.analysis.conditions import conditions
from ptychosuite.analysis.outcomes import Outcome
from ptychosuite.analysis.selection import selection_of, selection_of_plan
from ptychosuite.execute import one_run
from ptychosuite.reporting.figures.convergence import ConvergenceFigure
from ptychosuite.reporting.figures.heatmap import HeatmapFigure
from ptychosuite.reporting.figures.material import Material, RunFiles
from ptychosuite.reporting.interactive import interactive
from ptychosuite.reporting.origin import reproduce, troubles
from ptychosuite.reporting.overview import cards, groups, matrix, summary_table
from ptychosuite.reporting.page import write_report
from ptychosuite.reporting.series import COLOURS, DASHES, MARKERS, series_of, styled
from ptychosuite.store.read import inventory, latest_session

from tests.report.test_report import Page
from tests.study.small import carry_out, plan_text

STUDY = """\
axes:
  problem.noise: [0.0, 0.1]
  solver: [rpie, epie, {name: magpie, levels: 2}]
  seed: {range: 4}
figures:
  - {kind: convergence, metric: error}
  - {kind: heatmap, x: noise, y: solver, value: error}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """24 planned runs: ePIE fails at one noise level, MAGPIE at one seed and is missing at another."""
    folder = tmp_path_factory.mktemp("planned")
    plan = plan_text(folder, STUDY)
    carried = one_run._carried

    def faulty(plain, spec, *others):
        if (spec.solver["name"], spec.problem["noise"]) == ("epie", 0.1) or (
            spec.solver["name"] == "magpie" and spec.seed == 2
        ):
            raise ArithmeticError("broken on purpose")
        return carried(plain, spec, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one_run, "_carried", faulty)
        store, _ = carry_out(plan, folder / "results")
    files = inventory(store).files
    for spec, run_id in zip(plan.runs, plan.run_ids, strict=True):
        if spec.solver["name"] == "magpie" and spec.seed == 3:
            files[run_id].delete()
    return plan, folder / "results"


@pytest.fixture(scope="module")
def selection(study):
    return selection_of_plan(*study)


def material(selection, **where):
    files = RunFiles(selection.store)
    return Material(selection.table, selection.dataset, files, selection.table).narrowed(where)


def test_every_planned_run_has_a_row(selection, study):
    """In the plan's order, with its factors; a missing one has no numbers."""
    table = selection.table
    assert len(table) == 24
    assert table["seed"].tolist() == [spec.seed for spec in study[0].runs]
    assert table["solver"].tolist() == [spec.solver["name"] for spec in study[0].runs]
    assert table["noise"].tolist() == [spec.problem["noise"] for spec in study[0].runs]
    missing = table[table["status"] == "missing"]
    assert missing[["solver", "levels", "seed"]].drop_duplicates().to_numpy().tolist() == [
        ["magpie", 2.0, 3.0]
    ]
    assert missing["error"].isna().all()
    assert selection.outcome == Outcome(completed=16, failed=6, missing=2)
    assert selection.outcome.text == "16 of 24 completed, 6 failed, 2 missing"


def test_from_the_results_alone_it_is_the_same(selection):
    """The session knows what was planned, the settings of missing runs as well."""
    again = selection_of(selection.store, latest_session(selection.store))
    pd.testing.assert_frame_equal(again.table, selection.table)
    assert again.table.attrs == selection.table.attrs


@pytest.mark.usefixtures("quick_figures")
def test_sessions_of_earlier_versions(selection, tmp_path):
    """They have no settings of the runs: what is missing is counted, and has no name."""
    session = {name: value for name, value in latest_session(selection.store).items() if name != "settings"}
    again = selection_of(selection.store, session)
    assert again.outcome == selection.outcome
    assert (len(again.table), again.unnamed) == (22, 2)
    assert "16 of 24" in Page(write_report(again, tmp_path).read_text()).text


@pytest.mark.usefixtures("quick_figures")
def test_page_names_what_did_not_complete(selection, tmp_path):
    """By settings, with message and command; every line is on the page, and no average is over survivors."""
    page = write_report(selection, tmp_path)
    text = " ".join(Page(page.read_text()).text.split())
    for part in (
        "16 of 24",
        "ePIE · noise 0.1 · seed 0",
        "ArithmeticError: broken on purpose",
        "MAGPIE · noise 0 · seed 3",
        "ptychosuite run STUDY",
        "16 of 24 completed, 6 failed, 2 missing; the others have no part in the medians",
    ):
        assert part in text, part
    rows = pd.read_csv(page.parent / "numbers/summary.csv").set_index(["solver", "noise"])
    assert rows.loc[("magpie", 0.0), ["planned", "completed", "failed", "missing"]].tolist() == [4, 2, 1, 1]
    assert rows.loc[("epie", 0.1), ["planned", "completed", "failed"]].tolist() == [4, 0, 4]
    assert rows.loc[("epie", 0.1), ["error"]].isna().all()
    curves = pd.read_csv(page.parent / "numbers/convergence-error-iteration.csv")
    assert set(curves["line"]) == {"rPIE", "ePIE", "MAGPIE"}
    counts = curves.drop_duplicates(["panel", "line"]).set_index(["panel", "line"])[["runs", "planned"]]
    assert counts.loc[("noise 0.1", "ePIE")].tolist() == [0, 4]
    assert counts.loc[("noise 0.1", "MAGPIE")].tolist() == [2, 4]


def test_legend_and_cells_say_so(selection):
    """A line without a completed run has its entry; cells that failed and are missing are told apart."""
    drawn = ConvergenceFigure(metric="error").draw(material(selection))
    names = [text.get_text() for text in drawn.figure.legends[0].get_texts()]
    assert names == ["rPIE", "ePIE – 4 of 8 completed", "MAGPIE – 4 of 8 completed"]
    drawn = HeatmapFigure("noise", "solver").draw(material(selection))
    cells = drawn.numbers.set_index(["row", "column"])
    assert cells.loc[("ePIE", "0.1"), "state"] == "failed"
    assert cells.loc[("MAGPIE", "0"), ["state", "completed", "planned"]].tolist() == ["value", 2, 4]
    assert sum(cells["best"]) == 2, "one a noise level"
    texts = [text.get_text() for text in drawn.figure.axes[0].texts]
    assert "failed" in texts
    assert sum("2 of 4" in text for text in texts) == 2
    drawn = HeatmapFigure("seed", "solver", pool="noise").draw(material(selection))
    states = drawn.numbers.set_index(["row", "column"])["state"]
    assert states["MAGPIE", "2"] == "failed"
    assert states["MAGPIE", "3"] == "missing"


def test_survivors_do_not_lead(selection):
    """A line of which fewer than half of the runs completed is no candidate; the card warns, and says why."""
    found = groups(selection)
    assert [group.outcome.can_lead for group in found if group.line == "ePIE"] == [True, False]
    shown = {card.title: card for card in cards(selection, found)}
    assert shown["runs completed"].value == "16 of 24"
    assert shown["runs completed"].is_warning
    assert any("not compared, too few completed: ePIE" in line for line in shown["noise 0.1"].lines)
    table = summary_table(selection, found)
    failed = next(n for n, row in enumerate(table.rows) if row[:2] == ["noise 0.1", "ePIE"])
    assert not [place for place in table.best if place[0] == failed]
    assert table.rows[failed][2] == "0 of 4, 4 failed"
    told = matrix(found)
    assert told.rows == conditions(selection.table) == ["noise 0", "noise 0.1"]
    assert told.cells[1][told.columns.index("ePIE")] == Outcome(failed=4)


def test_no_line_leads_anywhere(selection):
    """Of many conditions without a candidate the one card says so."""
    many = [
        replace(group, condition=f"noise {n}", outcome=Outcome(completed=1, failed=3))
        for n in range(12)
        for group in groups(selection)[:2]
    ]
    card = cards(selection, many)[1]
    assert (card.title, card.value) == ("best error in magnitude, of 12 conditions", "no line to compare")
    assert card.is_warning


def test_times_of_the_lanes_are_not_mixed_on_the_page(selection):
    """A line that was computed beside others has no curve against seconds where the others were alone."""
    lanes = selection.table["lane"].mask(selection.table["solver"] == "epie", "throughput")
    table = selection.table.assign(lane=lanes)
    table.attrs = selection.table.attrs
    mixed = replace(selection, table=table)
    found = interactive(mixed, groups(mixed), RunFiles(selection.store), "results/tiny")
    epie = [line.label for line in found.series].index("ePIE")
    axes = {axis: {curve.series for curve in found.curves if curve.axis == axis} for axis in AXES}
    assert epie in axes["iteration"]
    assert axes["seconds"] == axes["iteration"] - {epie}


def test_what_a_lane_leaves_out_is_counted(selection):
    """A figure against seconds, and a heat map of them, say how many runs they leave out."""
    lanes = selection.table["lane"].mask(selection.table["solver"] == "epie", "throughput")
    mixed = selection.table.assign(lane=lanes)
    mixed.attrs = selection.table.attrs
    of_mixed = replace(material(selection), table=mixed, study=mixed)
    drawn = ConvergenceFigure(metric="error", x="seconds").draw(of_mixed)
    assert "(without 8 runs of the throughput lane)" in drawn.caption
    drawn = HeatmapFigure("noise", "solver", "seconds").draw(of_mixed)
    assert "(without 8 runs of the throughput lane)" in drawn.caption
    assert "12 of 16 completed" in drawn.caption


def test_a_value_that_is_none_has_a_name(selection):
    """In the rows of a heat map as elsewhere."""
    table = selection.table.assign(noise=selection.table["noise"].mask(selection.table["noise"] == 0))
    table.attrs = selection.table.attrs
    drawn = HeatmapFigure("solver", "noise").draw(replace(material(selection), table=table, study=table))
    assert set(drawn.numbers["row"]) == {"0.1", "no noise"}


def test_troubles_have_names_and_commands(selection):
    """Eight runs, each by its settings."""
    found = troubles(selection, RunFiles(selection.store), "results/tiny")
    assert len(found) == 8
    assert len({each.label for each in found}) == 8
    assert {each.command.split()[1] for each in found if each.status == "missing"} == {"run"}
    failed = [each for each in found if each.status == "failed"]
    assert all(each.message.startswith("ArithmeticError: broken on purpose\n\nTraceback") for each in failed)
    assert all(each.command == f"ptychosuite show results/tiny {each.run_id}" for each in failed)


def test_commands_can_be_copied(selection):
    """Of a bundle, and of a folder whose name has a blank."""
    files = RunFiles(selection.store)
    for source, word in (("the bundle tiny.zip", "tiny.zip"), ("my results/tiny", "'my results/tiny'")):
        failed = [each for each in troubles(selection, files, source) if each.status == "failed"]
        assert {each.command for each in failed} == {f"ptychosuite show {word} {e.run_id}" for e in failed}
        (last,) = (text for what, text in reproduce(selection, [], source) if what == "bundle")
        assert last.split(" ", 2)[2].startswith(word)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["/opt/bin/ptychosuite", "run", "my study.yaml"], "ptychosuite run 'my study.yaml'"),
        (["/opt/site/ptychosuite/cli.py", "run", "a.yaml"], "ptychosuite run a.yaml"),
        (["/home/me/sweeps.py", "--quick"], "sweeps.py --quick"),
    ],
)
def test_command_is_the_one_that_was_called(selection, monkeypatch, words, shown):
    """Of our program, by its name or through Python, and of a program of somebody else's."""
    monkeypatch.setattr("ptychosuite.reporting.origin.sessions", lambda store: [{"command": words}])
    assert ("command", shown) in reproduce(selection, [], "results/tiny")


@pytest.mark.usefixtures("quick_figures")
def test_what_is_not_listed_is_counted(selection, tmp_path, monkeypatch):
    """The number is that of all runs, and the page says how many it leaves out."""
    monkeypatch.setattr("ptychosuite.reporting.origin.MOST_TROUBLES", 2)
    monkeypatch.setattr("ptychosuite.reporting.interactive.MOST_RUNS", 20)
    monkeypatch.setattr("ptychosuite.reporting.page.MOST_RUNS", 20)
    text = " ".join(Page(write_report(selection, tmp_path).read_text()).text.split())
    assert "failed 6" in text
    assert "4 more are not listed here." in text
    assert "20 of 24; all are in numbers/runs.csv" in text


def test_problems_are_not_pooled_unless_asked(selection):
    """Each noise level has its panel; asked to, one median is over both and the caption says so."""
    apart = ConvergenceFigure(metric="error").draw(material(selection))
    assert set(apart.numbers["panel"]) == {"noise 0", "noise 0.1"}
    assert "median over 4 seeds" in apart.caption
    pooled = ConvergenceFigure(metric="error", pool="noise").draw(material(selection))
    assert set(pooled.numbers["panel"]) == {""}
    assert "median over 4 seeds x 2 noises" in pooled.caption
    assert pooled.numbers.loc[pooled.numbers["line"] == "rPIE", "runs"].unique().tolist() == [8]


def test_a_line_looks_the_same_wherever_it_is(selection):
    """In a figure that 'where' narrows, and in another study."""
    whole = material(selection).series("solver")
    assert material(selection, noise=0.1, solver="magpie").series("solver") == whole
    alone = selection.table[selection.table["solver"] == "magpie"]
    alone.attrs = selection.table.attrs
    assert series_of(alone, "solver")["MAGPIE"] == whole["MAGPIE"]


def test_lines_are_told_apart():
    """Nine lines, or forty: no two have colour and dash in common, or dash and marker, as in grey."""
    for number in (9, len(COLOURS), 40):
        styles = list(styled([str(n) for n in range(number)]).values())
        assert len({(style.colour, style.dash) for style in styles}) == number
        assert len({(style.dash, style.marker) for style in styles}) == number
    nine = list(styled([str(n) for n in range(9)]).values())
    assert len({style.colour for style in nine}) == 9
    assert len(DASHES) == 7
    assert len(MARKERS) == 9


def test_own_places_are_kept():
    """A label that has a place gets it, and nobody else does."""
    found = styled(["a", "b", "c"], {"c": 0})
    assert found["c"].colour == COLOURS[0]
    assert [found[label].colour for label in "ab"] == list(COLOURS[1:3])


@pytest.mark.parametrize(
    "name", ["problem.noise", "noise", "problem.probe", "problem.probe.fwhm_px", "probe"]
)
def test_what_all_runs_share_may_be_named_as_the_plan_lets_it(tmp_path, name):
    """A setting that does not vary, by its path, its short name, or a part's by its kind."""
    plan = plan_text(
        tmp_path,
        f"axes: {{solver: [rpie, epie]}}\nfigures:\n  - {{kind: convergence, pool: {name}, key: curves}}\n",
    )
    carry_out(plan, tmp_path / "results")
    selection = selection_of_plan(plan, str(tmp_path / "results"))
    page = write_report(selection, tmp_path / "report")
    assert (page.parent / "figures/curves.png").exists()


@pytest.mark.parametrize(("line", "title"), [("noise", "noise"), ("solver", "")])
def test_a_legend_of_values_has_the_name_of_their_setting(study, line, title):
    plan, results = study
    selection = selection_of_plan(plan, str(results))
    material = Material(selection.table, selection.dataset, RunFiles(selection))
    (legend,) = ConvergenceFigure(line=line).draw(material).figure.legends
    assert legend.get_title().get_text() == title
