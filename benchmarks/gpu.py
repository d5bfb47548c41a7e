"""Everything that waits for a GPU, in one call of less than eight minutes: ``make gpu``.

    python3 benchmarks/gpu.py [--out FOLDER] [--parts NAME,...] [--limit-scale F] [--wheels FOLDER]
        [--dry-run]

Python 3.12 with torch and CuPy is enough, without network: what else is needed is taken from a folder of
wheels and installed aside. The parts, correctness first:

    setup       wheels installed aside; device, driver and libraries
    tests       pytest -m gpu: solvers on torch-cuda and CuPy beside NumPy, stacks, streams, memory
    quickstart  the study on --cluster cuda, on NumPy, torch-cuda and CuPy
    sweep       64 runs of it side by side: --lane throughput
    speed       speed.py beside batched transforms
    peers       other packages on the GPU, where they are installed
    training    two epochs of the fast-forward's training

Each part is a process of its own with its own time limit, so that a hang costs that part alone. FOLDER
($OUT, or results/gpu) gets a JSON file of each part and summary.json, up to date after every part. The exit
code is 1 where a part failed or was ended. ``--dry-run`` tries all of it without a GPU: torch and NumPy stand
for torch-cuda and CuPy, ``--cluster local`` for cuda, and all is tiny. No setting of the device is touched.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from parts import FAILED, FIGURES, TIMED_OUT, Part, Place, carry_out, write_json

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TOTAL_S = 465.0  # of all parts; the later ones get what is left
TOO_LITTLE_S = 5.0
STAND_INS = {"torch-cuda": "torch", "cupy": "numpy"}
STAND_IN = "PTYCHOSUITE_GPU_STAND_IN"  # for the tests: tests/conftest.py
TWO_SOLVERS = "[{name: rpie, alpha: 0.03}, {name: magpie, alpha: 0.03, levels: 7}]"


@dataclass(frozen=True)
class Machine:
    """What parts are told of where they run."""

    backends: tuple[str, ...]  # of the GPU, or those that stand in for them
    dry: bool
    wheels: Path | None
    site: Path
    scratch: Path
    certificates: bool = True  # whether they can be made, for the TLS of clusters

    def script(self, name: str, *arguments: object) -> tuple[str, ...]:
        return (sys.executable, str(HERE / name), *map(str, arguments))

    @property
    def cluster(self) -> str:
        return self.cluster_of("local" if self.dry else "cuda")

    def cluster_of(self, kind: str) -> str:
        """A file of a cluster of this kind: one worker in a dry run; no TLS where there are no certificates.

        Its ports are on loopback, for as long as a part takes.
        """
        lines = [f"cluster: {kind}"]
        lines += ["workers: 1"] if self.dry else []
        lines += [] if self.certificates else ["security: off"]
        file = self.scratch / f"{kind}.yaml"
        file.write_text("\n".join(lines) + "\n")
        return str(file)


def main() -> None:
    options = parsed()
    signal.signal(signal.SIGTERM, ended)
    with tempfile.TemporaryDirectory(prefix="ptychosuite-gpu-", ignore_cleanup_errors=True) as folder:
        place, machine = prepared(options, Path(folder))
        outcomes = Course(place, machine, options.limit_scale).follow(options.parts)
    if any(outcome["state"] in (FAILED, TIMED_OUT) for outcome in outcomes):
        sys.exit(1)


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    out = os.environ.get("OUT") or "results/gpu"
    parser.add_argument("--out", type=Path, default=Path(out), metavar="FOLDER", help="default: %(default)s")
    parser.add_argument(
        "--parts", type=chosen_parts, default=tuple(PARTS), help="comma-separated; setup is always one"
    )
    parser.add_argument(
        "--limit-scale", type=positive, default=1.0, metavar="F", help="times all time limits"
    )
    parser.add_argument("--wheels", type=Path, default=ROOT / ".whl", metavar="FOLDER", help="default: .whl")
    parser.add_argument("--dry-run", action="store_true", help="without a GPU, tiny")
    return parser.parse_args(arguments)


def chosen_parts(text: str) -> tuple[str, ...]:
    wanted = text.split(",")
    for name in wanted:
        if name not in PARTS:
            raise argparse.ArgumentTypeError(f"found '{name}', expected some of {', '.join(PARTS)}")
    return tuple(name for name in PARTS if name in {*wanted, "setup"})


def positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"found {text}, expected a number above 0")
    return value


def ended(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends the part under way as well."""
    sys.exit(128 + number)


def prepared(options: argparse.Namespace, scratch: Path) -> tuple[Place, Machine]:
    """Folders, and the environment in which parts find what is installed aside, and the checkout."""
    out, site = options.out.resolve(), scratch / "site"
    for folder in (out, site):
        folder.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.json"):
        if old.stem in {*PARTS, "summary"}:
            old.unlink()
    path = [str(site), str(ROOT), str(ROOT / "suite"), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "PYTHONUNBUFFERED": "1",
        "MPLBACKEND": "agg",
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # every part would compile all that it imports
    if options.dry_run:
        environment[STAND_IN] = "1"
    backends = tuple(STAND_INS.values() if options.dry_run else STAND_INS)
    wheels = options.wheels.resolve() if options.wheels.is_dir() else None
    machine = Machine(backends, options.dry_run, wheels, site, scratch)
    return Place(out, scratch, ROOT, environment), machine


class Course:
    """The parts one after the other, and the summary of those that are over."""

    def __init__(self, place: Place, machine: Machine, scale: float) -> None:
        self.place, self.machine, self.scale = place, machine, scale
        self.outcomes: list[dict[str, Any]] = []
        self.until = time.monotonic() + TOTAL_S * scale
        self.about: Mapping[str, Any] = {}

    def follow(self, names: Sequence[str]) -> list[dict[str, Any]]:
        for name in names:
            part = PARTS[name](self.machine)
            left = self.until - time.monotonic()
            if name != "setup" and not self.about.get("device"):
                part = replace(part, skip="no device, as setup says")
            elif left < TOO_LITTLE_S * self.scale:
                part = replace(part, skip="no time was left")
            outcome = carry_out(part, self.place, min(part.limit_s * self.scale, left))
            self.outcomes.append(outcome)
            if name == "setup":
                self.learn(outcome["figures"] or {})
            self.write()
            tell(outcome)
        return self.outcomes

    def learn(self, about: Mapping[str, Any]) -> None:
        """What setup has found: the backends that there are, and whether a cluster can have certificates."""
        self.about = about
        self.machine = replace(
            self.machine,
            backends=tuple(about.get("device", ())),
            certificates=bool(about.get("certificates")),
        )

    def write(self) -> None:
        short = ("part", "state", "reason", "seconds")
        content = {
            "dry_run": self.machine.dry,
            "device": self.about.get("device", {}),
            "missing": self.about.get("missing", {}),
            "machine": self.about.get("machine", {}),
            "stood_in": self.about.get("stood_in", []),
            "parts": [{key: outcome.get(key, "") for key in short} for outcome in self.outcomes],
        }
        write_json(self.place.out / "summary.json", content)


def tell(outcome: Mapping[str, Any]) -> None:
    """One line on a part, and the end of its output where it failed."""
    print(
        f"{outcome['part']:11} {outcome['state']:9} {outcome['seconds']:6.1f} s  {outcome['reason']}",
        flush=True,
    )
    if outcome["state"] in (FAILED, TIMED_OUT):
        print("\n".join(f"    {line}" for line in outcome["last_lines"][-20:]), flush=True)


def setup(machine: Machine) -> Part:
    wheels = ("--wheels", machine.wheels) if machine.wheels else ()
    where = ("--site", machine.site, "--figures", FIGURES)
    return Part(
        "setup",
        60,
        machine.script("gpu_setup.py", *wheels, *where, "--backends", ",".join(machine.backends)),
    )


def tests(machine: Machine) -> Part:
    names = ("backends/test_arrays.py", "backends/test_gpu.py", "solvers/test_contract.py")
    some = ("--only", "not contract or (backends_agree and rpie and complex64)")
    few = (*(ROOT / "tests" / name for name in names), *some)
    return Part(
        "tests",
        150,
        machine.script("gpu_tests.py", "--figures", FIGURES, *(few if machine.dry else ("--processes", 6))),
    )


def quickstart(machine: Machine) -> Part:
    """On every backend, NumPy's runs beside those of the GPU, on the same data."""
    backends = dict.fromkeys(("numpy", *machine.backends))
    tiny = ("problem.object.size=192", "stop.iterations=2") if machine.dry else ()
    settings = (f"backend=[{', '.join(backends)}]", "seed=0", *tiny)
    return Part("quickstart", 80, sweep_command(machine, "quickstart", settings))


def sweep(machine: Machine) -> Part:
    """16 seeds of two solvers at two noise levels, which go into two stacks of 32."""
    tiny = ("problem.object.size=192", "stop.iterations=2") if machine.dry else ()
    seeds = "seed={range: 2}" if machine.dry else "seed={range: 16}"
    settings = (
        f"backend={machine.backends[0] if machine.backends else ''}",
        f"solver={TWO_SOLVERS}",
        seeds,
        *tiny,
    )
    return Part("sweep", 60, sweep_command(machine, "sweep", settings, "--lane", "throughput"))


def sweep_command(machine: Machine, name: str, settings: Sequence[str], *options: str) -> tuple[str, ...]:
    sets = [word for setting in settings for word in ("--set", setting)]
    return machine.script(
        "gpu_sweep.py",
        ROOT / "studies" / "quickstart.yaml",
        *("--figures", FIGURES, "--results", machine.scratch / f"{name}-results"),
        *("--", "--cluster", machine.cluster, *options, *sets),
    )


def speed(machine: Machine) -> Part:
    """Its file is the one that is asked for; the tables with the most to say come first."""
    full = "--probes 64,128,256,512 --positions 49,256,1024,10000 --stacks 8,32,128 --seconds 6"
    tiny = "--probes 64 --positions 16 --stacks 2 --side 2 --rounds 1 --seconds 0"
    return Part(
        "speed",
        120,
        machine.script(
            "speed.py",
            *("--backends", ",".join(machine.backends), "--out", machine.scratch, "--name", "speed"),
            *("--tables", "solvers,ways,sizes,patterns", "--floor", "batched", "--every-way", "--no-figure"),
            *(tiny if machine.dry else full).split(),
        ),
    )


def peers(machine: Machine) -> Part:
    names = ",".join(machine.backends)
    tiny = ("--side", 2, "--seconds", 0) if machine.dry else ()
    return Part(
        "peers",
        45,
        machine.script("gpu_peers.py", "--figures", FIGURES, "--backends", names, *tiny),
    )


def training(machine: Machine) -> Part:
    """Its runs are on NumPy, on CPU workers."""
    few = ("--width", "2", "--set", "problem.object.pattern={range: 2}")
    results = machine.scratch / "training-results"
    return Part(
        "training",
        60,
        machine.script(
            "gpu_training.py",
            *("--figures", FIGURES, "--results", results, "--cluster", machine.cluster_of("local")),
            *(few if machine.dry else ()),
        ),
    )


PARTS: dict[str, Callable[[Machine], Part]] = {
    "setup": setup,
    "tests": tests,
    "quickstart": quickstart,
    "sweep": sweep,
    "speed": speed,
    "peers": peers,
    "training": training,
}

if __name__ == "__main__":
    main()
