"""What runs were computed with."""

from __future__ import annotations

import json
import platform
from dataclasses import replace
from importlib.metadata import version

from ptychosuite.analysis.rounding import ARITHMETIC
from ptychosuite.core.runs import RunRecord
from ptychosuite.execute.provenance import PACKAGES
from ptychosuite.registry.lookup import classes
from ptychosuite.reporting.crate import write_environments
from ptychosuite.reporting.origin import LIBRARIES, _environment

from tests.store.records import record

HERE = {"python": platform.python_version(), "packages": {"numpy": version("numpy")}, "host": "a"}
OLD = {"python": "3.11.0", "packages": {"numpy": "1.0"}, "git_commit": "abc"}


def made_in(seed: int, provenance: dict) -> RunRecord:
    return replace(record(seed), provenance=provenance)


def test_one_environment(tmp_path):
    """Runs of one environment share it, wherever they ran; all that is installed is listed beside it."""
    runs = [made_in(0, HERE), made_in(1, {**HERE, "host": "b", "process": 7})]
    write_environments(runs, tmp_path / "e")
    (found,) = json.loads((tmp_path / "e/environments.json").read_text())
    assert found["runs"] == [run.run_id for run in runs]
    assert "host" not in found
    lock = (tmp_path / "e/requirements.txt").read_text().splitlines()
    assert lock == [f"# python {HERE['python']}", f"numpy=={version('numpy')}"]
    assert f"numpy=={version('numpy')}" in (tmp_path / "e/installed.txt").read_text().splitlines()


def test_several_environments(tmp_path):
    """Each set of packages has a file; what is installed here says nothing of other places."""
    write_environments([made_in(0, HERE), made_in(1, OLD)], tmp_path / "e")
    assert sorted(file.name for file in (tmp_path / "e").iterdir()) == [
        "environments.json", "requirements-2.txt", "requirements.txt",
    ]  # fmt: skip
    assert "# git commit abc\nnumpy==1.0" in (tmp_path / "e/requirements-2.txt").read_text()


def test_packages_go_by_their_distributions():
    """What a page names, and what rounding depends on, is what records have, and all packages that solve."""
    solving = {package for solver in classes("solvers").values() for package in solver.packages}
    assert solving <= {*LIBRARIES} <= {*PACKAGES}
    assert solving <= {*ARITHMETIC} <= {*PACKAGES}


def test_a_run_that_left_nothing_names_nothing():
    """One whose worker was ended by the time limit does not know in what it ran."""
    made = [made_in(0, {}), made_in(1, {"ptychosuite": "0.1.0", "python": "3.12"})]
    assert [_environment(run) for run in made] == ["", "ptychosuite 0.1.0, Python 3.12"]
