"""Array libraries and devices. The only module that knows which ones exist.

Numerical code takes its namespace from its arrays (:func:`namespace`) and runs unchanged on NumPy,
torch (CPU, CUDA) and CuPy. What the array-API standard leaves open (transforms, copies between host
and device, synchronisation) is here.

Conventions: the forward DFT is unnormalised, the inverse carries 1/m^2, and the zero frequency is at
index [0, 0].
"""

from __future__ import annotations

import sys
import uuid
from dataclasses import dataclass
from typing import Any

import array_api_compat
import array_api_compat.numpy
import numpy as np
import scipy.fft
from jaxtyping import Complex, Float, Inexact, Shaped

from ptychosuite.errors import BackendError, CannotAdvance, nearest

try:
    import ducc0.fft as ducc
except ImportError:
    ducc = None

CACHED_BYTES = 2**16  # larger patterns are transformed one by one: a stack of them would leave the cache

Array = Any
"""An array of any supported library; ``Complex[Array, "n m m"]`` and the like name shapes and kinds."""

BACKENDS = ("numpy", "torch", "torch-cuda", "cupy")
GPU_BACKENDS = ("torch-cuda", "cupy")


@dataclass(frozen=True)
class Backend:
    """One array library on one device."""

    name: str
    device: str  # "cpu" or "cuda"
    library: Any  # the array-API namespace

    def asarray(self, array: Shaped[np.ndarray, "*d"], dtype: str | None = None) -> Shaped[Array, "*d"]:
        """Copy a host array to this backend's device, as ``dtype`` where one is given."""
        host = np.array(array, dtype=dtype or array.dtype, order="C")
        return self.library.asarray(host, **self.placement)

    @property
    def placement(self) -> dict[str, str]:
        """Arguments that make an array on this backend's device."""
        return {"device": self.device} if self.name.startswith("torch") else {}

    @property
    def _torch(self) -> Any:
        import torch

        return torch

    def synchronise(self) -> None:
        """Wait until the device has done all that was asked of it."""
        if self.name == "torch-cuda":
            self._torch.cuda.synchronize()
        elif self.name == "cupy":
            self.library.cuda.get_current_stream().synchronize()

    def reset_peak_memory(self) -> None:
        """Begin to count device memory afresh; what nobody uses any more is given back to the device.

        That is also what recordings of earlier runs have left (:mod:`ptychosuite.backends.recorded`), which
        nothing else would take.
        """
        if self.name == "cupy":  # recordings take of its own pool, whoever gives out the rest
            self.library.get_default_memory_pool().free_all_blocks()
        elif self._counts_memory:
            self._torch.cuda.empty_cache()
            self._torch.cuda.reset_peak_memory_stats()

    def peak_memory_bytes(self) -> int | None:
        """Most device memory since :meth:`reset_peak_memory`; CuPy's includes its pool's.

        None on the CPU, and where the memory comes from another library's pool, as RMM's on a CUDA cluster:
        then neither torch nor CuPy counts it.
        """
        if not self._counts_memory:
            return None
        if self.name == "torch-cuda":
            return int(self._torch.cuda.max_memory_allocated())
        return int(self.library.get_default_memory_pool().total_bytes())

    @property
    def _counts_memory(self) -> bool:
        """Whether the library itself has given out the memory of the device, and knows how much."""
        if self.name == "torch-cuda":
            return bool(self._torch.cuda.get_allocator_backend() != "pluggable")
        if self.name == "cupy":
            own = self.library.get_default_memory_pool().malloc
            return bool(self.library.cuda.get_allocator() == own)
        return False

    def memory_bytes(self) -> int | None:
        """Memory of the device; None on the CPU."""
        if self.name == "torch-cuda":
            return int(self._torch.cuda.mem_get_info()[1])
        if self.name == "cupy":
            return int(self.library.cuda.runtime.memGetInfo()[1])
        return None

    def device_description(self) -> dict[str, str]:
        """Model, UUID and driver of the device, for provenance. Empty on the CPU."""
        if self.device == "cpu":
            return {}
        if self.name == "cupy":
            runtime = self.library.cuda.runtime
            properties = runtime.getDeviceProperties(runtime.getDevice())
            model, cuda = properties["name"].decode(), str(runtime.runtimeGetVersion())
            identifier = str(uuid.UUID(bytes=bytes(properties["uuid"])))
        else:
            properties = self._torch.cuda.get_device_properties(self._torch.cuda.current_device())
            model, cuda = properties.name, self._torch.version.cuda or ""
            identifier = str(properties.uuid)
        return {
            "gpu_model": model,
            "gpu_uuid": identifier,
            "gpu_driver": _nvidia_driver_version(),
            "cuda_version": cuda,
        }


def backend(name: str) -> Backend:
    """Look up a backend by name.

    Raises
    ------
    BackendError
        The name is unknown, its package is not installed, or no device answers.
    """
    if name == "numpy":
        return Backend(name, "cpu", array_api_compat.numpy)
    if name in ("torch", "torch-cuda"):
        return _torch_backend(name)
    if name == "cupy":
        return _cupy_backend()
    raise BackendError(f"unknown backend '{name}'; {nearest(name, BACKENDS)}")


def _torch_backend(name: str) -> Backend:
    try:
        import array_api_compat.torch as library
        import torch
    except ImportError as error:
        raise BackendError(
            f"backend '{name}' needs PyTorch, which cannot be imported ({error}); pip install torch"
        ) from error
    if name == "torch":
        return Backend(name, "cpu", library)
    if not torch.cuda.is_available():
        raise BackendError(
            "backend 'torch-cuda' needs a CUDA device, and this PyTorch "
            f"({torch.__version__}) sees none; use backend 'torch', or install a CUDA build of torch"
        )
    return Backend(name, "cuda", library)


def _cupy_backend() -> Backend:
    try:
        import array_api_compat.cupy as library
    except ImportError as error:
        raise BackendError(
            "backend 'cupy' needs CuPy, which is not installed; "
            "pip install 'ptychosuite[gpu]', or use backend 'numpy'"
        ) from error
    try:
        devices = library.cuda.runtime.getDeviceCount()
    except Exception as error:  # CuPy raises its own CUDARuntimeError without a driver
        raise BackendError(f"backend 'cupy' found no CUDA device ({error}); use backend 'numpy'") from error
    if devices == 0:
        raise BackendError("backend 'cupy' found no CUDA device; use backend 'numpy'")
    return Backend("cupy", "cuda", library)


def _nvidia_driver_version() -> str:
    try:
        with open("/proc/driver/nvidia/version") as file:
            return file.readline().strip()
    except OSError:
        return ""


def numerical_errors() -> tuple[type[Exception], ...]:
    """The errors that numerics can raise, and the only ones that are a verdict on what was tried.

    They are overflow, division by zero, a linear system that cannot be solved, and what is raised on purpose:
    :class:`ptychosuite.errors.CannotAdvance`. Every other error is a fault of the program and fails the run,
    ValueError and memory that runs out included: more memory would have let the run go on.
    """
    torch = sys.modules.get("torch")  # its errors exist only where it is loaded; CuPy raises NumPy's
    of_torch = (torch.linalg.LinAlgError,) if torch else ()
    return (CannotAdvance, ArithmeticError, np.linalg.LinAlgError, *of_torch)


def namespace(*arrays: Shaped[Array, "*_"]) -> Any:
    """The array-API namespace of ``arrays``."""
    return array_api_compat.array_namespace(*arrays)


def is_on_gpu(x: Shaped[Array, "*_"]) -> bool:
    """Whether ``x`` lies in the memory of a CUDA device."""
    return not isinstance(x, np.ndarray) and not str(array_api_compat.device(x)).startswith("cpu")


def fft2(x: Complex[Array, "*n m k"]) -> Complex[Array, "*n m k"]:
    """Unnormalised forward DFT over the last two axes, in the precision of ``x``."""
    if isinstance(x, np.ndarray):
        return _host_transform(x, forward=True)
    return namespace(x).fft.fftn(x, axes=(-2, -1))


def ifft2(x: Complex[Array, "*n m k"]) -> Complex[Array, "*n m k"]:
    """Inverse of :func:`fft2`; carries the factor 1/m^2."""
    if isinstance(x, np.ndarray):
        return _host_transform(x, forward=False)
    return namespace(x).fft.ifftn(x, axes=(-2, -1))


def _host_transform(x: np.ndarray, forward: bool) -> np.ndarray:
    """By the fastest library that is installed.

    ducc0 (the extra ``fast``) is measured 1.5 times as fast as SciPy in complex64, 2.5 in complex128.
    Neither makes plans that depend on a clock, so results repeat bit for bit.
    """
    if ducc is None:
        return (scipy.fft.fft2 if forward else scipy.fft.ifft2)(x, axes=(-2, -1))
    norm = 0 if forward else 2
    if x.ndim == 2 or x[0].nbytes < CACHED_BYTES:
        return ducc.c2c(x, axes=(-2, -1), forward=forward, inorm=norm)
    result = np.empty_like(x, order="C")
    for index in np.ndindex(x.shape[:-2]):
        ducc.c2c(x[index], axes=(0, 1), forward=forward, inorm=norm, out=result[index])
    return result


def modulus(x: Complex[Array, "*d"]) -> Float[Array, "*d"]:
    """|x| of a complex array; several times faster than ``abs``, which guards against overflow."""
    return namespace(x).sqrt(squared_modulus(x))


def squared_modulus(x: Complex[Array, "*d"]) -> Float[Array, "*d"]:
    """|x|^2 of a complex array, real."""
    return x.real**2 + x.imag**2


def as_reals(x: Complex[Array, "*d"]) -> Float[Array, "*d 2"]:
    """Real and imaginary parts on a last axis of two; a view where ``x`` is contiguous."""
    xp = namespace(x)
    if array_api_compat.is_torch_array(x):
        return xp.view_as_real(x)
    return xp.ascontiguousarray(x).view(x.real.dtype).reshape(*x.shape, 2)


def as_complex(x: Float[Array, "*d 2"]) -> Complex[Array, "*d"]:
    """Back from :func:`as_reals`."""
    xp = namespace(x)
    if array_api_compat.is_torch_array(x):
        return xp.view_as_complex(x)
    return xp.ascontiguousarray(x).view(xp.result_type(x.dtype, xp.complex64))[..., 0]


def divide(x: Inexact[Array, "*#d"], divisor: Float[Array, "*#d"]) -> Inexact[Array, "*d"]:
    """x / divisor, 0 where the divisor is 0; arrays of one shape, or of shapes that broadcast."""
    xp = namespace(x, divisor)
    zero = divisor == 0
    quotient = x / xp.where(zero, xp.ones_like(divisor), divisor)
    return xp.where(zero, xp.zeros_like(quotient), quotient)


def to_numpy(x: Shaped[Array, "*d"]) -> Shaped[np.ndarray, "*d"]:
    """Copy an array of any backend to the host."""
    if isinstance(x, np.ndarray):
        return x
    if array_api_compat.is_torch_array(x):
        host: np.ndarray = x.detach().cpu().numpy()
        return host
    return np.asarray(x.get())


def upload(x: Shaped[np.ndarray, "*d"], into: Shaped[Array, "*d"]) -> None:
    """Copy a host array into ``into``, which the caller owns, without another array on the way."""
    if isinstance(into, np.ndarray):
        into[...] = x
    elif array_api_compat.is_torch_array(into):
        into.copy_(namespace(into).from_numpy(x))
    else:
        into.set(x)


def asarray_like(x: Shaped[np.ndarray, "*d"], like: Shaped[Array, "*_"]) -> Shaped[Array, "*d"]:
    """``x`` in the library and precision of ``like``, on its device."""
    return namespace(like).asarray(x, dtype=like.dtype, device=array_api_compat.device(like))


def copy(x: Shaped[Array, "*d"]) -> Shaped[Array, "*d"]:
    """A writable copy, for a function that is about to change it. In torch, gradients flow through it."""
    return x.clone() if array_api_compat.is_torch_array(x) else namespace(x).asarray(x, copy=True)


def real_dtype(dtype: str) -> str:
    """The real dtype of the same precision: float32 for complex64, float64 for complex128."""
    return {"complex64": "float32", "complex128": "float64"}[dtype]
