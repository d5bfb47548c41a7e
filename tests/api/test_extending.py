"""``run --extend``: what goes on from stored runs, and what is said of the rest."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ptychosuite.api import planning, sweeping
from ptychosuite.store.layout import Store
from ptychosuite.store.read import inventory, read_run

from tests.study.small import study_file

EXTRA = "axes: {solver: [rpie, {name: magpie, levels: 2}, lbfgs]}\n"


@pytest.fixture
def study(tmp_path):
    """Three solvers, of which two go on from where they stopped, with three iterations done of them all."""
    file = study_file(tmp_path, EXTRA)
    sweeping.run(file, results=tmp_path / "results", cluster="none", progress=False)
    return file


def records(folder, ids):
    done = inventory(Store.open(folder)).done
    return {run_id: read_run(done[run_id]) for run_id in ids}


def test_extended_is_the_same_as_from_the_start(study, tmp_path):
    more = ["stop.iterations=6"]
    before = planning.plan(study, results=tmp_path / "results")
    planned = planning.plan(study, more, results=tmp_path / "results")
    assert "2 of them go on from stored runs that stopped sooner with: run --extend" in planned.text()
    assert planned.reasons == (
        "3 to do: a stored run stopped sooner: stop.iterations 3 -> 6\n"
        "1 run from the start: 'lbfgs' remembers its latest steps and changes of the gradient, which is "
        "not stored"
    )
    data = planned.to_dict(why=True)["runs"]
    assert [run["extend"].get("from") for run in data] == [*list(before.runs)[:2], None]
    ready = sweeping.prepare(study, more, results=tmp_path / "results", cluster="none", extend=True)
    assert "3 to do, 2 of them from where stored runs stopped" in str(ready)
    outcome = ready.carry_out(False)
    assert outcome.counts == {"completed": 3}
    sweeping.run(study, more, results=tmp_path / "whole", cluster="none", progress=False)
    extended = records(tmp_path / "results" / "tiny", planned.runs)
    for run_id, whole in records(tmp_path / "whole" / "tiny", planned.runs).items():
        assert extended[run_id].object.tobytes() == whole.object.tobytes()
        assert extended[run_id].curves["residual"].tobytes() == whole.curves["residual"].tobytes()
    told = [extended[run_id].provenance.get("extended", {}) for run_id in planned.runs]
    assert [each.get("run_id") for each in told] == [*list(before.runs)[:2], None]
    assert told[0]["iterations"] == 3
    assert np.isnan(extended[next(iter(planned.runs))].curves["residual"][3])  # as from the start


def test_nothing_goes_on_unasked(study, tmp_path):
    sweeping.run(study, ["stop.iterations=6"], results=tmp_path / "results", cluster="none", progress=False)
    planned = planning.plan(study, ["stop.iterations=6"], results=tmp_path / "results")
    assert not any(
        "extended" in run.provenance for run in records(tmp_path / "results" / "tiny", planned.runs).values()
    )


def test_run_of_an_axis_of_iterations_goes_on_from_its_neighbour(study, tmp_path):
    """The stored run may be one that the study still has."""
    planned = planning.plan(study, ["stop.iterations=[3, 5]"], results=tmp_path / "results")
    assert len(planned.extensions.earlier) == 2
    assert set(planned.extensions.earlier.values()) < set(planned.runs)


def test_other_code_is_not_gone_on_from(study, tmp_path, monkeypatch):
    monkeypatch.setattr("ptychosuite.api.extending.fingerprint_of", lambda spec: "other")
    planned = planning.plan(study, ["stop.iterations=6"], results=tmp_path / "results")
    assert planned.extensions.refusals == "3 runs from the start: the stored run is other code's"


def test_command(study, tmp_path, command):
    """What a worker of a cluster is told is what this process does."""
    options = ["--results", tmp_path / "results", "--set", "stop.iterations=6"]
    code, out, err = command("run", study, *options, "--extend", "--cluster", "none")
    assert code == 0, err
    assert "2 of them from where stored runs stopped" in out
    assert "'lbfgs' remembers" in out
    code, out, _ = command(
        "show", study, next(iter(planning.plan(study, ["stop.iterations=6"]).runs)), *options[:2]
    )
    assert code == 0
    assert "extended" in out
    assert "done" in command("plan", study, *options, "--json")[1]
    assert json.loads(command("plan", study, *options, "--json", "--why")[1])["remaining"] == 0
