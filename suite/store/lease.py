"""A lock on object storage: an object that its holder renews, and that others take over when he does not."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from typing import TYPE_CHECKING
from uuid import uuid4

from suite.errors import StoreError
from suite.store.place import is_alive

if TYPE_CHECKING:
    from suite.store.objects import ObjectPlace

POLL_S = 0.2
LEASE_S = 60.0  # a lock that has not been renewed for so long is nobody's


class Lease:
    """Holding a lock object: made by a conditional request, renewed by a thread, deleted at the end.

    A holder that was killed is recognised by its process id on its own host, elsewhere by an object that
    has not changed for ``LEASE_S`` seconds of the waiting process' clock.
    """

    def __init__(self, lock: ObjectPlace) -> None:
        self._lock = lock
        self._holder = {"host": os.uname().nodename, "pid": os.getpid(), "id": uuid4().hex}
        self._e_tag = ""
        self._released = threading.Event()
        self._renewer = threading.Thread(target=self._renew, daemon=True)

    def acquire(self) -> None:
        seen, since = "", time.monotonic()
        while not self._lock.create(self._content()):
            try:
                content, e_tag = self._lock.version()
            except FileNotFoundError:
                continue
            if e_tag != seen:
                seen, since = e_tag, time.monotonic()
            if content == self._content():  # our request came through, its answer did not
                break
            stale = _has_died(content) or time.monotonic() - since > LEASE_S
            if stale and self._lock.put_if(self._content(), e_tag):
                break
            time.sleep(POLL_S)
        self._e_tag = self._lock.version()[1]
        self._renewer.start()

    def release(self) -> None:
        self._released.set()
        self._renewer.join()
        with contextlib.suppress(FileNotFoundError):
            if self._lock.version()[1] == self._e_tag:
                self._lock.delete()

    def _content(self) -> bytes:
        return json.dumps(self._holder).encode()

    def _renew(self) -> None:
        while not self._released.wait(LEASE_S / 4):
            self._holder["renewed"] = time.time()
            with contextlib.suppress(StoreError):  # the next attempt may get through
                self._e_tag = self._lock.put_if(self._content(), self._e_tag) or self._e_tag


def _has_died(content: bytes) -> bool:
    holder = json.loads(content)
    return holder["host"] == os.uname().nodename and not is_alive(holder["pid"])
