"""A value copied from a table, a label, JSON or the dataset finds the runs that it was shown of."""

from __future__ import annotations

import json

import ptychosuite
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ptychosuite.api import sweeping
from ptychosuite.registry.factors import value_in_words
from ptychosuite.study.choice import Choice
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import study_of

from tests.study.small import study_file
from tests.study.test_reformatted import DATA

SPANS = st.tuples(
    st.floats(1e-4, 0.4, allow_subnormal=False), st.floats(0.5, 30, allow_subnormal=False), st.integers(2, 6)
)
WAYS = {
    "a table": value_in_words,
    "Python": repr,
    "JSON": json.dumps,
    "fifteen digits": "{:.15g}".format,
    "science": "{:.15e}".format,
    "quoted": "'{!r}'".format,
}


def plan_of(axes, **fields):
    return make_plan(study_of({**DATA, "axes": axes, "figures": [], **fields}))


@settings(max_examples=25, deadline=None)
@given(SPANS, st.sampled_from(sorted(WAYS)), st.integers(0, 5))
def test_number_of_an_axis(span, way, which):
    """The runs whose value is shown so, by each way to ask for runs, of any evenly spaced axis."""
    axes = {"problem.noise": {"linspace": list(span)}}
    plan = plan_of(axes)
    values = [run.problem["noise"] for run in plan.runs]
    shown = WAYS[way](values[which % len(values)])
    meant = [value for value in values if WAYS[way](value) == shown]
    chosen = Choice(where=f"noise == {shown}").of(plan)
    assert [run.problem["noise"] for run in chosen.runs] == meant
    wanted = yaml.safe_load(shown)
    if isinstance(wanted, str):
        wanted = wanted.strip("'")
    rest = plan_of({**axes, "seed": [0, 1]}, exclude=[{"problem.noise": wanted, "seed": 1}])
    assert [run.problem["noise"] for run in rest.runs if run.seed == 1] == [
        v for v in values if v not in meant
    ]
    figure = {"kind": "convergence", "where": {"noise": wanted}}
    assert len(plan_of(axes, figures=[figure]).figures) == 1


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shown")
    extra = (
        "axes:\n  problem.noise: {linspace: [0.1, 0.3, 4]}\n"
        "  solver: [rpie, {name: magpie, levels: 2}, [{name: rpie, iterations: 1}, {name: epie}]]\n"
    )
    file = study_file(folder, extra)
    sweeping.run(file, results=folder / "results", cluster="none", progress=False)
    return file, ptychosuite.open(file, results=folder / "results").dataset


def test_coordinate_of_the_dataset(opened):
    """What .sel takes, --where takes: both find the same runs."""
    file, dataset = opened
    indexed = dataset.set_index(run=["noise", "solver"])
    for name in ("noise", "solver", "levels"):
        for value in dict.fromkeys(dataset[name].values.tolist()):
            shown = repr(value) if value == value else "none"
            chosen = sweeping.prepare(file, cluster="none", where=f"{name} == {shown or 'none'}").chosen
            expected = dataset[name].isnull() if value != value else dataset[name] == value
            assert {*chosen.run_ids} == {*dataset["run_id"].values[expected.values].tolist()}, (name, value)
            if name != "levels":
                selected = indexed.sel({name: value})
                assert {*selected["run_id"].values.tolist()} == {*chosen.run_ids}


@pytest.mark.parametrize("label", ["MAGPIE", "magpie", "rPIE 1 + ePIE", "rpie, 1; epie"])
def test_solver_by_what_figures_call_it(opened, label):
    file, _ = opened
    assert len(sweeping.prepare(file, cluster="none", where=f"solver == '{label}'").chosen.runs) == 4
