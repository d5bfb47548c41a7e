"""Ctrl-C that is not lost.

Python drops an exception that a signal handler raises while a destructor (``__del__``, a weak reference's
callback) is at work: the program would go on as if nobody had asked it to stop.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ASKING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def lost_interruptions() -> Iterator[Callable[[], None]]:
    """What is yielded raises KeyboardInterrupt where one of the block's has been lost.

    The handlers that are installed stay in force, and leave a mark. Signals reach the main thread alone; in
    any other nothing is done.
    """
    asked = False

    def check() -> None:
        if asked:
            raise KeyboardInterrupt

    def marking(
        handler: Callable[[int, FrameType | None], object],
    ) -> Callable[[int, FrameType | None], None]:
        def handle(number: int, frame: FrameType | None) -> None:
            nonlocal asked
            asked = True
            handler(number, frame)

        return handle

    if threading.current_thread() is not threading.main_thread():
        yield check
        return
    before = {number: signal.getsignal(number) for number in ASKING}
    try:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, marking(handler))
        yield check
    finally:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)
