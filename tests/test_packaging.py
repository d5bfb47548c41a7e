"""What is installed: one version, bounds, locks and recipes that agree, licences that are told."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType

import ptychosuite
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from ruamel.yaml import YAML

from tests.conftest import REPOSITORY

PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
CORE = {canonicalize_name(each.name): each for each in map(Requirement, PROJECT["dependencies"])}
EXTRAS = {
    canonicalize_name(each.name): each
    for extra in PROJECT["optional-dependencies"].values()
    for each in map(Requirement, extra)
}
ON_CONDA = {
    "dask": "dask-core",
    "matplotlib": "matplotlib-base",
    "torch": "pytorch",
    "ruamel-yaml": "ruamel.yaml",
}
PINNED = re.compile(r"^([\w.-]+)==([\w.+!]+)", re.MULTILINE)


def read(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def pinned(name: str) -> dict[str, Version]:
    return {canonicalize_name(package): Version(version) for package, version in PINNED.findall(read(name))}


def licences() -> ModuleType:
    """The script that writes the page of licences."""
    spec = importlib.util.spec_from_file_location("licences", REPOSITORY / "docs" / "licences.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_one_version():
    version = ptychosuite.__version__
    assert YAML(typ="safe").load(read("CITATION.cff"))["version"] == version
    assert YAML(typ="safe").load(read("recipe/recipe.yaml"))["context"]["version"] == version
    newest = re.search(r"^## (\S+)", read("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == version


@pytest.mark.parametrize("name", sorted(CORE))
def test_locked_versions_are_allowed(name):
    """Each has a lower bound, and the locks are above it and agree."""
    assert [each.operator for each in CORE[name].specifier] == [">="]
    locked = pinned("constraints.txt")[name]
    assert CORE[name].specifier.contains(locked)
    assert pinned("constraints-hashed.txt")[name] == locked


def test_locks_agree_and_have_hashes():
    locked, hashed = pinned("constraints.txt"), pinned("constraints-hashed.txt")
    assert {name for name in hashed if name in locked and hashed[name] != locked[name]} == set()
    entries = re.split(r"\n(?=\w)", read("constraints-hashed.txt"))
    assert [entry for entry in entries if "==" in entry and "--hash=sha256:" not in entry] == []


def test_conda_recipe_has_the_same_bounds():
    recipe = YAML(typ="safe").load(read("recipe/recipe.yaml"))
    needs = dict(line.split(" ", 1) for line in recipe["requirements"]["run"])
    assert needs.pop("python") == PROJECT["requires-python"]
    assert needs == {ON_CONDA.get(name, name): str(each.specifier) for name, each in CORE.items()}


def test_gpl_is_in_no_default():
    """Of what an installation takes without extras, nothing says that it is under the GPL."""
    script = licences()
    assert not {
        name
        for name, found in script.needed(PROJECT["dependencies"]).items()
        if "GPL" in script.licence(found)
    }
    assert "General Public" in script.licence(script.needed(["ducc0"])["ducc0"])


def test_page_of_licences_is_of_today():
    script, page = licences(), read("docs/licences.md")
    rows = dict(re.findall(r"^\| ([\w.-]+) \| (.*?) \|", page, re.MULTILINE))
    listed = {
        name for extra in script.EXTRAS for name in script.needed(PROJECT["optional-dependencies"][extra])
    }
    assert listed | {*script.needed(PROJECT["dependencies"])} <= {*rows}
    assert {name: rows[name] for name in CORE} == {name: script.WHY[name] for name in CORE}
    assert {*script.WHY} <= {*CORE, *EXTRAS}


def test_extras_are_told():
    told = set(
        re.findall(r"`(\w+)`", "".join(re.findall(r"^\|(.*?)\|", read("docs/install.md"), re.MULTILINE)))
    )
    assert told == {*PROJECT["optional-dependencies"]} - {"dev", "docs"}


def test_wheel_holds_the_studies():
    """Whole folders: no list of files is to be kept."""
    wheel = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {"studies": "ptychosuite/studies"}
    assert [Path(folder).name for folder in wheel["packages"]] == ["ptychosuite"]


def test_installed_and_checkout_have_one_place_each(tmp_path, monkeypatch):
    """Beside the code where a wheel has put them, else at the top of a checkout."""
    from ptychosuite.study import shipped

    beside, checkout = shipped.FOLDERS
    assert (beside.parent, checkout) == (Path(ptychosuite.__file__).parent, REPOSITORY / "studies")
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "own.yaml").touch()
    monkeypatch.setattr(shipped, "FOLDERS", (tmp_path, checkout))
    assert {**shipped.shipped_files.__wrapped__()} == {"paper/own": tmp_path / "paper" / "own.yaml"}
