"""Why runs are to be computed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ptychosuite.analysis.to_do import FAILED, INTERRUPTED, NEW, NO_LIST, why_to_do
from ptychosuite.registry.fingerprint import code_of
from ptychosuite.store.layout import Store
from ptychosuite.store.write import write_code, write_run, write_session

from tests.store.records import record, session_content
from tests.study.small import plan_text


@pytest.fixture
def plan(tmp_path):
    """Four runs of a study."""
    return plan_text(tmp_path, "axes: {seed: {range: 4}}\n")


def stored(store, plan, seed, *, status="completed", code=None, start="2030"):
    """Put a run of ``plan`` into ``store``, as the code ``code`` computed it."""
    spec = plan.runs[seed]
    run_id = spec.run_id(code) if code else plan.run_ids[seed]
    write_run(store, replace(record(status=status), run_id=run_id, spec=spec, provenance={"start": start}))


def test_nothing_stored(plan):
    """All is new where there is no results folder."""
    assert why_to_do(plan, None) == dict.fromkeys(plan.run_ids, NEW)


def test_every_reason(plan, tmp_path):
    """A run that is done has none; the others are told apart."""
    store = Store.create(tmp_path / "results")
    ids = [spec.spec_id for spec in plan.runs]
    session = session_content({"seed": True}, {})
    write_session(store, "0", session | {"spec_ids": ids[:3], "environment": {"code": "an old version's"}})
    write_session(store, "1", session | {"spec_ids": ids[:2], "environment": {"sources": "of this one"}})
    stored(store, plan, 0, status="failed")
    stored(store, plan, 2, code="an old version's")
    assert why_to_do(plan, store) == dict(zip(plan.run_ids, (FAILED, INTERRUPTED, NO_LIST, NEW), strict=True))
    stored(store, plan, 3)
    assert plan.run_ids[3] not in why_to_do(plan, store)


def test_what_differs_from_the_newest(plan, tmp_path):
    """Files that changed, came and went, and packages, since the run that began last."""
    store = Store.create(tmp_path / "results")
    now = code_of(plan.runs[0])
    files = {name: old for name, old in now.files.items() if name != "solvers/sweep.py"}
    files |= {"solvers/pie.py": "other", "solvers/old.py": "gone"}
    write_code(store, "older", {"files": {}, "packages": {}})
    write_code(store, "newer", {"files": files, "packages": {"toys": "1.0"}})
    stored(store, plan, 0, code="older", start="2030-01-02")
    stored(store, plan, 0, code="newer", start="2030-01-03")
    assert why_to_do(plan, store)[plan.run_ids[0]] == (
        "code changed: solvers/pie.py changed; solvers/sweep.py new; solvers/old.py gone; "
        "toys 1.0 -> not there"
    )


def test_the_list_of_files_is_written_once(tmp_path):
    """The first writer of a fingerprint wins; the others find it."""
    store = Store.create(tmp_path / "results")
    for version in ("1.0", "1.1"):
        write_code(store, "abc", {"files": {}, "packages": {"toys": version}})
    assert "1.0" in store.code_file("abc").read().decode()
