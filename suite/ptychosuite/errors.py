"""Errors a user can act on, and those that say that there is no result, no number, or nothing to draw.

Each message of a :class:`UserError` says what was found, what was expected and what to do. The command line
prints the message alone, without a traceback, and leaves with ``exit_code``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_NAMES = 24  # in one message
LONGEST = 1_200  # characters of what is said of a study


class HopelessRun(Exception):
    """What a run asks for cannot be computed: it has failed, with this message; other runs go on."""


def printable(text: str, kept: str = "\n") -> str:
    """``text`` with the characters written out that steer a terminal or turn its direction, but ``kept``."""
    return "".join(c if c.isprintable() or c in kept else ascii(c)[1:-1] for c in text)


class UserError(Exception):
    """Something the user can put right.

    What files call their parts goes to a terminal: characters that steer one are written out.
    """

    exit_code = 2

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message))


class StudyError(UserError):
    """A study file that cannot be run as it stands, in one line."""

    def __init__(self, message: str = "") -> None:
        text = printable(message, kept="")
        super().__init__(text if len(text) <= LONGEST else text[: LONGEST - 3] + "...")


class DataFileError(UserError):
    """An input file (image, probe, object, scan) that is missing, unreadable or unsuitable."""


class BackendError(UserError):
    """An array backend, a device or a solver's package that is not available here."""


class ClusterError(UserError):
    """A Dask cluster that could not be started or reached."""


class StoreError(UserError):
    """A results folder that cannot be read or written, in one line whatever its files are called."""

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(message, kept=""))


class DamagedFile(StoreError):
    """One file of a results folder that is not what it should be; the others are unharmed."""


class FigureError(UserError):
    """Figures that ``failed`` for an error in their code; everything else is written to ``place``."""

    exit_code = 1

    def __init__(self, failed: str, place: object) -> None:
        super().__init__(f"{failed}; everything else, and the traceback, is in {place}")
        self.failed = failed


class LackingFiles(FigureError):
    """Pictures that are missing as their files are ``damaged``; everything else is written to ``place``."""

    def __init__(self, damaged: str, place: object) -> None:
        UserError.__init__(self, f"{damaged}; everything else is in {place}")
        self.failed = damaged


class BaselineError(UserError):
    """A baseline that cannot be saved, found or read."""


class RevisionError(UserError):
    """A revision, release or interpreter to compare with that does not exist."""


class TimingError(UserError):
    """A side of a timing comparison that could not be built, started or heard: nothing can be judged."""

    exit_code = 3


class NothingToDraw(Exception):
    """The runs a figure is about have no results yet; the page says so in its place."""


class CannotAdvance(Exception):
    """Raised on purpose by an operator or a solver that cannot go on from the numbers that it has.

    After a jump it rejects the jump. No fault of the program; see
    :func:`ptychosuite.backends.arrays.numerical_errors` for the others of its kind.
    """


def nearest(found: str, valid: Iterable[str]) -> str:
    """Say which valid name is meant, or list them all: the tail of an error message."""
    names = sorted(valid)
    close = difflib.get_close_matches(found, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean '{close[0]}'?"
    if len(names) > MOST_NAMES:
        names = [*names[:MOST_NAMES], "..."]
    return "valid: " + ", ".join(names) if names else "none is valid here"
