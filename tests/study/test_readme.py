"""The README's study is one that runs."""

import re

from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import load_study

from tests.conftest import REPOSITORY


def test_readme_study(tmp_path):
    """The study explained line by line expands to the runs its comments promise."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    study = re.search(r"```yaml\n(study: noise.*?)```", text, re.DOTALL)
    assert study is not None
    file = tmp_path / "noise.yaml"
    file.write_text(study[1], encoding="utf-8")
    plan = make_plan(load_study(file))
    assert len(plan.runs) == 4 * 3 * 5 - 5  # without L-BFGS at the highest noise
    assert len(plan.figures) == 3


def test_shipped_studies_plan():
    """Every study that ships can be planned without any file of ours or the authors'."""
    files = [*REPOSITORY.glob("studies/*.yaml"), *REPOSITORY.glob("studies/paper/*.yaml")]
    studies = [file for file in files if "study:" in file.read_text(encoding="utf-8")]  # not overrides
    assert len(studies) > 10
    for file in studies:
        assert make_plan(load_study(file)).runs
