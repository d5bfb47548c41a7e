"""``ptychosuite solvers`` and ``doctor``: what there is, and what is wrong with plug-ins."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from ptychosuite.registry import lookup as registry

from tests.study.small import study_file

PLUG_INS = """\
from dataclasses import dataclass
from typing import Any

@dataclass(frozen=True)
class Fine:
    '''A solver of another package.'''

    strength: float
    places: Any = (1, 2)

    def init(self, problem): ...
    def step(self, problem, state, rng): ...

@dataclass(frozen=True)
class Stepless:
    def init(self, problem): ...
"""
ENTRIES = """\
[ptychosuite.solvers]
fine = faulty_plug_ins:Fine
rpie = faulty_plug_ins:Fine
stepless = faulty_plug_ins:Stepless
[ptychosuite.probes]
gone = no_such_module:Probe
"""
FAULTS = {
    ("solvers", "rpie"): "taken by ptychosuite itself",
    ("solvers", "stepless"): "has no 'step'",
    ("probes", "gone"): "No module named 'no_such_module'",
}


@pytest.fixture
def plug_ins(tmp_path, monkeypatch) -> Iterator[None]:
    """A package is installed of which one solver works, and three entries do not."""
    folder = tmp_path / "site"
    package = folder / "faulty_plug_ins-2.5.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty-plug-ins\nVersion: 2.5\n")
    (package / "entry_points.txt").write_text(ENTRIES)
    Path(folder / "faulty_plug_ins.py").write_text(PLUG_INS)
    monkeypatch.syspath_prepend(str(folder))
    registry.forget()
    yield
    monkeypatch.undo()
    registry.forget()


@pytest.mark.parametrize("name", ["solvers", "doctor"])
def test_faults_are_named(command, plug_ins, name):
    """Group, name, package with version and message, for people and for machines; that is no error."""
    code, out, _ = command(name)
    assert code == 0
    lines = [line for line in out.splitlines() if line.startswith("fault of faulty-plug-ins 2.5: ")]
    assert len(lines) == len(FAULTS)
    for (group, noun), message in FAULTS.items():
        (line,) = [line for line in lines if f": {group}, '{noun}': " in line]
        assert message in line
    code, out, _ = command(name, "--json")
    assert code == 0
    found = {(fault["group"], fault["name"]): fault for fault in json.loads(out)["faults"]}
    assert found.keys() == FAULTS.keys()
    for key, message in FAULTS.items():
        assert message in found[key]["message"]
        assert found[key]["package"] == "faulty-plug-ins 2.5"


def test_what_works_is_listed_all_the_same(command, plug_ins):
    """A plug-in's solver with its settings, in their own form; ours keep their names."""
    listed = json.loads(command("solvers", "--json")[1])
    assert listed["fine"]["settings"] == {"strength": "required", "places": [1, 2]}
    assert listed["fine"]["summary"] == "A solver of another package."
    assert listed["rpie"]["settings"]["alpha"] == 0.05
    assert "stepless" not in listed
    out = command("doctor")[1]
    assert ", fine (faulty-plug-ins 2.5)\n" in out
    nouns = json.loads(command("doctor", "--json")[1])["nouns"]
    assert nouns.keys() == registry.GROUPS.keys()
    assert (nouns["solvers"]["fine"], nouns["solvers"]["rpie"]) == ("faulty-plug-ins 2.5", "")


def test_faults_disturb_nothing_else(command, plug_ins, tmp_path):
    """A study that asks for the faulty one is told; one that does not runs."""
    study = study_file(tmp_path)
    assert command("run", study, "--cluster", "none")[0] == 0
    code, _, err = command("plan", study, "--set", "solver=stepless")
    assert code == 2
    assert "has no 'step'" in err


def test_doctor_lists_every_group(command):
    code, out, _ = command("doctor")
    assert code == 0
    assert "fault of" not in out
    for group in registry.GROUPS:
        assert f"\n  {group}: " in out


def test_doctor_says_what_would_help(command, monkeypatch):
    """What is missing, with how to get it; nothing where all is there."""
    monkeypatch.setattr("ptychosuite.api.installation.version_there", lambda python, package: "")
    monkeypatch.setattr("ptychosuite.api.installation.find_spec", lambda name: None)
    told = [line for line in command("doctor")[1].splitlines() if line.startswith("what to do: ")]
    assert len(told) == 3
    assert "pip install 'ptychosuite[fast]'" in told[0]
    assert "ptychi, cdtools, ptylab" in told[1]
    assert "pip install 'ptychosuite[peers]'" in told[1]
    assert "run quickstart" in told[2]
    assert json.loads(command("doctor", "--json")[1])["advice"] == [each[12:] for each in told[:2]]
    monkeypatch.setattr("ptychosuite.api.installation.version_there", lambda python, package: "1")
    monkeypatch.setattr("ptychosuite.api.installation.find_spec", lambda name: "here")
    assert json.loads(command("doctor", "--json")[1])["advice"] == []
