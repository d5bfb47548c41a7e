"""The package itself beside a copy in which a slowdown is planted."""

from __future__ import annotations

import pytest
from ptychosuite.analysis.verdict import Judgement
from ptychosuite.timing.compare import compare_times

from tests.study.small import plan_text
from tests.timing import planted


@pytest.mark.slow
def test_twenty_per_cent_are_caught_and_nothing_else(tmp_path, cache):
    """rPIE takes 1.2 times as long; MAGPIE and L-BFGS do what they did."""
    repository = planted.repository(tmp_path / "repository")
    planted.make_slower(repository, "pie", "RPIE", 1.2)
    solvers = "axes: {solver: [rpie, {name: magpie, levels: 2}, lbfgs]}\n"
    plan = plan_text(tmp_path, solvers, "problem.object.size=128", "stop.iterations=20")
    found = compare_times(plan, "start", lambda *_: None, repository).findings
    judgements = {finding.subject.split(" ")[0]: finding.judgement for finding in found}
    assert judgements.pop("rpie") is Judgement.REGRESSION
    assert set(judgements.values()) <= {Judgement.GOOD, Judgement.UNDECIDED}
