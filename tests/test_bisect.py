"""The recipe of docs/bisect.md, as it stands there, finds the commit that planted a fault."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

STUDY = """\
study: nightly
problem:
  object: {kind: texture, size: 32}
  probe: {kind: gaussian, size: 16, fwhm_px: 6}
solver: {name: rpie, alpha: 0.05}
stop: {iterations: 3}
"""
HEALTHY = "return step_size(Q, self.alpha)"
FAULTY = HEALTHY.replace("self.alpha", "1.05 * self.alpha")


class Checkout:
    """A repository that holds a copy of the package, and commands in it that use the copy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        who = {
            f"GIT_{role}_{what}": "tester@localhost"
            for role in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        self.environment = {**os.environ, **who, "PATH": path, "PYTHONPATH": str(folder / "suite")}
        shutil.copytree(REPOSITORY / "suite", folder / "suite")  # compiled loops too
        shutil.copy(REPOSITORY / ".gitignore", folder)
        self("git", "init", "--quiet")

    def __call__(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=250
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(exist_ok=True)
        (self.folder / name).write_text(text)

    def commit(self) -> str:
        """Commit everything; the hash."""
        self("git", "add", "--all")
        self("git", "commit", "--quiet", "--message", "change")
        return self("git", "rev-parse", "HEAD").strip()


@pytest.mark.slow
def test_recipe_finds_the_commit(tmp_path):
    """Of five commits, one that does not start among them, the one with the wrong alpha is named."""
    recipe = re.search(r"```sh\n(.*?)```", (REPOSITORY / "docs/bisect.md").read_text(), re.DOTALL)
    assert recipe is not None
    checkout = Checkout(tmp_path / "checkout")
    checkout.write("studies/nightly.yaml", STUDY)
    good = checkout.commit()
    checkout("ptychosuite", "run", "studies/nightly.yaml", "--cluster", "none")
    checkout("ptychosuite", "baseline", "save", "nightly", "studies/nightly.yaml")

    cli, pie = (checkout.folder / "suite" / "ptychosuite" / name for name in ("cli.py", "solvers/pie.py"))
    working, text = cli.read_text(), pie.read_text()
    cli.write_text("import nothing_of_this_name\n")
    checkout.commit()
    cli.write_text(working)
    checkout.write("notes.md", "nothing that computes\n")
    checkout.commit()
    assert HEALTHY in text
    pie.write_text(text.replace(HEALTHY, FAULTY))
    culprit = checkout.commit()
    checkout.write("notes.md", "nothing that computes, either\n")
    bad = checkout.commit()

    found = checkout("bash", "-e", "-c", recipe[1].replace("BAD", bad).replace("GOOD", good))
    assert f"{culprit} is the first bad commit" in found
