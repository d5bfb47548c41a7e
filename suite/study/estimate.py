"""What a sweep will cost, roughly: measured FFT speed times counted work."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np

from suite.core import registry
from suite.core.arrays import fft2, ifft2
from suite.core.footprint import Footprint
from suite.core.run import RunSpec
from suite.study.schema import problem_size

DEFAULT_COST = 3.0  # of a solver from another package that does not say
BATCH_PIXELS = 2**19  # detector pixels that are worked on at once, as in suite.physics.forward
METRICS_OVER_FFT = 2.0  # one evaluation of the metrics over the same
COMPRESSION = 0.9  # stored size of an image over its size in memory
BYTES_BESIDE_IMAGES = 12_000  # curves, metrics and provenance of a run
PROCESS_BYTES = {"numpy": 130e6, "torch": 330e6, "torch-cuda": 900e6, "cupy": 500e6}  # before any data
SIMULATION_BYTES = {True: 24, False: 16}  # a detector pixel, with and without noise, in double precision
EVALUATION_OBJECTS = 8  # copies of the object, in double precision, while it is compared with the truth
OBJECTS = 3  # start, state, and the one being made
BATCHES = 6  # patterns being worked on: patches, exit and detector waves, and what is done to them


@dataclass(frozen=True)
class Estimate:
    """Upper bounds: runs that meet a tolerance early take less."""

    cpu_seconds: float
    disk_bytes: float
    memory_bytes: float  # of the largest run


def estimate(specs: Iterable[RunSpec]) -> Estimate:
    """Cost of ``specs``, were each to use all its iterations on one core of this machine."""
    seconds = disk = memory = 0.0
    for spec in specs:
        size = problem_size(spec)
        fft_pass = size.n_positions * _fft_pair_seconds(size.probe_size, spec.dtype)
        iterations = spec.stop["iterations"]
        evaluations = 1 + iterations / spec.stop["check_every"]
        solver = registry.settings_class("solvers", spec.solver["name"])
        steps = iterations * getattr(solver, "typical_cost", DEFAULT_COST) * (2 if spec.half_scans else 1)
        seconds += fft_pass * (steps + evaluations * METRICS_OVER_FFT)
        pixels = size.object_shape[0] * size.object_shape[1] + size.probe_size**2
        memory = max(memory, footprint(spec).host_bytes)
        disk += COMPRESSION * 8 * pixels + BYTES_BESIDE_IMAGES
    return Estimate(seconds, disk, memory)


def footprint(spec: RunSpec) -> Footprint:
    """Memory that ``spec`` takes at its fullest moment, from its sizes alone: nothing is allocated."""
    size = problem_size(spec)
    wave_bytes = np.dtype(spec.dtype).itemsize
    detector_pixels = size.n_positions * size.probe_size**2
    object_pixels = size.object_shape[0] * size.object_shape[1]
    data = detector_pixels * wave_bytes / 2
    work = wave_bytes * (OBJECTS * object_pixels + BATCHES * min(detector_pixels, BATCH_PIXELS))
    making, evaluation = data, 0.0
    if spec.problem.get("kind", "simulated") == "simulated":
        making = SIMULATION_BYTES[spec.problem["noise"] > 0] * detector_pixels
        evaluation = 16 * EVALUATION_OBJECTS * object_pixels
    fixed = PROCESS_BYTES[spec.backend]
    if spec.backend in ("torch-cuda", "cupy"):
        return Footprint(fixed + max(making, evaluation), data + work)
    return Footprint(fixed + data + max(making, work + evaluation))


@cache
def _fft_pair_seconds(size: int, dtype: str) -> float:
    """Best of a few timings of one forward and one inverse transform."""
    rng = np.random.default_rng(0)
    wave = rng.standard_normal((8, size, size)).astype(dtype)
    best = np.inf
    for _ in range(4):
        begin = time.perf_counter()
        ifft2(fft2(wave))
        best = min(best, time.perf_counter() - begin)
    return float(best) / len(wave)
