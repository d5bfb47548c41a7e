"""The studies of the README and of docs/study.md are such as run."""

import re
from pathlib import Path

from ptychosuite.core.plan import Plan
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import load_study

from tests.conftest import REPOSITORY


def study_of(page: str, folder: Path) -> Plan:
    """The plan of the first study on a page."""
    found = re.search(r"```yaml\n(study: noise.*?)```", (REPOSITORY / page).read_text("utf-8"), re.DOTALL)
    assert found is not None
    file = folder / "noise.yaml"
    file.write_text(found[1], encoding="utf-8")
    return make_plan(load_study(file))


def test_readme_study(tmp_path):
    """As many runs as its comments promise."""
    assert len(study_of("README.md", tmp_path).runs) == 4 * 3 * 5


def test_study_line_by_line(tmp_path):
    """The study that docs/study.md explains expands to the runs its comments promise."""
    plan = study_of("docs/study.md", tmp_path)
    assert len(plan.runs) == 4 * 3 * 5 - 5  # without L-BFGS at the highest noise
    assert len(plan.figures) == 3


def test_shipped_studies_plan():
    """Every study that ships can be planned without any file of ours or the authors'."""
    files = [*REPOSITORY.glob("studies/*.yaml"), *REPOSITORY.glob("studies/paper/*.yaml")]
    studies = [file for file in files if "study:" in file.read_text(encoding="utf-8")]  # not overrides
    assert len(studies) > 10
    for file in studies:
        assert make_plan(load_study(file)).runs
