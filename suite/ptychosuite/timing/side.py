"""The program that runs on each side of a comparison: it times what it is told to.

A plain script, started by the interpreter of its side with that side's package on the path. It reads one
JSON object a line and answers each with one:

    {"do": "prepare", "spec": {...}, "iterations": 1}    problem and solver; seconds of the first, cold sample
    {"do": "sample", "iterations": 20, "repeats": 3}     seconds of so many runs from their start

What goes wrong is answered as {"error": "..."}. It ends with its input, so it never outlives who started it.
Of the package it uses only what every revision is expected to have, wherever it lies:
RunSpec.from_dict, backend, build_problem, build, and what carries a solver ahead where a case needs it. Its
argument is the core to stay on.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PLACES = {  # name -> package -> module; the package was called suite before it was called ptychosuite
    "RunSpec": {"ptychosuite": "core.runs", "suite": "core.run"},
    "backend": {"ptychosuite": "backends.arrays", "suite": "core.arrays"},
    "build_problem": {"ptychosuite": "problems.build", "suite": "problems.build"},
    "build": {"ptychosuite": "registry.lookup", "suite": "core.registry"},
    "with_fast_forward": {"ptychosuite": "fastforward.apply", "suite": "fastforward.apply"},
}

Clock = Callable[[], Callable[[], float]]  # started by the first call; the second says the seconds since


class Contestant:
    """One case, ready to be run from its start any number of times."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        gc.unfreeze()
        run = found("RunSpec").from_dict(spec)
        self.backend = found("backend")(run.backend)
        self.problem = found("build_problem")(run, self.backend)
        self.solver = found("build")("solvers", run.solver)
        self.draw_order: Callable[[], Any] = lambda: run.rng("order")
        self.clock: Clock = device_clock(self.backend) or cpu_clock
        if run.fast_forward is not None:
            self.solver = carried(self.solver, run.fast_forward, self.problem, self.backend)
        gc.freeze()  # collecting before each sample is then quick

    def sample(self, iterations: int, repeats: int) -> dict[str, float]:
        """Times of ``repeats`` times ``init`` and ``iterations`` steps: the same work at each call."""
        gc.collect()
        orders = [self.draw_order() for _ in range(repeats)]
        self.backend.synchronise()
        begin, elapsed = time.perf_counter(), self.clock()
        for rng in orders:
            state = self.solver.init(self.problem)
            for _ in range(iterations):
                state = self.solver.step(self.problem, state, rng)
        self.backend.synchronise()
        return {"seconds": elapsed(), "wall_seconds": time.perf_counter() - begin}


def carried(solver: Any, settings: Mapping[str, Any], problem: Any, backend: Any) -> Any:
    """``solver`` with a fast-forward: by the operator itself, or as revisions did whose operators cannot."""
    operator = found("build")("operators", settings)
    if hasattr(operator, "carrying"):
        return operator.carrying(solver, problem, backend)
    return found("with_fast_forward")(solver, settings, problem, backend)


def cpu_clock() -> Callable[[], float]:
    """Clock of this thread's own time."""
    begin = own_time()
    return lambda: own_time() - begin


def own_time() -> float:
    """Wall clock less what the main thread spent ready to run while others had its core, in seconds."""
    while True:
        waited, now = waited_for_core(), time.perf_counter()
        if waited == waited_for_core():  # else it lost the core between the two readings
            return now - waited


def waited_for_core() -> float:
    """Seconds that the main thread has waited for its core; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/schedstat").read_text().split()[1]) * 1e-9
    except (OSError, IndexError):
        return 0.0


def device_clock(backend: Any) -> Clock | None:
    """Clock of the device's own events; None for a CPU."""
    if backend.name == "torch-cuda":
        import torch

        new_event = partial(torch.cuda.Event, enable_timing=True)
        return partial(event_clock, new_event, lambda begin, end: begin.elapsed_time(end))
    if backend.name == "cupy":
        cuda = backend.library.cuda
        return partial(event_clock, cuda.Event, cuda.get_elapsed_time)
    return None


def event_clock(
    new_event: Callable[[], Any], milliseconds: Callable[[Any, Any], float]
) -> Callable[[], float]:
    """Time on the device between two events of its stream."""
    begin = new_event()
    begin.record()

    def elapsed() -> float:
        end = new_event()
        end.record()
        end.synchronize()
        return milliseconds(begin, end) * 1e-3

    return elapsed


def serve(answer: Callable[[Mapping[str, Any]], None]) -> None:
    """Do what each line of standard input asks for, until there is none."""
    import numpy as np

    contestant: Contestant | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            with np.errstate(all="ignore"):  # a step may overflow on the way to divergence: it is only timed
                if request["do"] == "prepare":
                    contestant = None
                    contestant = Contestant(request["spec"])
                    cold = contestant.sample(request["iterations"], repeats=1)["seconds"]
                    device = contestant.backend.device_description()
                    answer({"cold_seconds": cold, "device": device, "package": where_the_package_is()})
                elif contestant is not None:
                    answer(contestant.sample(request["iterations"], request["repeats"]))
        except Exception as error:
            traceback.print_exc()
            answer({"error": f"{type(error).__name__}: {error}"})


def found(name: str) -> Any:
    """What this side's package calls ``name``: in its present place, or in an earlier one."""
    package = "ptychosuite" if find_spec("ptychosuite") else "suite"
    return getattr(import_module(f"{package}.{PLACES[name][package]}"), name)


def where_the_package_is() -> str:
    spec = find_spec("ptychosuite") or find_spec("suite")
    assert spec is not None
    return str(Path(str(import_module(spec.name).__file__)).resolve().parent)


def main() -> None:
    if len(sys.argv) > 1:
        os.sched_setaffinity(0, {int(sys.argv[1])})  # before any library starts threads
    # what a solver prints must not come between the answers
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(lambda content: print(json.dumps(content), file=answers, flush=True))


if __name__ == "__main__":
    main()
