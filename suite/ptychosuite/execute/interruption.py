"""Ctrl-C that is not lost: a mark that whoever works in a loop looks at.

Python drops an exception that a signal handler raises while a destructor (``__del__``, a weak reference's
callback) is at work, and a solver may swallow it: the program would go on as if nobody had asked it to stop.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object]

ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_asked = False
_noting = 0  # blocks of noted_interruptions() that are open


def check_interruption() -> None:
    """Raise KeyboardInterrupt where one has been asked for since the outermost block began."""
    if asked_to_stop():
        raise KeyboardInterrupt


def asked_to_stop() -> bool:
    """Whether this thread, the main one, has been asked to stop: an exception may have come of that."""
    return _asked and threading.current_thread() is threading.main_thread()


@contextmanager
def noted_interruptions() -> Iterator[None]:
    """Have handlers of signals that ask for an end leave the mark; they stay in force.

    Signals reach the main thread alone; in any other nothing is done.
    """
    global _asked, _noting
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ASKING if _noting == 0}
    _noting += 1
    try:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, _marking(handler))
        yield
    finally:
        _noting -= 1
        _asked = _asked and _noting > 0
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)


def _marking(handler: Handler) -> Handler:
    def handle(number: int, frame: FrameType | None) -> None:
        global _asked
        _asked = True
        handler(number, frame)

    return handle
