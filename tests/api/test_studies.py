"""A study from Python: a path, a dict, overrides, and what is said of mistakes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import ptychosuite
import pytest
from ptychosuite.errors import StudyError
from ptychosuite.registry.yaml_text import as_text, parse, plain
from ptychosuite.study.study_file import plain_data

from tests.study.small import AXES, study_file

TINY = {
    "study": "tiny",
    "problem": {
        "object": {"kind": "texture", "size": 32},
        "probe": {"kind": "gaussian", "size": 16, "fwhm_px": 6},
    },
    "stop": {"iterations": 3},
    "axes": {"solver": ["rpie", {"name": "magpie", "levels": 2}], "seed": range(2)},
}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_dict_is_a_study(here):
    """The same runs come of the file and of the same as data, and of the text that is kept of the data."""
    of_file = ptychosuite.plan(study_file(here, AXES))
    of_dict = ptychosuite.plan(TINY)
    assert of_dict.plan.run_ids == of_file.plan.run_ids
    (here / "kept.yaml").write_text(of_dict.plan.text)
    assert ptychosuite.plan("kept.yaml").plan.run_ids == of_file.plan.run_ids


def test_settings_as_mapping_and_as_text(here):
    given = [{"problem.noise": 0.1, "seed": [0, 1, 2]}, ["problem.noise=0.1", "seed=[0, 1, 2]"]]
    of_mapping, of_texts = (ptychosuite.plan(TINY, settings) for settings in given)
    assert of_mapping.plan.run_ids == of_texts.plan.run_ids
    assert len(of_mapping) == 6
    assert {spec.problem["noise"] for spec in of_mapping.plan.runs} == {0.1}
    assert len(ptychosuite.plan(TINY, "seed=0")) == 2


def test_relative_paths_count_from_the_working_directory(here):
    np.save(here / "object.npy", np.ones((32, 32), dtype=np.complex64))
    study = TINY | {"problem": TINY["problem"] | {"object": {"kind": "file", "path": Path("object.npy")}}}
    spec = ptychosuite.plan(study).plan.runs[0]
    assert spec.problem["object"]["path"] == str(here / "object.npy")


@pytest.mark.parametrize(
    ("study", "settings", "message"),
    [
        ({"axes": {"seed": [0, "x"]}}, {}, "seed: found"),
        ({"problm": {}}, {}, "problm: unknown key; did you mean 'problem'?"),
        ({"problem": {**TINY["problem"], "noise": -1}}, {}, "problem.noise: found -1"),
        ({"title": object}, {}, "title: found <class 'object'>"),
        ({"study": "a/b"}, {}, "study: found 'a/b'"),
        ({}, {"problem.noise": -1}, "settings: problem.noise=-1: problem.noise: found -1"),
        ({}, {"problem.noise": {1, object}}, "problem.noise: found <class 'object'>"),
        ({}, ["problem.noise"], "expected PATH=VALUE"),
    ],
    ids=str,
)
def test_mistakes_name_the_dotted_key(here, study, settings, message):
    with pytest.raises(StudyError) as raised:
        ptychosuite.plan(TINY | study, settings)
    assert str(raised.value).startswith(message) or message == "expected PATH=VALUE"
    assert message in str(raised.value)


def test_study_without_a_name(here):
    with pytest.raises(StudyError, match=r"^'study: NAME' is missing"):
        ptychosuite.plan({key: value for key, value in TINY.items() if key != "study"})


def test_mistakes_in_a_file_have_line_and_column(here):
    study_file(here, "problm: 1\n")
    with pytest.raises(StudyError, match=r"tiny.yaml:6:1: problm"):
        ptychosuite.plan("tiny.yaml")


DATA = {
    "switches": [True, False, None], "numbers": [1, -2.5, 1e-4, 1e-12, 3e30], "empty": [{}, [], ""],
    "texts": ["1e-4", "null", "true", "2020-01-01", "a: b", "# no", " x ", "line\nline", "'", '"', "ü", "~"],
    "nested": {"a.b": [{"c": {"d": [1, [2]]}}]},
}  # fmt: skip


def test_data_written_as_yaml_read_back_the_same():
    assert plain(parse(as_text(DATA), Path("x"), StudyError)) == DATA


def test_what_python_has_beside_lists_and_text():
    given = {
        "a": (1, np.int64(2)),
        "b": np.linspace(0, 1, 3),
        "c": Path("x"),
        "d": np.float32(0.5),
        "e": "off",
    }
    assert plain_data(given) == {"a": [1, 2], "b": [0.0, 0.5, 1.0], "c": "x", "d": 0.5, "e": False}
