"""Requests to end that Python drops are no errors to tell a user of."""

from __future__ import annotations

import sys
from types import SimpleNamespace

from ptychosuite.commands import options


def test_a_request_that_python_drops_is_not_told_as_an_error(monkeypatch):
    """Other errors that it drops are told as ever."""
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    monkeypatch.setattr(options, "ASKING", ())  # handlers of the tests' own process stay
    dropped = [SimpleNamespace(exc_value=error) for error in (KeyboardInterrupt(), ValueError())]
    with options.stoppable("finished runs are kept"):
        for each in dropped:
            sys.unraisablehook(each)
    assert told == dropped[1:]
    sys.unraisablehook(dropped[0])
    assert told[-1] is dropped[0]
