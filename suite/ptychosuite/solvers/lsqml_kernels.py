"""The compiled form of :mod:`ptychosuite.solvers.lsqml`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptychosuite.backends.compiled import compiled_sum, images


def normal_equations(
    chi: np.ndarray, Q: np.ndarray, dz: np.ndarray, dQ: np.ndarray | None = None, z: np.ndarray | None = None
) -> tuple[np.ndarray, ...]:
    chi = np.ascontiguousarray(chi)
    arrays = (Q, dz) if dQ is None or z is None else (Q, dz, dQ, z)
    sums = _of_object if len(arrays) == 2 else _of_both
    found = np.array([sums(*each) for each in images(chi, *arrays)])
    of_patterns = found.reshape(len(chi), -1, found.shape[1]).sum(axis=1)  # over modes
    return tuple(of_patterns.T.astype(chi.real.dtype))


@compiled_sum
def _of_object(q: Any, dz: Any, chi: Any) -> tuple[float, float]:
    aa = a = 0.0
    for i in range(chi.size):
        o = q[i] * dz[i]
        aa += o.real * o.real + o.imag * o.imag
        a += o.real * chi[i].real + o.imag * chi[i].imag
    return aa, a


@compiled_sum
def _of_both(q: Any, dz: Any, dq: Any, z: Any, chi: Any) -> tuple[float, float, float, float, float]:
    aa = a = bb = b = ab = 0.0
    for i in range(chi.size):
        o, p = q[i] * dz[i], dq[i] * z[i]
        aa += o.real * o.real + o.imag * o.imag
        a += o.real * chi[i].real + o.imag * chi[i].imag
        bb += p.real * p.real + p.imag * p.imag
        b += p.real * chi[i].real + p.imag * chi[i].imag
        ab += o.real * p.real + o.imag * p.imag
    return aa, a, bb, b, ab
