"""Small simulated problems with what experiments suffer."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from ptychosuite.backends.arrays import backend
from ptychosuite.core.problem import Problem, Reference, split_positions
from ptychosuite.core.runs import RunSpec
from ptychosuite.problems.build import build_problem
from ptychosuite.problems.exposure import Exposure

IDEAL = RunSpec(
    problem={
        "object": {"kind": "texture", "size": 96},
        "probe": {"kind": "gaussian", "size": 32, "fwhm_px": 8.0, "curvature": 1.0},
        "scan": {"kind": "raster", "step_px": 8},
        "noise": 0.0,
        "margin_px": 8,
    },
    solver={"name": "rpie"},
    stop={"iterations": 1},
    dtype="complex128",
)


def spec(**problem: Any) -> RunSpec:
    """The ideal problem with some settings changed."""
    return dataclasses.replace(IDEAL, problem={**IDEAL.problem, **problem})


def made(seed: int = 0, **problem: Any) -> Problem:
    return build_problem(dataclasses.replace(spec(**problem), seed=seed), backend("numpy"))


def truth(seed: int = 0, **problem: Any) -> Reference:
    found = made(seed, **problem).reference
    assert found is not None
    return found


def intensities(**problem: Any) -> np.ndarray:
    """The patterns (N, m, m) as intensities."""
    return np.asarray(made(**problem).diffraction_amplitude[:]) ** 2


def literal(reference: Reference, probes: np.ndarray, offset: tuple[float, float] = (0, 0)) -> np.ndarray:
    """|F(Q z_k)|^2 position by position, the probe (m, m) or one each, shifted by what whole pixels leave."""
    whole, shifts = split_positions(reference.scan_positions_px + np.asarray(offset))
    size = probes.shape[-1]
    found = np.empty((len(whole), size, size))
    cycles = np.fft.fftfreq(size)
    for k, (r, c) in enumerate(whole):
        probe = probes if probes.ndim == 2 else probes[k]
        if shifts is not None:
            turn = np.exp(-2j * np.pi * np.add.outer(cycles * shifts[k, 0], cycles * shifts[k, 1]))
            probe = np.fft.ifft2(np.fft.fft2(probe) * turn)
        patch = reference.object[r : r + size, c : c + size]
        found[k] = np.abs(np.fft.fft2(probe * patch)) ** 2
    return found


def light(reference: Reference) -> np.ndarray:
    return np.concatenate(list(Exposure().intensities(reference)))
