"""Why runs are to be computed."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from ptychosuite.analysis.nearest import stops_sooner
from ptychosuite.analysis.to_do import (
    INTERRUPTED,
    NEW,
    NO_LIST,
    NOT_COMPARED,
    first_line,
    in_lines,
    why_to_do,
)
from ptychosuite.registry.fingerprint import code_of, fingerprint_of
from ptychosuite.store.layout import Store
from ptychosuite.store.planned import StoredRun
from ptychosuite.store.write import write_code, write_run, write_session

from tests.store.records import record, session_content
from tests.study.small import plan_text


@pytest.fixture
def plan(tmp_path):
    """Four runs of a study."""
    return plan_text(tmp_path, "axes: {seed: {range: 4}}\n")


@pytest.fixture
def store(tmp_path):
    return Store.create(tmp_path / "results")


def stored(store, spec, *, status="completed", code=None, message="why it failed"):
    """Put a run into ``store``, as the code ``code`` computed it."""
    code = code or fingerprint_of(spec)
    made = replace(record(status=status), run_id=spec.run_id(code), spec=spec, provenance={"code": code})
    write_run(store, replace(made, message=message))
    return made.run_id


def texts(plan, store):
    return [[str(reason) for reason in reasons] for reasons in why_to_do(plan, store).values()]


def test_nothing_stored(plan):
    """All is new where there is no results folder."""
    assert why_to_do(plan, None) == dict.fromkeys(plan.run_ids, (NEW,))


def test_every_reason(plan, store):
    """A run that is done has none; the others are told apart."""
    ids = [spec.spec_id for spec in plan.runs]
    session = session_content({"seed": True}, {})
    write_session(store, "0", session | {"spec_ids": ids[:3], "environment": {"code": "an old version's"}})
    write_session(store, "1", session | {"spec_ids": ids[:2], "environment": {"sources": "of this one"}})
    stored(store, plan.runs[0], status="failed", message="first\nsecond")
    stored(store, plan.runs[0], status="failed", message="first\nsecond")
    stored(store, plan.runs[2], code="an old version's")
    failed, interrupted, no_list, new = texts(plan, store)
    assert failed == ["failed with the present code: 2 times, first"]
    assert (interrupted, new) == ([str(INTERRUPTED)], ["new"])
    assert no_list == [NOT_COMPARED]
    stored(store, plan.runs[3])
    assert plan.run_ids[3] not in why_to_do(plan, store)


def test_planned_by_a_version_without_lists(plan, store):
    session = session_content({"seed": True}, {})
    ids = [plan.runs[1].spec_id]
    write_session(store, "0", session | {"spec_ids": ids, "environment": {"code": "an old version's"}})
    assert texts(plan, store)[1] == [str(NO_LIST)]


def test_what_differs_from_the_code_most_like_the_present(plan, store):
    """Files that changed, came and went, and packages; of several codes of the one that differs least."""
    now = code_of(plan.runs[0])
    files = {name: old for name, old in now.files.items() if name != "solvers/sweep.py"}
    files |= {"solvers/pie.py": "other", "solvers/old.py": "gone"}
    write_code(store, "a", {"files": {}, "packages": {}})
    write_code(store, "b", {"files": files, "packages": {"toys": "1.0"}})
    for code in ("b", "a"):
        stored(store, plan.runs[0], code=code)
    stored(store, plan.runs[1], code="b", status="failed")
    difference = (
        "code changed: solvers/pie.py changed; solvers/sweep.py new; solvers/old.py gone; "
        "toys 1.0 -> not there"
    )
    assert texts(plan, store)[:2] == [[difference], [f"{difference}; with that code it had failed"]]
    stored(store, plan.runs[0], status="failed")
    assert texts(plan, store)[0] == ["failed with the present code: once, why it failed", difference]


def test_settings_that_changed(tmp_path, store):
    """From what to what, against the nearest stored run, which is the one of the same seed."""
    then = plan_text(tmp_path, "axes: {seed: {range: 3}}\n", "problem.noise=0.1", "solver=epie")
    ids = [stored(store, spec) for spec in then.runs]
    now = plan_text(tmp_path, "axes: {seed: {range: 3}}\n", "problem.noise=0.2", "solver=epie")
    why = why_to_do(now, store)
    assert texts(now, store) == [["settings changed: problem.noise 0.1 -> 0.2"]] * 3
    assert [reason.run_id for (reason,) in why.values()] == ids
    assert in_lines(why) == ["3 to do: settings changed: problem.noise 0.1 -> 0.2"]


def test_an_axis_that_grew_is_new(tmp_path, store):
    """What differs from runs that the study has, and not from those that it had, has not changed."""
    for spec in plan_text(tmp_path, "axes: {seed: {range: 2}}\n").runs:
        stored(store, spec)
    now = plan_text(tmp_path, "axes: {seed: {range: 4}}\n")
    assert texts(now, store) == [["new"], ["new"]]


def test_settings_and_code(tmp_path, store):
    (then,) = plan_text(tmp_path, "", "problem.noise=0.1").runs
    now = plan_text(tmp_path, "", "problem.noise=0.2")
    code = code_of(then)
    write_code(store, "b", {"files": {**code.files, "solvers/pie.py": "other"}, "packages": {}})
    stored(store, then, code="b")
    assert texts(now, store) == [
        ["settings changed: problem.noise 0.1 -> 0.2", "code changed: solvers/pie.py changed"]
    ]


def test_stopped_sooner(tmp_path, store):
    """The longest of the stored runs; said of runs that were planned before as well."""
    for iterations in (3, 7, 5, 30):
        (spec,) = plan_text(tmp_path, "", f"stop.iterations={iterations}").runs
        stored(store, spec)
    now = plan_text(tmp_path, "", "stop.iterations=20")
    assert texts(now, store) == [["a stored run stopped sooner: stop.iterations 7 -> 20"]]
    fewer = plan_text(tmp_path, "", "stop.iterations=2")
    ((fewer,),) = texts(fewer, store)
    assert fewer.startswith("settings changed: stop.iterations ")
    assert fewer.endswith(" -> 2")


STOP = {"iterations": 10, "seconds": None, "gradient": None, "residual": 1e-3, "check_every": None}


@pytest.mark.parametrize(
    ("changed", "sooner"),
    [
        ({"iterations": 11}, True),
        ({"iterations": 9}, False),
        ({"residual": 1e-4}, True),
        ({"residual": 1e-2}, False),
        ({"residual": None}, True),
        ({"seconds": 3.0}, False),
        ({"iterations": 11, "residual": 1e-2}, False),
        ({"iterations": 11, "residual": 1e-4}, True),
        ({"iterations": 11, "check_every": 2}, False),
        ({}, False),
    ],
)
def test_which_rules_end_sooner(changed, sooner):
    assert stops_sooner(STOP, {**STOP, **changed}) is sooner


def test_many_runs_in_few_lines_and_seconds(tmp_path, store, monkeypatch):
    """Conditions and seeds: one line, each run beside its own."""
    axes = "axes: {seed: {range: 25}, problem.noise: {linspace: [0.01, 0.4, 40]}}\n"
    then, now = (plan_text(tmp_path, axes, f"solver.alpha={alpha}", "solver=rpie") for alpha in (0.1, 0.2))
    runs = [StoredRun(run.spec_id, run, "other") for run in then.runs]
    monkeypatch.setattr("ptychosuite.analysis.to_do.stored_runs", lambda *_: runs)
    begin = time.perf_counter()
    why = why_to_do(now, store)
    assert time.perf_counter() - begin < 3
    assert [reasons[0].run_id for reasons in why.values()] == [run.run_id for run in runs]
    assert in_lines(why) == [f"1000 to do: settings changed: solver.alpha 0.1 -> 0.2; {NOT_COMPARED}"]


def test_lines_are_ten_at_most():
    reasons = {f"{i}": (replace(NEW, what=f"reason {i}"),) for i in range(30)}
    lines = in_lines(reasons)
    assert len(lines) == 10
    assert lines[-1] == "21 to do for 21 other reasons; --json has them run by run"
    values = {
        f"{i}": (replace(NEW, names=("seed", "noise"), values=(f"{i} -> {i + 1}", "0 -> 1")),)
        for i in range(5)
    }
    assert in_lines(values) == ["5 to do: new: seed (0 -> 1; 1 -> 2; 2 -> 3; 2 more), noise 0 -> 1"]


def test_first_line_of_a_traceback_is_its_exception():
    message = (
        "the worker's output:\nfoo\n\nTraceback (most recent call last):\n  File x\n    y\nValueError: a\nb\n"
    )
    assert first_line(message) == "ValueError: a"
    assert first_line("one\ntwo") == "one"
    assert first_line("") == ""


def test_the_list_of_files_is_written_once(store):
    """The first writer of a fingerprint wins; the others find it."""
    for version in ("1.0", "1.1"):
        write_code(store, "abc", {"files": {}, "packages": {"toys": version}})
    assert "1.0" in store.code_file("abc").read().decode()
