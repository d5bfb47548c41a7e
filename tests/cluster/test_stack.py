"""Runs side by side in a sweep: the same results as alone, to rounding."""

from __future__ import annotations

import numpy as np
import pytest
from ptychosuite.cluster.backlog import Backlog
from ptychosuite.core.runs import Lane
from ptychosuite.store.read import inventory, read_run

from tests.study.small import carry_out, plan_text

AXES = """
axes:
  problem.noise: [0.1, 0.2]
  seed: {range: 2}
  solver:
    - {name: rpie, alpha: 0.1}
    - {name: rpie, alpha: 0.3}
    - {name: magpie, levels: 2}
"""


def records(store):
    return {id_: read_run(file) for id_, file in {**inventory(store).done, **inventory(store).failed}.items()}


@pytest.mark.parametrize("cluster", ["none", "local"])
def test_stacked_runs_are_the_runs_alone(tmp_path, cluster):
    """Noise levels, seeds and step sizes go together; each run is stored as if it had been alone."""
    plan = plan_text(tmp_path, AXES)
    alone, _ = carry_out(plan, tmp_path / "alone")
    stacked, tally = carry_out(plan, tmp_path / "stacked", cluster=cluster, lane=Lane.THROUGHPUT, stack=4)
    assert dict(tally.counts) == {"completed": 12}
    found, expected = records(stacked), records(alone)
    assert found.keys() == expected.keys()
    for run_id, record in found.items():
        np.testing.assert_allclose(record.object, expected[run_id].object, rtol=0, atol=1e-4)
        np.testing.assert_allclose(record.curves["residual"], expected[run_id].curves["residual"], rtol=1e-4)
        assert record.provenance["lane"] == "throughput"
    assert max(record.provenance.get("stack", 1) for record in found.values()) == 4


def test_a_run_that_fails_is_told_from_its_neighbours(tmp_path, monkeypatch):
    """What goes wrong side by side is done again alone."""
    monkeypatch.setattr("ptychosuite.execute.one_run.reconstruct_stack", lambda *_: 1 / 0)
    plan = plan_text(tmp_path, AXES)
    store, tally = carry_out(plan, tmp_path, lane=Lane.THROUGHPUT, stack=4)
    assert dict(tally.counts) == {"completed": 12}
    assert not any("stack" in record.provenance for record in records(store).values())


def test_solvers_that_cannot_be_stacked(tmp_path):
    """They go one by one, whatever is asked for."""
    plan = plan_text(tmp_path, "axes: {seed: {range: 3}}", "solver={name: lbfgs}")
    store, tally = carry_out(plan, tmp_path, lane=Lane.THROUGHPUT, stack=3)
    assert dict(tally.counts) == {"completed": 3}
    assert not any("stack" in record.provenance for record in records(store).values())


def test_what_goes_together(tmp_path):
    """Side by side: one group for each structure of solver; alone: one for each problem."""
    runs = plan_text(tmp_path, AXES).runs
    backlog = Backlog(runs, stack_of=lambda backend: 4)
    assert [len(backlog.take("w", 100)) for _ in range(3)] == [8, 4, 0]
    backlog = Backlog(runs)
    assert [len(backlog.take("w", 100)) for _ in range(5)] == [3, 3, 3, 3, 0]
