"""Who is at which run, so that several sweeps share the work of one results folder.

::

    .claims/<sweep>.sweep      host and process of a sweep; renewed for as long as it is at work
    .claims/<run_id>.<n>       the sweep that is at this run; the n-th, those before it being no more

A file is made in one step, and who makes it first has the run, as it is with results. A sweep is no more
where its process on this host is gone, where its file is missing, or where that has not changed for
``LEASE_S`` seconds by the clock of who waits. Should two be at a run after all, the first result stays:
claims save work, and protect nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from itertools import count
from uuid import uuid4

from ptychosuite.errors import StoreError, printable
from ptychosuite.store.layout import Store
from ptychosuite.store.place import Place, is_alive

LEASE_S = 60.0  # a sweep that has not been heard of for so long is taken to be no more
LOST_S = 900.0  # the same by the clocks of two machines, for those who cannot wait and see
SWEEP = ".sweep"
NOT_YET_WRITTEN = b""  # a claim that is just being made, or whose maker was killed at that


class Claim(Enum):
    """What came of asking for a run."""

    NEW = "nobody was at it"
    AGAIN = "this sweep has it already"
    ELSEWHERE = "another sweep is at it"


@dataclass(frozen=True)
class Claims:
    """The claims of one sweep; without a name it shares its folder with nobody, and gets every run.

    Parameters
    ----------
    store
        The results folder.
    sweep
        Names the sweep.
    """

    store: Store
    sweep: str = ""
    _number: dict[str, int] = field(default_factory=dict)  # run_id -> n of its claim
    _seen: dict[str, tuple[bytes, float]] = field(
        default_factory=dict
    )  # of other sweeps: file, and since when

    @property
    def folder(self) -> Place:
        return self.store.root / ".claims"

    def take(self, run_id: str) -> Claim:
        """Ask for a run. What it is asked for may have ended before: look after, not before."""
        if not self.sweep:
            return Claim.AGAIN
        number = 1
        while not (self.folder / f"{run_id}.{number}").create(self.sweep.encode(), durable=False):
            holder = _content(self.folder / f"{run_id}.{number}")
            if holder == self.sweep:
                self._number[run_id] = number
                return Claim.AGAIN
            if holder is not None and self.is_at_work(holder):
                return Claim.ELSEWHERE
            number = 1 if holder is None else number + 1  # None: it has just been given back
        self._number[run_id] = number
        return Claim.NEW

    def give_back(self, run_id: str) -> None:
        """A run that has ended, and is stored: whoever finds no claim finds that."""
        if not self.sweep:
            return
        if run_id not in self._number:  # it was taken in another process
            self.take(run_id)
        for number in range(self._number.pop(run_id, 0), 0, -1):
            (self.folder / f"{run_id}.{number}").delete()

    def is_free(self, run_id: str) -> bool:
        """Whether no other sweep is at a run."""
        for number in count(1):
            claim = self.folder / f"{run_id}.{number}"
            holder = _content(claim)
            if holder is None:
                return True
            if holder == self.sweep:
                continue
            if self.is_at_work(holder):
                return False
            with contextlib.suppress(StoreError):  # now its end is known to all
                (self.folder / f"{holder}{SWEEP}" if holder else claim).delete()
        raise AssertionError("counting has no end")

    def holder(self, run_id: str) -> str:
        """The other sweep that is at a run; empty where there is none."""
        for number in count(1):
            sweep = _content(self.folder / f"{run_id}.{number}")
            if sweep is None:
                return ""
            if sweep != self.sweep and self.is_at_work(sweep):
                return sweep
        raise AssertionError("counting has no end")

    def told(self, sweep: str) -> str:
        """Another sweep in words: where it is at work, and since when."""
        try:
            found = json.loads((self.folder / f"{sweep}{SWEEP}").read())
            since = f", since {found['began']}" if "began" in found else ""
            return printable(
                f"another sweep on {found['host']} (process {found['pid']}{since})"[:200], kept=""
            )
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return "another sweep"

    def is_at_work(self, sweep: str) -> bool:
        """Whether another sweep is there."""
        try:
            content = (self.folder / f"{sweep}{SWEEP}").read() if sweep else NOT_YET_WRITTEN
        except (FileNotFoundError, NotADirectoryError):
            return False
        seen, since = self._seen.get(sweep, (None, 0.0))
        if content != seen:
            _, since = self._seen[sweep] = (content, time.monotonic())
        return not _has_died(content) and time.monotonic() - since <= LEASE_S

    def others(self) -> list[str]:
        """Other sweeps that are at work in the folder."""
        names = [key.removesuffix(SWEEP) for key in self.folder.files() if key.endswith(SWEEP)]
        return [name for name in names if name != self.sweep and self.is_at_work(name)]

    def expired(self) -> list[Place]:
        """Files of sweeps that are no more, and their claims."""
        holders: dict[Place, str | None] = {}
        for key in self.folder.files():
            file = self.folder / key
            holders[file] = key.removesuffix(SWEEP) if key.endswith(SWEEP) else _content(file)
        return [file for file, who in holders.items() if who is not None and not self.is_at_work(who)]


@contextmanager
def sharing(store: Store) -> Iterator[Claims]:
    """The claims of a sweep that begins; other sweeps respect them until the end of the block."""
    claims = Claims(store, uuid4().hex)
    file, ended = claims.folder / f"{claims.sweep}{SWEEP}", threading.Event()
    began = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())

    def renew() -> None:
        while not ended.wait(LEASE_S / 4):
            with contextlib.suppress(StoreError):  # the next attempt may get through
                file.replace(_sign_of_life(began))

    file.replace(_sign_of_life(began))
    if not claims.others():
        for claim in claims.expired():
            claim.delete()
    renewer = threading.Thread(target=renew, daemon=True)
    renewer.start()
    try:
        yield claims
    finally:
        ended.set()
        renewer.join()
        with contextlib.suppress(StoreError):  # a full disk is told by what met it; the lease ends by itself
            file.delete()
            for key in claims.folder.files():
                if not key.endswith(SWEEP) and _content(claims.folder / key) == claims.sweep:
                    (claims.folder / key).delete()


def _content(file: Place) -> str | None:
    try:
        return file.read().decode(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None


def _sign_of_life(began: str) -> bytes:
    holder = {"host": os.uname().nodename, "pid": os.getpid(), "began": began, "renewed": time.time()}
    return json.dumps(holder).encode()


def _has_died(content: bytes) -> bool:
    """Whether a sweep has gone without a word: from this host, or long ago."""
    try:
        holder = json.loads(content)
        here = holder["host"] == os.uname().nodename
        return bool(
            time.time() - float(holder["renewed"]) > LOST_S or (here and not is_alive(int(holder["pid"])))
        )
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return False  # until its lease ends
