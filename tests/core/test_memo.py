"""Remembering by identity."""

from __future__ import annotations

from ptychosuite.core import runs
from ptychosuite.core.runs import by_identity


def test_called_once_for_each_object():
    """Equal objects are different ones; the same object is asked about once."""
    calls = []
    remembered = by_identity(lambda part: calls.append(part) or len(calls))
    first, second = {"a": 1}, {"a": 1}
    assert [remembered(first), remembered(second), remembered(first)] == [1, 2, 1]


def test_objects_that_come_and_go(monkeypatch):
    """Another object at the address of one that is gone is not taken for it, however many there were."""
    monkeypatch.setattr(runs, "MOST", 3)
    remembered = by_identity(lambda part: part["number"])
    assert [remembered({"number": number}) for number in range(100)] == list(range(100))
