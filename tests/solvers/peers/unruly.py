"""A peer that does what a test tells it to; needs nothing but NumPy."""

from __future__ import annotations

import os
import signal
import time

import numpy as np

package = "numpy"


def load() -> None:
    if "UNRULY_IS_MISSING" in os.environ:
        raise ImportError("No module named 'unruly'")


class Running:
    """Keeps the start as it is, and misbehaves in the epoch it is told to."""

    def __init__(self, settings, task):
        self.settings, self.task, self.epochs, self.has_jumped = settings, task, 0, False

    @property
    def data_passes(self):
        return self.epochs

    def epoch(self, batches):
        self.epochs += 1
        if self.epochs >= self.settings["after"]:
            getattr(self, self.settings["does"])()

    def arrays(self):
        return {"object": self.task.object, "probe": self.task.probe}

    def go_to(self, obj, probe):
        self.has_jumped = True

    def modelled(self):
        return np.array([os.getpid()])

    def nothing(self):
        pass

    def crash(self):
        os.kill(os.getpid(), signal.SIGSEGV)

    def leave(self):
        os._exit(3)

    def hang(self):
        time.sleep(600)

    def fail(self):
        raise FloatingPointError("no step length found")

    def stumble(self):
        if self.has_jumped:
            self.fail()

    def break_(self):
        if self.has_jumped:
            raise KeyError("what was never there")

    def leak(self):
        kept = []
        while True:
            kept.append(np.empty(2**27))  # a gigabyte, never written

    def invent(self):
        self.task.object[:] = np.nan

    def meddle(self):
        os.chdir("/")
        os.environ["OMP_NUM_THREADS"] = "64"
        print("chatter" * 1000)


def begin(settings, task):
    return Running(settings, task)
