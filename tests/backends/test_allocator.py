"""Freed memory stays with a process that reconstructs, also under Dask's settings for its workers."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

OF_DASK = {"MALLOC_TRIM_THRESHOLD_": "65536"}  # distributed.nanny.pre-spawn-environ
FAULTS_OF_100_ARRAYS = """
import resource, threading
import numpy as np
from ptychosuite.backends.allocator import keep_freed_memory

def make_and_drop(number):
    for _ in range(number):
        np.ones(1 << 17)  # 1 MiB: 256 pages, too little for a huge one

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def measure():
    make_and_drop(10)
    before = faults()
    make_and_drop(100)
    print(faults() - before)

{first}
thread = threading.Thread(target=measure)  # as a worker carries out its runs
thread.start()
thread.join()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
@pytest.mark.parametrize("variables", [{}, OF_DASK], ids=["glibc", "dask"])
def test_arrays_take_no_new_pages(variables: dict[str, str]) -> None:
    assert _faults("keep_freed_memory()", variables) < 1_000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_they_do_without_under_dask() -> None:
    """Else there is nothing to do, and the module can go."""
    assert _faults("", OF_DASK) > 10_000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_much_is_given_back_and_little_is_kept() -> None:
    """Before a run begins: its peak is its own."""
    code = """
import gc, sys
import numpy as np, psutil
from ptychosuite.backends.allocator import give_back_much, keep_freed_memory

keep_freed_memory()
held = lambda: psutil.Process().memory_info().rss
np.ones(10)
before = held()
arrays = [np.ones(1 << 17) for _ in range(int(sys.argv[1]))]  # 1 MiB each
del arrays
gc.collect()
kept = held() - before
give_back_much()
print(kept >> 20, held() - before >> 20)
"""
    for number, expected in ((100, 0), (20, 20)):
        found = subprocess.run([sys.executable, "-c", code, str(number)], capture_output=True, text=True)
        kept, left = map(int, found.stdout.split())
        assert kept == pytest.approx(number, abs=4)
        assert left == pytest.approx(expected, abs=4)


def test_dask_has_these_settings() -> None:
    import dask.config
    import distributed  # noqa: F401  it brings the configuration

    assert str(dask.config.get("distributed.nanny.pre-spawn-environ")["MALLOC_TRIM_THRESHOLD_"]) == "65536"


def _faults(first: str, variables: dict[str, str]) -> int:
    others = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    code = FAULTS_OF_100_ARRAYS.format(first=first)
    ended = subprocess.run(
        [sys.executable, "-c", code], env={**others, **variables}, capture_output=True, text=True, check=True
    )
    return int(ended.stdout)
