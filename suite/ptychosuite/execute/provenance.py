"""Where a result comes from (code, packages, machine, threads), and how much memory it took."""

from __future__ import annotations

import contextlib
import os
import platform
import socket
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from threadpoolctl import ThreadpoolController

from ptychosuite import __version__
from ptychosuite.backends.arrays import Backend
from ptychosuite.core.runs import RunSpec
from ptychosuite.registry.fingerprint import code_of, package_fingerprint

PACKAGES = (
    "numpy", "scipy", "numba", "ducc0", "torch", "cupy-cuda13x", "array-api-compat", "scikit-image", "h5py",
    "dask", "distributed", "dask-cuda", "xarray", "zarr", "pydantic", "matplotlib",
    "safetensors", "ptychi", "cdtools-py", "ptylab",
)  # fmt: skip
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def now() -> str:
    """The time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@cache
def environment() -> dict[str, Any]:
    """What stays the same while this process lives: the sources of ptychosuite, packages, machine."""
    return {
        "ptychosuite": __version__,
        "sources": package_fingerprint(),
        **_git(),
        "python": sys.version.split()[0],
        "packages": {name: _version(name) for name in PACKAGES if _version(name)},
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "instructions": _instructions(),
        "cpu_count": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
    }


def run_provenance(backend: Backend, pools: ThreadpoolController) -> dict[str, Any]:
    """The environment, with what may differ from run to run: device, threads and cores."""
    return {
        **environment(),
        **backend.device_description(),
        "threads": {
            **{name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
            **{pool["user_api"]: pool["num_threads"] for pool in pools.info()},
            **_torch_threads(),
        },
        "cores": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [],
        "process": os.getpid(),
    }


def code_provenance(spec: RunSpec) -> dict[str, Any]:
    """The fingerprint of the code that ``spec`` depends on; plug-ins and peers that are part of it."""
    code = code_of(spec)
    return {"code": code.fingerprint, "code_packages": dict(code.packages)}


def _torch_threads() -> dict[str, int]:
    torch = sys.modules.get("torch")
    return {"torch": torch.get_num_threads()} if torch else {}


def _git() -> dict[str, Any]:
    """Commit and whether files differ from it; empty where the code is not in a git checkout."""
    folder = Path(__file__).resolve().parents[3]
    if not (folder / ".git").exists():
        return {}
    try:
        commit = _git_output(folder, "rev-parse", "HEAD")
        dirty = bool(_git_output(folder, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return {}
    return {"git_commit": commit, "git_dirty": dirty}


def _git_output(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _cpu_model() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def _instructions() -> str:
    """Sets of vector instructions that NumPy found: processors of one model name may differ in them."""
    found: dict[str, Any] = np.show_config(mode="dicts")  # type: ignore[assignment]
    simd = found.get("SIMD Extensions", {})
    return " ".join([*simd.get("baseline", ()), *simd.get("found", ())])


RESET_PEAK = "5"  # what /proc/PID/clear_refs takes for "begin anew with VmHWM"; see man proc
CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def reset_peak_host() -> None:
    """Begin to watch the peak of this process's memory anew, where the system can."""
    global _watched
    try:
        Path("/proc/self/clear_refs").write_text(RESET_PEAK)
        _watched = True
    except OSError:
        _watched = False


_watched = False


def peak_host_bytes() -> float | None:
    """Most memory held by this process, interpreter and libraries too, since :func:`reset_peak_host`.

    None where the system cannot tell.
    """
    if not _watched:
        return None
    status = Path("/proc/self/status").read_text()
    return next(float(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def machine_memory_bytes() -> int:
    """Memory of this machine, or the share of it that a container or batch job may use."""
    limits = [psutil.virtual_memory().total]
    for file in CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # another cgroup version, or "max"
            limits.append(int(file.read_text()))
    return min(limits)
