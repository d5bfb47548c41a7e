"""All that docs/tuning.md shows is done, in its order."""

from __future__ import annotations

import ptychosuite

from tests.pages import do_page


def test_page(command, quick_figures):
    assert do_page("tuning.md", command) == ["plan", "run", "report"]
    rpie, lsqml = ptychosuite.plan("tuned.yaml").plan.tuned
    assert len(rpie.tries) == len(lsqml.tries) == 8
    solvers = ptychosuite.open("tuned.yaml").table["solver"]
    assert set(solvers) == {"rpie", "lsqml", "lbfgs"}
