"""Verdicts that are kept beside the results."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ptychosuite.analysis.verdict import Finding, Judgement, Verdict, keep_verdict, verdicts
from ptychosuite.errors import StoreError
from ptychosuite.store.layout import Store

VERDICT = Verdict(
    "tiny", "2026-01-02T00:00:00.000+00:00", {"baseline": "b"}, {"code": "c"},
    (Finding("run", "residual", Judgement.GOOD, 1.0, 1.0),),
)  # fmt: skip


def test_verdicts_come_back_in_order(tmp_path):
    """Each check has a file of its own, and none is written twice."""
    store = Store.create(tmp_path / "tiny")
    earlier = replace(VERDICT, when="2026-01-01T00:00:00.000+00:00")
    names = {keep_verdict(store, verdict).name for verdict in (VERDICT, earlier, VERDICT)}
    assert len(names) == 2
    assert verdicts(store) == [earlier, VERDICT]
    other = replace(VERDICT, against={"baseline": "other"})  # at the same instant
    assert keep_verdict(store, other).name not in names


@pytest.mark.parametrize(("content", "said"), [("{", "damaged"), ("[]", "damaged"), ('{"schema": 99}', "99")])
def test_verdict_that_cannot_be_read(tmp_path, content, said):
    """It is named, with what to do."""
    store = Store.create(tmp_path / "tiny")
    (tmp_path / "tiny/checks").mkdir()
    (tmp_path / "tiny/checks/x.json").write_text(content)
    with pytest.raises(StoreError, match=said):
        verdicts(store)
