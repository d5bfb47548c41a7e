"""What commands do on a terminal beside printing: follow work, and end on Ctrl-C."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import NoReturn

import click

from ptychosuite.api.progress import Progress

INTERRUPTED = 130


def followed(quiet: bool = False) -> Progress:
    """Progress whose lines go to stdout, or to stderr where ``quiet`` keeps stdout for a machine."""
    return Progress(say=partial(click.echo, err=quiet))


@contextmanager
def stoppable(stopped: str) -> Iterator[None]:
    """Ctrl-C, and a batch system's polite request, end the program and say ``stopped``."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"\nstopped; {stopped}", err=True)
        sys.exit(INTERRUPTED)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
