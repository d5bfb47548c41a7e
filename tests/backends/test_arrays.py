"""Transforms, copies and backends."""

from types import SimpleNamespace

import numpy as np
import pytest
from ptychosuite.backends.arrays import Backend, backend, copy, fft2, ifft2, real_dtype, to_numpy
from ptychosuite.errors import BackendError


def complex_random(rng, *shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


@pytest.mark.parametrize(("dtype", "tolerance"), [("complex64", 1e-5), ("complex128", 1e-13)])
def test_fft_conventions(each_backend, dtype, tolerance):
    """Forward unnormalised, inverse 1/m^2, last two axes only, precision kept."""
    x = complex_random(np.random.default_rng(0), 2, 4, 6).astype(dtype)
    held = each_backend.asarray(x)
    forward, back = fft2(held), ifft2(fft2(held))
    assert to_numpy(forward).dtype == to_numpy(back).dtype == dtype
    np.testing.assert_allclose(to_numpy(forward), np.fft.fft2(x), rtol=0, atol=tolerance * 10)
    np.testing.assert_allclose(to_numpy(ifft2(held)), np.fft.ifft2(x), rtol=0, atol=tolerance)
    np.testing.assert_allclose(to_numpy(back), x, rtol=0, atol=tolerance)
    np.testing.assert_allclose(to_numpy(forward)[:, 0, 0], x.sum(axis=(1, 2)), rtol=tolerance)
    energy = np.sum(np.abs(to_numpy(forward)) ** 2)
    assert energy == pytest.approx(24 * np.sum(np.abs(x) ** 2), rel=tolerance)


def test_fft_adjoint(each_backend):
    """<F x, y> = m^2 <x, F^-1 y>."""
    rng = np.random.default_rng(0)
    x, y = complex_random(rng, 8, 8), complex_random(rng, 8, 8)
    left = np.vdot(to_numpy(fft2(each_backend.asarray(x))), y)
    right = 64 * np.vdot(x, to_numpy(ifft2(each_backend.asarray(y))))
    assert left == pytest.approx(right, rel=1e-12)


@pytest.mark.parametrize("dtype", [None, "complex64", "complex128"])
def test_arrays_travel_as_copies(each_backend, dtype):
    """What comes from the host is a copy in the wanted precision: changing one leaves the other."""
    host = complex_random(np.random.default_rng(0), 3, 4)[:, ::2]
    kept = host.copy()
    held = each_backend.asarray(host, dtype)
    assert to_numpy(held).dtype == (dtype or "complex128")
    assert to_numpy(held) == pytest.approx(kept, rel=1e-6)
    held[0, 0] = 99
    np.testing.assert_array_equal(host, kept)


def test_a_contiguous_host_array_is_copied_too(each_backend):
    """Also where nothing has to be converted, the backend's array is its own."""
    host = np.zeros((2, 2), "complex128")
    each_backend.asarray(host)[0, 0] = 1
    assert host[0, 0] == 0


def test_copy_is_writable_and_apart(each_backend):
    """A copy may be written without touching its source."""
    held = each_backend.asarray(np.zeros((2, 2), "complex64"))
    if isinstance(held, np.ndarray):
        held.setflags(write=False)
    apart = copy(held)
    apart[0, 0] = 1
    assert to_numpy(held)[0, 0] == 0
    assert to_numpy(apart).dtype == "complex64"


def test_backend_describes_itself(each_backend):
    """Name and device are known, waiting returns, and only a GPU has a description."""
    each_backend.synchronise()
    assert each_backend.device == ("cuda" if each_backend.name in ("torch-cuda", "cupy") else "cpu")
    assert bool(each_backend.device_description()) == (each_backend.device == "cuda")


def test_unknown_backend():
    """A misspelt backend is answered with the nearest one."""
    with pytest.raises(BackendError, match="did you mean 'torch'"):
        backend("torhc")


def test_missing_device(monkeypatch):
    """Without a CUDA device the message says what to use instead."""
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendError, match=r"needs a CUDA device.*use backend 'torch'"):
        backend("torch-cuda")


def test_real_dtype():
    """Real and complex of one precision belong together."""
    for dtype in ("complex64", "complex128"):
        assert np.dtype(dtype).type(0).real.dtype == real_dtype(dtype)


def test_memory_of_another_pool_is_not_counted(monkeypatch):
    """On a CUDA cluster RMM gives the memory out; torch refuses to count, and a run must not fail for it.

    Else a run begins with the memory given back that earlier ones have left, recordings above all.
    """
    torch = pytest.importorskip("torch")
    asked = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: asked.append("given back"))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: asked.append("reset"))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 7)
    gpu = Backend("torch-cuda", "cuda", torch)
    for allocator, counted in (("native", 7), ("cudaMallocAsync", 7), ("pluggable", None)):
        monkeypatch.setattr(torch.cuda, "get_allocator_backend", lambda name=allocator: name)
        gpu.reset_peak_memory()
        assert gpu.peak_memory_bytes() == counted
    assert asked == ["given back", "reset"] * 2


class PoolOfCuPy:
    """Two pools, of which one is CuPy's own."""

    def __init__(self):
        self.used = self.own_malloc

    def own_malloc(self, size):
        return size

    def malloc_of_another(self, size):
        return size


def test_memory_of_another_pool_is_not_counted_by_cupy():
    """Its own pool gives back what it can all the same: recordings take their memory there."""
    pool, given_back = PoolOfCuPy(), []
    own = SimpleNamespace(
        malloc=pool.own_malloc, total_bytes=lambda: 7, free_all_blocks=lambda: given_back.append(7)
    )
    library = SimpleNamespace(
        get_default_memory_pool=lambda: own,
        cuda=SimpleNamespace(get_allocator=lambda: pool.used),
    )
    gpu = Backend("cupy", "cuda", library)
    assert gpu.peak_memory_bytes() == 7
    pool.used = pool.malloc_of_another
    gpu.reset_peak_memory()
    assert gpu.peak_memory_bytes() is None
    assert given_back == [7]
