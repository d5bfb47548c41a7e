"""Names that no file can have, or that nobody expects: a sentence, no traceback, and code 2."""

from __future__ import annotations

import pytest

from tests.study.small import carry_out, plan_of, study_file

NAMES = {
    "too long": "x" * 300,
    "too long a path": "/".join(["x" * 200] * 30),
    "of two lines": "a\nb",
    "that steers": "ü☃\u202e\a",
    "no text": "a\udcff",
}
CALLS = """\
plan NAME
run NAME --cluster none
report NAME
figures NAME
show NAME
check NAME --baseline b
clean NAME
doctor NAME
compare results/tiny NAME
trend NAME
reproduce NAME
export NAME --to csv
merge results/tiny NAME
convert NAME out.cxi --to cxi
show tiny.yaml NAME
run tiny.yaml --force NAME --cluster none
run tiny.yaml --cluster NAME
plan tiny.yaml --override NAME
plan tiny.yaml --set problem.object.magnitude=NAME
clean tiny.yaml --only NAME
baseline save NAME tiny.yaml
check tiny.yaml --baseline NAME
show tiny.yaml --results NAME""".splitlines()
WRITING = """\
run tiny.yaml --cluster none --results NAME
report tiny.yaml --out NAME
figures tiny.yaml --out NAME
export tiny.yaml --to csv --out NAME
merge NAME results/tiny
plan tiny.yaml --results NAME""".splitlines()


@pytest.fixture
def study(tmp_path):
    path = study_file(tmp_path, "figures: [{kind: setup}]\n")
    carry_out(plan_of(path), tmp_path / "results")
    return path


def calls(texts, name):
    return [[name if word == "NAME" else word.replace("=NAME", f"={name}") for word in text.split()]
            for text in texts]  # fmt: skip


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_what_is_not_there(command, study, name):
    """Whatever is called so."""
    for call in calls(CALLS, name):
        code, _, err = command(*call)
        assert code == 2, call
        assert err.startswith("ptychosuite: "), (call, err)
        assert len(err.splitlines()) <= (2 if name == NAMES["of two lines"] else 1), (call, err)
        assert "\u202e" not in err
        assert "\a" not in err


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_what_is_made(command, study, name, quick_figures):
    """Results and pages may be called as they like, if a file can be."""
    for call in calls(WRITING, name):
        code, _, err = command(*call)
        if "x" in name:
            assert (code, len(err.splitlines())) == (2, 1), (call, err)
        elif call[0] not in ("export", "merge"):  # into what is there by then
            assert code == 0, (call, err)


def test_a_study_with_a_long_name(command, tmp_path):
    """Its folder cannot be made: it is told before anything is computed."""
    study = study_file(tmp_path, head=study_file(tmp_path).read_text().replace("tiny", "x" * 300))
    for call in ("plan", "run", "report", "show", "clean", "doctor"):
        code, _, err = command(call, study)
        assert (code, len(err.splitlines())) == (2, 1), (call, err)


def test_a_title_with_a_line_break(command, tmp_path):
    study = study_file(tmp_path, 'title: "one\\ntwo"\n')
    assert command("run", study, "--cluster", "none")[0] == 0
    assert command("show", study)[0] == 0
