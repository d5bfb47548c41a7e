"""An iteration of ours beside an epoch of pty-chi and cdtools, all on the GPU. A part of ``gpu.py``.

    python benchmarks/gpu_peers.py --figures FILE [--backends torch-cuda,cupy] [--side 7] [--seconds 3]

49 patterns of 128 x 128, probe known, complex64, the same start for all. The packages have the GPU one after
the other, in one process, since pty-chi sets torch's default device. Lower quartiles, and the residual as our
metric has it after all the epochs that were timed. A package that is not installed is named, and where there
is none the program leaves with 77. PtyLab is left out: our driver has it on the CPU.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from parts import SKIP_CODE, write_json
from ptychosuite.backends.arrays import Backend, backend
from ptychosuite.core.problem import Problem
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics
from ptychosuite.registry.lookup import build
from ptychosuite.solvers.peers import drive_cdtools, drive_ptychi
from ptychosuite.solvers.peers.session import shuffled_batches
from timing import Action, machine, make_problem, typical_seconds

ROUNDS = 20  # at most, in the time that there is
OURS: Mapping[str, dict[str, Any]] = {
    "rPIE": {"name": "rpie", "alpha": 0.1},
    "rPIE, colour groups": {"name": "rpie", "alpha": 0.1, "sweep": "colour-groups"},
    "rPIE, batches of 16": {"name": "rpie", "alpha": 0.1, "sweep": "minibatch", "batch": 16},
    "LSQML, batches of 16": {"name": "lsqml", "batch": 16},
    "Adam, batches of 8": {"name": "adam", "batch": 8},
}
PTYCHI: Mapping[str, dict[str, Any]] = {
    "rPIE": {"algorithm": "rpie", "alpha": 0.1},
    "rPIE, batches of 16": {"algorithm": "rpie", "alpha": 0.1, "batch": 16},
    "LSQML, batches of 16": {"algorithm": "lsqml", "batch": 16},
    "Adam, batches of 8": {"algorithm": "autodiff", "batch": 8},
}
CDTOOLS: Mapping[str, dict[str, Any]] = {"Adam, batches of 8": {"algorithm": "adam", "batch": 8}}
PACKAGES = ("ptychi", "cdtools")


@dataclass(frozen=True)
class Contestant:
    """What is timed, and the object that it has at the end, on the host or the device."""

    epoch: Action
    object: Callable[[], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figures", type=Path, required=True)
    parser.add_argument("--backends", default="torch-cuda,cupy", help="comma-separated; ours")
    parser.add_argument("--side", type=int, default=7, help="of the scan")
    parser.add_argument("--seconds", type=float, default=3.0, help="for the rounds of each package")
    options = parser.parse_args()
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if len(missing) == len(PACKAGES):
        print(f"neither {' nor '.join(missing)} is installed")
        sys.exit(SKIP_CODE)
    names = options.backends.split(",")
    content: dict[str, Any] = {"machine": machine(backend(names[0])), "missing": missing, "packages": {}}
    for label, race in races(names, missing).items():
        try:
            content["packages"][label] = race(options.side, options.seconds)
        except Exception as error:  # another package's: the others are measured all the same
            content["packages"][label] = {"failed": f"{type(error).__name__}: {error}"}
        print(label, content["packages"][label])
        write_json(options.figures, content)
    if any("failed" in found for found in content["packages"].values()):
        sys.exit("a package failed")


def races(names: list[str], missing: list[str]) -> dict[str, Callable[[int, float], dict[str, Any]]]:
    """Label -> what times a package's contestants, given the side of the scan and the seconds that it has."""
    on_gpu = any(name in ("torch-cuda", "cupy") for name in names)
    torch_name = "torch-cuda" if on_gpu else "torch"
    found: dict[str, Callable[[int, float], dict[str, Any]]] = {}
    for name in names:
        found[f"ptychosuite, {name}"] = partial(timed, ours, OURS, backend(name))
    if "cdtools" not in missing:
        found["cdtools"] = partial(timed, cdtools, CDTOOLS, backend(torch_name))
    if "ptychi" not in missing:
        found["pty-chi"] = partial(timed, ptychi, PTYCHI, backend(torch_name))
    return found


def timed(
    make: Callable[[dict[str, Any], Problem, Backend], Contestant],
    entries: Mapping[str, dict[str, Any]],
    chosen: Backend,
    side: int,
    seconds: float,
) -> dict[str, Any]:
    """Seconds of an epoch of each, all in turn, and the residual that they have come to."""
    problem = make_problem(side, 128, "complex64", chosen)
    constants = DataConstants.of(problem)
    contestants = {label: make(settings, problem, chosen) for label, settings in entries.items()}
    actions = {label: contestant.epoch for label, contestant in contestants.items()}
    found = typical_seconds(actions, ROUNDS, chosen, seconds)
    residuals = {}
    for label, contestant in contestants.items():
        obj = contestant.object()
        obj = chosen.asarray(obj, "complex64") if isinstance(obj, np.ndarray) else obj
        residuals[label] = float(misfit_metrics(problem, obj, problem.probe, constants)["residual"])
    return {"seconds": found, "residual": residuals}


def ours(settings: dict[str, Any], problem: Problem, chosen: Backend) -> Contestant:
    solver = build("solvers", settings)
    state, rng = solver.init(problem), np.random.default_rng(0)

    def epoch() -> None:
        nonlocal state
        state = solver.step(problem, state, rng)

    return Contestant(epoch, lambda: state.object)


def cdtools(settings: dict[str, Any], problem: Problem, chosen: Backend) -> Contestant:
    """cdtools' model and data on the device, with the batches that ours draw."""
    solver = build("solvers", {"name": "cdtools", **settings})
    running = drive_cdtools.Running(solver.told(), solver.task(problem))
    running.model.to(device=chosen.device)
    running.dataset.get_as(device=chosen.device)
    rng = np.random.default_rng(0)

    def epoch() -> None:
        running.epoch(shuffled_batches(problem.n_positions, solver.patterns_of_a_batch, rng))

    return Contestant(epoch, lambda: running.arrays()["object"])


def ptychi(settings: dict[str, Any], problem: Problem, chosen: Backend) -> Contestant:
    """pty-chi as it comes, with its own loader and its default device."""
    import ptychi.api as api
    from ptychi.api.task import PtychographyTask

    solver = build("solvers", {"name": "ptychi", **settings})
    task = solver.task(problem)
    rows, columns = task.positions_px.T
    options = drive_ptychi.task_options(solver.told(), task)
    if chosen.device == "cuda":
        options.reconstructor_options.default_device = api.Devices.GPU
    made = PtychographyTask(
        options,
        diffraction_data=task.intensity,
        object_data=task.object[None],
        probe_data=task.probe[None],
        probe_position_y_px=rows,
        probe_position_x_px=columns,
    )
    return Contestant(lambda: made.run(n_epochs=1), lambda: made.get_data_to_cpu("object", as_numpy=True)[0])


if __name__ == "__main__":
    main()
