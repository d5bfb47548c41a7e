"""The reason of a failure, whole, from every form of message that a run leaves."""

from __future__ import annotations

import traceback

import pytest
from ptychosuite.core.reason import first_line, reason_of

MANY = "shapes differ:\n  expected (3, 4)\n\n  found (5, 6)\nsee the manual"


def noted(error: Exception) -> Exception:
    error.add_note("of the run\nwith two lines")
    return error


def chained() -> Exception:
    error = RuntimeError("second\nline")
    error.__cause__ = ValueError("first")
    return error


def raised(error: Exception) -> str:
    try:
        raise error
    except Exception:
        return traceback.format_exc()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("plain"), "ValueError: plain"),
        (ValueError(MANY), f"ValueError: {MANY}"),
        (noted(KeyError("a")), "KeyError: 'a'\nof the run\nwith two lines"),
        (chained(), "RuntimeError: second\nline"),
        (ValueError(f"of a child:\n{raised(KeyError('b')).strip()}"), None),
    ],
    ids=["plain", "lines", "notes", "cause", "of a child"],
)
def test_tracebacks(error, reason):
    message = raised(error)
    whole = reason or f"ValueError: {error}"
    assert reason_of(message) == whole
    assert reason_of(f"the worker's output:\n{raised(OSError('caught'))}\n\n{message}") == whole


def test_groups():
    found = reason_of(raised(ExceptionGroup("two", [ValueError("a\nb"), KeyError("c")])))
    assert found.startswith("ExceptionGroup: two (2 sub-exceptions)")
    assert "ValueError: a" in found
    assert "KeyError: 'c'" in found


def test_other_messages():
    assert reason_of("not begun: no room") == "not begun: no room"
    assert (
        reason_of("worker tcp://x\n\nThread 0x1:\n  File\n\nits worker died: killed")
        == "its worker died: killed"
    )
    assert reason_of("") == ""
    assert first_line("a\nb\nc") == "a (and 2 more lines)"
    assert (first_line("a"), first_line("")) == ("a", "")
