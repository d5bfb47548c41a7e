"""All that docs/compare.md shows is done, in its order: files are written, commands carried out."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import ptychosuite

from tests.conftest import REPOSITORY
from tests.pages import FILE, do_page


def test_page(tmp_path, monkeypatch, command, quick_figures):
    monkeypatch.syspath_prepend(str(tmp_path))
    done = do_page("compare.md", command, also="elsewhere.py")
    assert done == [
        "run",
        "run",
        "convert",
        "show",
        "run",
        "import-result",
        "show",
        "report",
        "import-result",
    ]
    sys.modules.pop("scipy_solver", None)
    solvers = set(ptychosuite.open("entry.yaml").table["solver"])
    assert solvers == {"rpie", "lsqml", "theirs (imported)", "pair (imported)"}


def test_package_of_the_page_converges(tmp_path, monkeypatch):
    """SciPy's conjugate gradients end below rPIE's misfit after as many iterations: the adapter is right."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for file, content in re.findall(FILE, (REPOSITORY / "docs" / "compare.md").read_text(), re.DOTALL):
        Path(file).write_text(content)
    solvers = ["rpie", "scipy_solver:ConjugateGradients"]
    settings = {"solver": solvers, "seed": 0, "problem.noise": 0.05}
    outcome = ptychosuite.run("entry.yaml", settings, cluster="none", progress=False)
    sys.modules.pop("scipy_solver", None)
    table = ptychosuite.open("results/entry").table.set_index("solver")
    assert outcome.dataset.sizes["run"] == 2
    curves = outcome.dataset["residual_curve"].values
    assert curves[0, 0] == curves[1, 0]
    assert table.loc[solvers[1], "residual"] < 1.2 * table.loc["rpie", "residual"]
