"""Imported in the process from which local workers are forked: it takes with it whatever they leave behind.

That process notices that the sweep's own is gone, killed outright included, and ends.
"""

from __future__ import annotations

import atexit
import os
import sys
import warnings

import psutil

from ptychosuite.cluster.preload import adopt_orphans
from ptychosuite.execute.belongings import end_all

FORKSERVER = "multiprocessing.forkserver"


def _end_all_below(process: int) -> None:
    if os.getpid() == process:  # and no copy of it
        end_all(psutil.Process().children(recursive=True))


if any(FORKSERVER in word for word in sys.orig_argv):
    adopt_orphans()
    warnings.filterwarnings("ignore", "forkserver: waitpid returned")  # one of those orphans has ended
    atexit.register(_end_all_below, os.getpid())
