"""One pool of GPU memory a worker, shared by CuPy and torch through RMM."""

from __future__ import annotations

from importlib.util import find_spec

from suite.errors import ClusterError

POOL = 0.5  # of a GPU's memory at the start; the pool grows when that is not enough


def check_rmm() -> None:
    """Raise ClusterError where RMM is not installed."""
    if find_spec("rmm") is None:
        raise ClusterError(
            "a pool of GPU memory needs RMM, which is not installed; pip install 'ptychosuite[gpu]', "
            "or write 'rmm_pool: null' in the cluster file"
        )


def allocator_libraries() -> list[str]:
    """The installed ones of the libraries that can take their memory from RMM."""
    return [library for library in ("cupy", "torch") if find_spec(library) is not None]
