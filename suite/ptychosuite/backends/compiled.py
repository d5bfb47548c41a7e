"""Functions that Numba compiles for NumPy arrays, beside the plain ones they stand in for.

A plain function says what is computed, serves torch and CuPy, and is what the tests compare with. It goes
through memory once an operation; the fused loop of the same name and arguments, in the module ``X_kernels``
beside the plain one's ``X``, once. :func:`accelerated` chooses.

The loops run along rows that are contiguous in memory, which is what lets the compiler use vector
instructions. None of them changes its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
T = TypeVar("T")


def accelerated(plain: Callable[P, T]) -> Callable[P, T]:
    """Let the function of the same name in the module ``X_kernels`` stand in for ``plain``, on NumPy arrays.

    The plain form stays at hand as ``__wrapped__``. The first argument decides.
    """

    fused: Callable[P, T] | None = None

    @wraps(plain)
    def chosen(*args: P.args, **kwargs: P.kwargs) -> T:
        nonlocal fused
        if not isinstance(args[0], np.ndarray):
            return plain(*args, **kwargs)
        if fused is None:  # Numba is imported only when it is needed
            fused = getattr(import_module(f"{plain.__module__}_kernels"), plain.__name__)
        return fused(*args, **kwargs)

    return chosen


def compiled(function: Any, **options: Any) -> Any:
    """``function``, compiled at its first call and kept on the disk for the next process."""
    import numba

    options = {"error_model": "numpy", "nogil": True, **options}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither this folder nor the user's cache can be written
        return numba.njit(**options)(function)


def compiled_sum(function: Any) -> Any:
    """As :func:`compiled`, for sums in double precision: any order will do, so they vectorise."""
    return compiled(function, fastmath={"reassoc", "nsz"})


def kernel_modules() -> list[str]:
    """Every module of compiled functions in this package, for a process that loads them ahead."""
    package = Path(__file__).parents[1]
    files = sorted(package.rglob("*_kernels.py"))
    return [".".join((package.name, *file.relative_to(package).with_suffix("").parts)) for file in files]
