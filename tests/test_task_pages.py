"""Pages that tell how to do one thing: all that they show is done, in its order."""

from __future__ import annotations

import numpy as np
import ptychosuite
import pytest

from tests.pages import do_page

PAGES = {
    "nightly.md": ["run", "baseline", "check", "trend"],
    "publish.md": ["run", "reproduce", "export", "show", "report", "reproduce", "export"],
}


@pytest.mark.parametrize("page", PAGES)
def test_page(page, command, quick_figures):
    assert do_page(page, command) == PAGES[page]


def test_what_the_page_on_the_likelihood_says_is_so(command, quick_figures):
    """Who is best by which misfit, who fits noise, and when what is held out says so."""
    assert do_page("likelihood.md", command) == ["run", "report"]
    runs = ptychosuite.open("likelihood.yaml").dataset
    by_line = {
        (str(run.solver.item()), float(run.alpha)): run
        for run in (runs.isel(run=number) for number in range(runs.sizes["run"]))
    }
    bold, mild, adam = by_line["rpie", 0.1], by_line["rpie", 1.0], next(
        run for (solver, _), run in by_line.items() if solver == "adam"
    )  # fmt: skip
    assert mild.residual < adam.residual < bold.residual
    assert adam.poisson_deviance < mild.poisson_deviance < bold.poisson_deviance
    assert adam.phase_rmse_rad < mild.phase_rmse_rad < bold.phase_rmse_rad
    fits_noise = [run.poisson_deviance < run.truth_deviance for run in (bold, mild, adam)]
    assert fits_noise == [False, True, True]
    for run in (mild, adam):
        assert run.held_out_deviance > run.truth_deviance
    held_out, phase = bold.held_out_deviance_curve, bold.phase_rmse_rad_curve
    assert 1.1 < float(bold.held_out_deviance / np.nanmin(held_out)) < 1.3
    assert float(bold.phase_rmse_rad / np.nanmin(phase)) > 2
