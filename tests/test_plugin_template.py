"""The template of a plug-in package, in an environment of its own, and what docs/plug-ins.md shows of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

TEMPLATE = REPOSITORY / "docs" / "plugin-template"
PAGE = REPOSITORY / "docs" / "plug-ins.md"
NOUNS = {
    "solvers": "relaxed-descent", "operators": "passive", "metrics": "likeness", "figures": "dots",
    "formats": "text", "objects": "checkerboard",
}  # fmt: skip
BLOCK = re.compile(r"```(?:python|toml|yaml)\n# (\S+\.\w+)\n(.*?)```", re.DOTALL)


class Environment:
    """A fresh environment that sees the packages of the running one, and ptychosuite from this checkout."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder / "env", symlinks=True)
        self.folder = folder
        self.python = folder / "env/bin/python"
        variables = {"base": str(folder / "env"), "platbase": str(folder / "env")}
        self.site = Path(sysconfig.get_path("purelib", vars=variables))
        places = [REPOSITORY / "suite", sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
        (self.site / "packages.pth").write_text("".join(f"{place}\n" for place in places))

    def call(self, *arguments: object, code: int = 0) -> str:
        """What its Python prints when called with ``arguments``."""
        return called(self.python, *arguments, folder=self.folder, code=code)

    def suite(self, *arguments: object, code: int = 0) -> str:
        """What the command of ptychosuite prints."""
        return self.call("-m", "ptychosuite.cli", *arguments, code=code)

    def install(self, source: Path) -> None:
        """Install a package from its folder, with the running pip and without network."""
        pip = ("-m", "pip", "--python", self.python, "--disable-pip-version-check", "install", "--quiet")
        without_network = ("--no-deps", "--no-build-isolation", "--no-index")
        called(sys.executable, *pip, *without_network, source, folder=self.folder)


def called(*arguments: object, folder: Path, code: int = 0) -> str:
    """What a program prints that is started in ``folder``, without what PYTHONPATH and the like add here."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    variables |= {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}
    done = subprocess.run(
        [*map(str, arguments)], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def installed_template(folder: Path) -> Environment:
    """The template in an environment of its own, with its study and its tests beside it."""
    environment = Environment(folder)
    source = shutil.copytree(TEMPLATE, folder / "source")  # a build writes beside the sources
    environment.install(source)
    for name in ("example.yaml", "patterns.txt", "tests"):
        (source / name).rename(folder / name)
    shutil.rmtree(source)
    return environment


@pytest.mark.slow
def test_one_package_of_nouns(tmp_path):
    """Found, checked, run, reported, compared with a baseline; a changed step makes its own runs to do."""
    installed = installed_template(tmp_path)
    doctor = json.loads(installed.suite("doctor", "--json"))
    assert doctor["faults"] == []
    for group, name in NOUNS.items():
        assert doctor["nouns"][group][name] == "ptychosuite-example 0.1.0"
    installed.call("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    ran = json.loads(installed.suite("run", "example.yaml", "--cluster", "none", "--json"))
    assert ran["counts"] == {"done_before": 0, "failed": 0, "completed": 5}
    installed.suite("report", "example.yaml")
    reports = installed.folder / "reports/example"
    page = (reports / "index.html").read_text()
    assert "The likeness of 4 runs." in page
    assert "likeness to the truth" in page
    assert (reports / "figures/dots.pdf").is_file()
    assert "likeness" in (reports / "numbers/summary.csv").read_text().splitlines()[0]
    installed.suite("baseline", "save", "good", "example.yaml")

    solver = installed.site / "ptychosuite_example/solver.py"
    solver.write_text(solver.read_text().replace("z + self.relaxation * ascent", "z + 0.01 * ascent"))
    plan = installed.suite("plan", "example.yaml", "--why")
    assert "3 done, 2 to do" in plan
    assert "ptychosuite-example/ptychosuite_example/solver.py changed" in plan
    installed.suite("run", "example.yaml", "--cluster", "none")
    checked = json.loads(installed.suite("check", "example.yaml", "--baseline", "good", "--json", code=1))
    fallen = [f for f in checked["findings"] if f["quantity"] == "likeness"]
    assert {finding["judgement"] for finding in fallen} == {"good", "regression"}


def test_page_shows_the_template():
    """Every block of docs/plug-ins.md that names a file is in it, word for word."""
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    for name, text in blocks:
        file = next(folder / name for folder in (TEMPLATE, REPOSITORY) if (folder / name).is_file())
        assert text in file.read_text(encoding="utf-8"), name
    shown = {Path(name).name for name, _ in blocks}
    assert {file.name for file in (TEMPLATE / "src/ptychosuite_example").glob("[a-z]*.py")} <= shown
