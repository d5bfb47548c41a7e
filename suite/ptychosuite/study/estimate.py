"""What a sweep will cost, roughly: measured FFT speed times counted work."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import numpy as np

from ptychosuite.backends.arrays import GPU_BACKENDS, fft2, ifft2
from ptychosuite.core.jumps import judged_patterns
from ptychosuite.core.problem import BATCH_PIXELS, GPU_BATCH_PIXELS, Footprint
from ptychosuite.core.runs import RunRecord, RunSpec
from ptychosuite.problems.problem_kind import HOLD_OUT, kind_of
from ptychosuite.registry import lookup as registry
from ptychosuite.study.schema import problem_size

METRICS_OVER_FFT = 1.7  # one evaluation of the metrics over the same
MEASURED_BY_DEFAULT = 0.1  # of the iterations, where there is no tolerance to check
COMPRESSION = 0.9  # stored size of an image over its size in memory
BYTES_BESIDE_IMAGES = 12_000  # curves, metrics and provenance of a run
BYTES_A_COUNT = 2
PROCESS_BYTES = {"numpy": 130e6, "torch": 330e6, "torch-cuda": 900e6, "cupy": 500e6}  # before any data
EVALUATION_OBJECTS = 8  # copies of the object, in double precision, while it is compared with the truth
OBJECTS = 3  # start, state, and the one being made
BATCHES = 6  # patterns being worked on: patches, exit and detector waves, and what is done to them


@dataclass(frozen=True)
class Estimate:
    """What runs take. Disk and memory are upper bounds; an assumed time is that of all their iterations."""

    cpu_seconds: float
    disk_bytes: float
    memory_bytes: float  # of the largest run
    measured_runs: int = 0  # that the time goes by; none where it is assumed

    @property
    def basis(self) -> str:
        """What the time goes by."""
        if not self.measured_runs:
            return "assumed from the speed of transforms here; small problems take longer"
        return f"as measured of {self.measured_runs} run{'s' * (self.measured_runs > 1)} in this folder"

    def time_text(self, told: str) -> str:
        """The time, ``told`` in words, with what it goes by."""
        near = "about" if self.measured_runs else "roughly"
        return f"{near} {told} on one core ({self.basis})"


@dataclass(frozen=True)
class Measured:
    """How many seconds runs took for each that was planned: they end early, or the machine is another.

    Parameters
    ----------
    ratios
        By solver and backend.
    overall
        Of all of them.
    runs
        How many were measured.
    """

    ratios: Mapping[tuple[str, str], float] = field(default_factory=dict)
    overall: float = 1.0
    runs: int = 0

    @classmethod
    def of(cls, records: Iterable[RunRecord]) -> Measured:
        """Of runs that have ended by themselves; those that went side by side share their time."""
        took, planned = defaultdict[tuple[str, str], float](float), defaultdict[tuple[str, str], float](float)
        runs = 0
        for record in records:
            seconds = _seconds_between(record.provenance.get("start"), record.provenance.get("end"))
            if seconds is not None and record.status.is_final:
                kind = _kind(record.spec)
                took[kind] += seconds / int(record.provenance.get("stack", 1))
                planned[kind] += cpu_seconds(record.spec)
                runs += 1
        if not runs:
            return cls()
        ratios = {kind: took[kind] / planned[kind] for kind in took}
        return cls(ratios, sum(took.values()) / sum(planned.values()), runs)

    def seconds(self, spec: RunSpec) -> float:
        """That ``spec`` will take."""
        return cpu_seconds(spec) * self.ratios.get(_kind(spec), self.overall)


def _kind(spec: RunSpec) -> tuple[str, str]:
    return spec.solver_name, spec.backend


def _seconds_between(start: object, end: object) -> float | None:
    """None where a record does not say, or says what is no time."""
    try:
        seconds = (datetime.fromisoformat(str(end)) - datetime.fromisoformat(str(start))).total_seconds()
    except (ValueError, TypeError):
        return None
    return seconds if seconds > 0 else None


def estimate(specs: Iterable[RunSpec], measured: Measured | None = None) -> Estimate:
    """Cost of ``specs``, by what others took, or were each to use all its iterations on one core here."""
    measured = measured or Measured()
    seconds = disk = memory = 0.0
    for spec in specs:
        size = problem_size(spec.problem)
        seconds += measured.seconds(spec)
        pixels = size.object_shape[0] * size.object_shape[1] + size.probe_size**2
        memory = max(memory, footprint(spec).host_bytes)
        disk += COMPRESSION * 8 * pixels + BYTES_BESIDE_IMAGES
    return Estimate(seconds, disk, memory, measured.runs)


def cpu_seconds(spec: RunSpec) -> float:
    """Seconds that ``spec`` takes, were it to use all its iterations on one core of this machine."""
    size = problem_size(spec.problem)
    fft_pass = size.n_positions * _fft_pair_seconds(size.probe_size, spec.dtype)
    iterations = spec.stop["iterations"]
    evaluations = 1 + iterations * _measured_share(spec.stop)
    solver = registry.build("solvers", spec.solver)
    beside = _iterations_beside(spec.fast_forward, size.n_positions)
    steps = (iterations + beside) * solver.typical_cost
    steps *= 2 if spec.half_scans else 1
    return float(fft_pass * (steps + evaluations * METRICS_OVER_FFT))


def footprint(spec: RunSpec) -> Footprint:
    """Memory that ``spec`` takes at its fullest moment, from its sizes alone: nothing is allocated.

    Not in it is the known probe of a scan between pixels, which a run that goes alone keeps as it lies on the
    patterns, up to 128 MiB, and a stack does not.
    """
    size = problem_size(spec.problem)
    wave_bytes = np.dtype(spec.dtype).itemsize
    detector_pixels = size.n_positions * size.probe_size**2
    object_pixels = size.object_shape[0] * size.object_shape[1]
    kind = kind_of(spec.problem)
    patterns = detector_pixels * (BYTES_A_COUNT if kind.counted else wave_bytes / 2)
    fitted = detector_pixels if spec.problem.get(HOLD_OUT) else 0  # a byte each: whether it is fitted
    on_gpu = spec.backend in GPU_BACKENDS
    batch_pixels = max(size.probe_size**2, min(detector_pixels, GPU_BATCH_PIXELS if on_gpu else BATCH_PIXELS))
    work = wave_bytes * (OBJECTS * object_pixels + BATCHES * batch_pixels)
    evaluation = 16 * EVALUATION_OBJECTS * object_pixels if kind.knows_truth else 0
    fixed = PROCESS_BYTES[spec.backend]
    amplitudes = detector_pixels * wave_bytes / 2
    if on_gpu:
        return Footprint(fixed + patterns + fitted + evaluation, amplitudes + fitted + work)
    data = patterns if spec.backend == "numpy" else patterns + amplitudes
    return Footprint(fixed + data + fitted + work + evaluation)


def _iterations_beside(fast_forward: Mapping[str, Any] | None, n_patterns: int) -> float:
    """Iterations that a fast-forward computes beside the run's own, at worst: all that it tries loses.

    Two steps are tried. On all patterns the solver alone is the run itself; in the middle it is a third.
    """
    if fast_forward is None or not fast_forward["safeguard"]:
        return 0
    few = judged_patterns(fast_forward["judged_on"], n_patterns)
    branches = 2.0 if few == n_patterns else 3 * few / n_patterns
    return branches * int(fast_forward["jumps"]) * int(fast_forward["look_ahead"])


def _measured_share(stop: Mapping[str, Any]) -> float:
    if stop["check_every"] is not None:
        return 1 / int(stop["check_every"])
    return MEASURED_BY_DEFAULT if stop["gradient"] is stop["residual"] is None else 1.0


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
