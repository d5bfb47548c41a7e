"""What the speed benchmarks share: a problem of any size, and fair timing of several things in one run."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ptychosuite.backends.allocator import keep_freed_memory
from ptychosuite.backends.arrays import Backend, fft2, ifft2, namespace
from ptychosuite.core.problem import GPU_BATCH_PIXELS, Problem
from ptychosuite.core.runs import RunSpec
from ptychosuite.execute.provenance import environment
from ptychosuite.problems.build import build_problem
from ptychosuite.registry.lookup import build
from threadpoolctl import threadpool_limits

sys.path.append(str(Path(__file__).resolve().parents[1]))  # for the oracles of the tests
RESULTS = Path(__file__).parent / "results"
Action = Callable[[], None]


def make_problem(
    side: int, probe: int, dtype: str, chosen: Backend, *, overlap: float = 0.5, seed: int = 0
) -> Problem:
    """side x side patterns of probe x probe pixels, at the given overlap, eta = 0.05."""
    step = round(probe * (1 - overlap))
    settings = {
        "object": {"kind": "texture", "size": probe + step * (side - 1)},
        "probe": {"kind": "gaussian", "size": probe, "fwhm_px": probe / 3, "curvature": 2.0},
        "scan": {"kind": "raster", "step_px": step},
        "noise": 0.05,
    }
    return build_problem(RunSpec(problem=settings, solver={}, stop={}, dtype=dtype, seed=seed), chosen)


def fft_floor(problem: Problem) -> Action:
    """One forward and one inverse transform of every pattern, one pattern at a time."""

    def transform() -> None:
        for _ in range(problem.n_positions):
            ifft2(fft2(problem.probe))

    return transform


def batched_fft_floor(problem: Problem) -> Action:
    """The same transforms in batches that fill a GPU."""
    probe, count = problem.probe, problem.n_positions
    together = max(1, min(count, GPU_BATCH_PIXELS // probe.shape[-1] ** 2))
    batch = namespace(probe).stack([probe] * together)
    rest = batch[: count % together]

    def transform() -> None:
        for _ in range(count // together):
            ifft2(fft2(batch))
        if len(rest):
            ifft2(fft2(rest))

    return transform


def stepper(problem: Problem, settings: Mapping[str, Any]) -> Action:
    """One more iteration of a solver each time it is called."""
    solver = build("solvers", settings)
    state, rng = solver.init(problem), np.random.default_rng(0)

    def step() -> None:
        nonlocal state
        state = solver.step(problem, state, rng)

    return step


def typical_seconds(
    actions: Mapping[str, Action], rounds: int, chosen: Backend, most_s: float = math.inf
) -> dict[str, float]:
    """Lower quartile of each action's times: what it takes when nobody disturbs it.

    All of them take turns in every round, so that a busy machine slows them alike. Two rounds more go before,
    for what is compiled or allocated once. After ``most_s`` no other round begins, but for one of each kind.
    """
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    start = time.perf_counter()
    for number in range(rounds + 2):
        if number not in (0, 2) and time.perf_counter() - start > most_s:
            continue
        for name, action in actions.items():
            chosen.synchronise()
            begin = time.perf_counter()
            action()
            chosen.synchronise()
            if number >= 2:
                seconds[name].append(time.perf_counter() - begin)
    return {name: float(np.quantile(values, 0.25)) for name, values in seconds.items()}


@contextmanager
def threads(count: int) -> Any:
    """BLAS, FFT and torch on ``count`` threads, and freed memory kept: as runs are carried out."""
    import torch

    keep_freed_memory()
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(limits=count):
            yield
    finally:
        torch.set_num_threads(before)


def machine(chosen: Backend | None = None) -> dict[str, Any]:
    """What the figures were measured on; nothing that names the machine itself."""
    private = ("host", "git_commit", "git_dirty", "platform")
    found = {name: value for name, value in environment().items() if name not in private}
    device = chosen.device_description() if chosen else {}
    return {**found, **device, "load": os.getloadavg()[0]}


def write(name: str, content: Mapping[str, Any], folder: Path = RESULTS) -> Path:
    """Write figures to ``folder``, benchmarks/results by default."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path
