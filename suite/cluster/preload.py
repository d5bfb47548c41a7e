"""What a worker process does before its first run."""

from __future__ import annotations

import contextlib
import signal
from typing import Any


def dask_setup(worker: Any) -> None:
    """Leave Ctrl-C to the client, which takes its workers down in good order."""
    with contextlib.suppress(ValueError):  # not in the main thread: a worker inside somebody's program
        signal.signal(signal.SIGINT, signal.SIG_IGN)
