"""What a worker process does before its first run."""

from __future__ import annotations

import contextlib
import signal
import sys
from typing import Any


def dask_setup(worker: Any) -> None:
    """Leave Ctrl-C to the client, which takes its workers down in good order; hold no line of output back."""
    with contextlib.suppress(ValueError):  # not in the main thread: a worker inside somebody's program
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(AttributeError):  # somebody's program has put something else there
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
