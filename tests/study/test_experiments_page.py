"""docs/experiments.md: its examples are problems, and it has every setting."""

from __future__ import annotations

import dataclasses
import re

import pytest
from ptychosuite.problems.problem_kind import kind_of
from ptychosuite.problems.simulated import Simulated
from ruamel.yaml import YAML

from tests.conftest import REPOSITORY
from tests.study.small import plan_of, study_file

PAGE = (REPOSITORY / "docs" / "experiments.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_problems(tmp_path, example):
    """As they stand, with the object and probe of a study that says nothing of them."""
    head = f"study: example\n{example}stop: {{iterations: 1}}\n"
    (run,) = plan_of(study_file(tmp_path, head=head)).runs
    for name, said in YAML(typ="safe").load(example).get("problem", {}).items():
        if name in Simulated.groups:
            assert said.keys() <= run.problem[name].keys()
            assert any(run.problem[name].values())
    assert kind_of(run.problem).size().n_positions >= 16


def test_every_setting_is_on_the_page():
    shown: dict[str, set[str]] = {}
    for example in EXAMPLES:
        for name, said in YAML(typ="safe").load(example).get("problem", {}).items():
            shown.setdefault(name, set()).update(said if isinstance(said, dict) else ())
    for name, group in Simulated.groups.items():
        assert shown[name] == {field.name for field in dataclasses.fields(group)}
    assert {"photons", "margin_px", "rotation_deg"} <= shown.keys()
