"""docs/data.md: its examples are problems, and it has every format and every setting."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from ptychosuite.problems.measured import MeasuredFile
from ptychosuite.problems.measured.writing import writers
from ptychosuite.problems.problem_kind import OF_EVERY_PROBLEM, kind_of
from ptychosuite.registry.lookup import GROUPS
from ruamel.yaml import YAML

from tests.conftest import REPOSITORY
from tests.problems.measured import small
from tests.problems.measured.test_writers import measurement
from tests.study.small import plan_of, study_file

PAGE = (REPOSITORY / "docs" / "data.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def files(tmp_path) -> Path:
    """What the examples name: 12 patterns of 32 x 32, their positions, images of the detector."""
    small.cxi(tmp_path / "scan.cxi")
    xy = small.positions()
    contents = {"frames": small.patterns(), "xy": xy, "motors": xy * small.PIXEL_M * 1e9,
                "i0": np.linspace(1, 2, small.N)}  # fmt: skip
    small.write(tmp_path / "run7.h5", {f"scan/{name}": values for name, values in contents.items()})
    small.write(tmp_path / "bare.h5", {"frames": small.patterns()})
    np.savez(tmp_path / "motors.npz", xy=xy * small.PIXEL_M * 1e6)
    np.savez(tmp_path / "start.npz", probe=np.stack([small.probe(), 0.1 * small.probe()]))
    flat = np.ones((small.M, small.M))
    np.savez(tmp_path / "detector.npz", pixel_mask=0 * flat.astype(int), dark=0 * flat, flat=flat)
    writers()["ptychodus"].write(str(tmp_path / "both.h5"), measurement())
    return tmp_path


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_problems(files, example):
    """As they stand, beside small files of the names that they have."""
    text = f"study: example\n{example}stop: {{iterations: 1}}\n"
    (run,) = plan_of(study_file(files, head=text)).runs
    kind = kind_of(run.problem)
    assert isinstance(kind, MeasuredFile)
    for name in YAML(typ="safe").load(example)["problem"].keys() - {"kind", "path"}:
        assert name in run.problem
    assert kind.read().n_positions >= 3


def test_every_setting_is_on_the_page():
    shown = {name for example in EXAMPLES for name in YAML(typ="safe").load(example)["problem"]}
    settings = {field.name for field in dataclasses.fields(MeasuredFile)} - {"path_sha256"}
    assert settings - set(OF_EVERY_PROBLEM) <= shown


def test_every_format_is_on_the_page():
    """One row each, and those that are written in the table of these."""
    assert sorted(first_column("## Formats")) == sorted(GROUPS["formats"].built_in)
    assert sorted(first_column("## For other programs")) == sorted(writers())


def first_column(heading: str) -> list[str]:
    """The names in the first column of the table below a heading, without its own head."""
    section = PAGE.split(f"{heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)[1:]
