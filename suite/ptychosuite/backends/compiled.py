"""Functions with a fused form beside the plain one: by Numba for NumPy, by Triton for torch on a GPU.

A plain function says what is computed, serves every library, and is what the tests compare with. It goes
through memory once an operation; the fused form of the same name and arguments, in the module ``X_kernels``
(Numba) or ``X_triton`` beside the plain one's ``X``, once. :func:`accelerated` chooses.

Numba's loops run along rows that are contiguous in memory, which is what lets the compiler use vector
instructions. A fused form changes an argument only where the plain one does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, wraps
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import array_api_compat
import numpy as np

from ptychosuite.backends.arrays import is_on_gpu

P = ParamSpec("P")
T = TypeVar("T")

NUMBA, TRITON = "kernels", "triton"


def accelerated(plain: Callable[P, T]) -> Callable[P, T]:
    """Let a fused function of the same name stand in for ``plain`` where there is one for its arrays.

    On NumPy arrays that is the one in the module ``X_kernels``; on torch's arrays on a GPU, where Triton is
    installed and no gradient is followed to any argument, the one in ``X_triton``. A function has one of them
    or both. The plain form stays at hand as ``__wrapped__``. The first argument says library and device.
    """

    fused: dict[str, Callable[P, T]] = {}

    @wraps(plain)
    def chosen(*args: P.args, **kwargs: P.kwargs) -> T:
        by = compiler_of(args[0])
        if by is None:
            return plain(*args, **kwargs)
        if by not in fused:  # compilers are imported only when they are needed
            form = _of_module(f"{plain.__module__}_{by}", plain.__name__) or plain
            fused[by] = form if by == NUMBA else _without_gradients(form, plain)
        return fused[by](*args, **kwargs)

    return chosen


def _without_gradients(form: Callable[P, T], plain: Callable[P, T]) -> Callable[P, T]:
    """``form``, and ``plain`` where torch follows the gradient to an argument: it sees into no kernel."""

    def chosen(*args: P.args, **kwargs: P.kwargs) -> T:
        followed = any(getattr(x, "requires_grad", False) for x in (*args, *kwargs.values()))
        return (plain if followed else form)(*args, **kwargs)

    return chosen


def plain_form(function: Any) -> Any:
    """The plain form of an accelerated function."""
    return function.__wrapped__


def compiler_of(x: Any) -> str | None:
    """Which compiler's functions work on ``x``; None where the plain ones do."""
    if isinstance(x, np.ndarray):
        return NUMBA
    if array_api_compat.is_torch_array(x) and is_on_gpu(x) and has_triton():
        return TRITON
    return None


@cache
def has_triton() -> bool:
    """Whether Triton is installed; it comes with torch's CUDA builds for Linux."""
    return find_spec("triton") is not None


def _of_module(module: str, name: str) -> Any:
    """A function of a module; None where either is not there."""
    return getattr(import_module(module), name, None) if find_spec(module) else None


def images(result: np.ndarray, *arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Image by image, flat and contiguous: ``arrays``, which broadcast to ``result``, and ``result``.

    ``result`` is (..., m, k), what is made of it (m * k,).
    """
    if result.ndim <= 2:  # one alone, as a sweep asks for some ten times a pattern
        same = [x if x.shape == result.shape else np.broadcast_to(x, result.shape) for x in arrays]
        yield *[x.ravel() for x in same], result.ravel()
        return
    size, n = result.shape[-2] * result.shape[-1], result.size // (result.shape[-2] * result.shape[-1])
    if any(x.size not in (size, result.size) for x in arrays):  # several modes on several patches
        arrays = tuple(np.broadcast_to(x, result.shape) for x in arrays)
    flat = [np.ascontiguousarray(x).reshape(-1, size) for x in arrays]
    for k, image in enumerate(result.reshape(n, size)):
        yield (*(x[k % len(x)] for x in flat), image)


def compiled(function: Any, **options: Any) -> Any:
    """``function``, compiled by Numba at its first call and kept on the disk for the next process."""
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
    """Every module of Numba's functions in this package, for a process that loads them ahead."""
    return modules_of(NUMBA)


def modules_of(compiler: str) -> list[str]:
    """Every module of functions of one compiler in this package."""
    package = Path(__file__).parents[1]
    files = sorted(package.rglob(f"*_{compiler}.py"))
    return [".".join((package.name, *file.relative_to(package).with_suffix("").parts)) for file in files]
