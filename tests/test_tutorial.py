"""All that docs/tutorial.md shows is done, in its order; what it promises is so."""

from __future__ import annotations

from pathlib import Path

import ptychosuite

from tests.conftest import REPOSITORY
from tests.pages import do_page

COMMANDS = ["doctor", "plan", "run", "report", "show", "run", "report"]


def test_page(command, quick_figures):
    counts = []

    def counted(*words: object) -> tuple[int, str, str]:
        done = command(*words)
        if words[0] == "run":
            counts.append(ptychosuite.plan("overlap.yaml").standing.done)
        return done

    assert do_page("tutorial.md", counted, also="read.py") == COMMANDS
    assert counts == [4, 27]
    assert Path("reports/overlap/index.html").is_file()


def test_more_overlap_has_a_larger_residual_and_a_smaller_error(command):
    """As the page says of the first four runs."""
    first = (REPOSITORY / "docs" / "tutorial.md").read_text().split("```yaml\n# overlap.yaml\n")[1]
    Path("overlap.yaml").write_text(first.split("```")[0])
    assert command("plan", "overlap.yaml")[1].count("to do") == 5  # a line each, and their number
    runs = ptychosuite.run("overlap.yaml", cluster="none", progress=False).dataset
    table = runs[["solver", "overlap", "error", "residual"]].to_dataframe().set_index(["solver", "overlap"])
    for solver in ("rpie", "magpie"):
        assert table.error[solver, 0.75] < table.error[solver, 0.5]
        assert table.residual[solver, 0.75] > table.residual[solver, 0.5]
