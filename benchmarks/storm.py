"""A sweep in a storm: processes killed and stopped at random, several clients, shards, a copied folder.

    python benchmarks/storm.py [--runs 300] [--blows 100] [--seed 0] [--folder FOLDER] [--json FILE]

One sweep goes undisturbed. Then two clients with two workers each, and two shards without a cluster, work on
one results folder, while every moment one process of theirs - client, nanny, worker, whatever helps them - is
killed (SIGKILL), asked to end (SIGTERM), interrupted (SIGINT) or stopped (SIGSTOP, for two seconds or for
good). A client that ended is started again. After a third of the blows the folder is copied as it lies; the
copy is swept to its end, and merged back. Afterwards every result has to be that of the undisturbed sweep to
the last bit, nothing may lie half-written, and no process may be left.

The exit code is 0 only where all of it holds.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import zarr
from ptychosuite.core.runs import RunRecord
from ptychosuite.store.layout import Store
from ptychosuite.store.read import inventory, read_run, sessions
from timing import machine

NAME = "storm"  # of the study
PROGRAM = (sys.executable, "-m", "ptychosuite.cli")
RESULTS = Path(__file__).parent / "results" / "storm.json"
STUDY = """\
study: storm
problem:
  object: {{kind: texture, size: 48}}
  probe: {{kind: gaussian, size: 24, fwhm_px: 8}}
  noise: 0.1
stop: {{iterations: 80}}
axes:
  solver: [rpie, {{name: magpie, levels: 3}}, {{name: lsqml, batch: 4}}]
  seed: {{range: {seeds}}}
figures: []
"""
MEASURED = ("seconds", "seconds_per_iteration", "peak_host_bytes")  # different every time
MARK = "PTYCHOSUITE_STORM"  # in the environment of every process of a storm
CLIENTS = (["--workers", "2"], ["--workers", "2"], ["--cluster", "none", "--shard", "1/2"],
           ["--cluster", "none", "--shard", "2/2"])  # fmt: skip
BLOWS = {"SIGKILL": 4, "SIGTERM": 2, "SIGINT": 2, "SIGSTOP for 2 s": 2, "SIGSTOP for good": 1}
STOPPED_S = 2.0
SILENT = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "15s"}  # after which a stopped worker is given up
PATIENCE_S = 3600.0  # for the whole
GONE_S = 30.0  # by when the last process has to be gone


@dataclass
class Storm:
    """The clients at work, and what they have met."""

    study: Path
    results: Path
    random: random.Random
    clients: list[subprocess.Popen[bytes] | None] = field(default_factory=lambda: [None] * len(CLIENTS))
    blows: Counter[str] = field(default_factory=Counter)
    exit_codes: Counter[int] = field(default_factory=Counter)
    stopped: list[tuple[float, psutil.Process]] = field(default_factory=list)  # when each goes on

    def keep_clients(self) -> None:
        """Start those that have ended again."""
        for number, client in enumerate(self.clients):
            if client is not None and client.poll() is None:
                continue
            if client is not None:
                self.exit_codes[client.returncode] += 1
                self._look_at(number, client.returncode)
            log = open(self.study.parent / f"client-{number}.log", "wb")  # noqa: SIM115 - the child's
            self.clients[number] = subprocess.Popen(
                command(self.study, self.results, *CLIENTS[number], "--retry-failed"),
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
            log.close()

    def _look_at(self, number: int, code: int) -> None:
        """A traceback of ours is a fault; Python's own of Ctrl-C while it imports the program is not."""
        text = (self.study.parent / f"client-{number}.log").read_text(errors="replace")
        if code != -signal.SIGINT and re.search(r'File ".*ptychosuite.*", line', text):
            raise SystemExit(f"client {number} (exit code {code}) shows a traceback:\n{text[-4000:]}")

    def strike(self) -> None:
        """One blow at one process, of those that live."""
        living = [client for client in self.clients if client is not None and client.poll() is None]
        tree = [each for client in living for each in family(client.pid)]
        (blow,) = self.random.choices(list(BLOWS), list(BLOWS.values()))
        victims = [each for each in tree if may_suffer(blow, *each)]
        if not victims:
            return
        victim, is_client = self.random.choice(victims)
        try:
            victim.send_signal(getattr(signal, blow.split()[0]))
        except psutil.NoSuchProcess:
            return
        self.blows[f"{blow}, {'client' if is_client else 'helper'}"] += 1
        if blow == "SIGSTOP for 2 s":
            self.stopped.append((time.monotonic() + STOPPED_S, victim))

    def release(self) -> None:
        """Let those go on that have been stopped for long enough."""
        due = [victim for when, victim in self.stopped if when <= time.monotonic()]
        self.stopped = [each for each in self.stopped if each[1] not in due]
        for victim in due:
            try:
                victim.send_signal(signal.SIGCONT)
            except psutil.NoSuchProcess:
                continue

    def calm(self) -> None:
        """No more blows: the clients are asked to end."""
        for _, victim in self.stopped:
            if victim.is_running():
                victim.send_signal(signal.SIGCONT)
        for client in self.clients:
            if client is not None and client.poll() is None:
                client.terminate()
        for client in self.clients:
            if client is not None:
                self.exit_codes[client.wait(timeout=GONE_S)] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--blows", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the blows; what they meet varies")
    parser.add_argument("--pause", type=float, default=1.0, metavar="SECONDS", help="mean time between blows")
    parser.add_argument("--folder", type=Path, help="where to work; by default a temporary folder")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        found = weather(folder, options.runs, options.blows, options.pause, random.Random(options.seed))
    for name, value in found.items():
        print(f"{name:22} {value}")
    options.json.write_text(json.dumps(found | {"seed": options.seed, "machine": machine()}, indent=1) + "\n")
    sys.exit(0 if not found["faults"] else 1)


def weather(folder: Path, runs: int, blows: int, pause_s: float, chance: random.Random) -> dict[str, object]:
    """The calm sweep, the storm, and what differs."""
    study = folder / "storm.yaml"
    study.write_text(STUDY.format(seeds=runs // 3))
    os.environ |= {MARK: f"{os.getpid()}-{time.time()}", **SILENT}
    begin = time.monotonic()
    swept(study, folder / "calm", "--workers", "2")
    calm_s = time.monotonic() - begin

    begin = time.monotonic()
    storm, copy = Storm(study, folder / "storm", chance), folder / "copy"
    while sum(storm.blows.values()) < blows or not copy.exists():
        if time.monotonic() - begin > PATIENCE_S:
            raise SystemExit("the storm does not end")
        storm.keep_clients()
        end = time.monotonic() + chance.expovariate(1 / pause_s)
        while time.monotonic() < end:
            storm.release()
            time.sleep(0.02)
        storm.strike()
        if (
            not copy.exists()
            and sum(storm.blows.values()) >= blows / 3
            and (folder / "storm" / NAME).exists()
        ):
            copied(folder / "storm", copy)
    done_meanwhile = len(inventory(Store.open(folder / "storm" / NAME)).done)
    storm.calm()
    left = left_over()
    swept(study, copy, "--cluster", "none", "--retry-failed")
    carried_out(*PROGRAM, "merge", str(folder / "storm" / NAME), str(copy / NAME))
    swept(study, folder / "storm", "--workers", "2", "--retry-failed")

    calm = Store.open(folder / "calm" / NAME)
    faults = [f"process left over: {each}" for each in (*left, *left_over())]
    for name in ("storm", "copy"):
        carried_out(*PROGRAM, "clean", str(folder / name / NAME), "--only", "leftovers", "--yes", "--delete")
        faults += [f"{name}: {each}" for each in differences(calm, Store.open(folder / name / NAME))]
    return {
        "runs": len(inventory(calm).done),
        "blows": dict(sorted(storm.blows.items())),
        "exit codes of clients": {str(code): number for code, number in sorted(storm.exit_codes.items())},
        "done when calm came": done_meanwhile,
        "seconds undisturbed": round(calm_s, 1),
        "seconds in the storm": round(time.monotonic() - begin, 1),
        "faults": faults,
    }


def command(study: Path, results: Path, *options: str) -> list[str]:
    return [*PROGRAM, "run", str(study), "--results", str(results), *options]


def swept(study: Path, results: Path, *options: str) -> None:
    """A sweep that nobody disturbs."""
    carried_out(*command(study, results, *options))


def carried_out(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with exit code {done.returncode}:\n{done.stderr}")


def copied(source: Path, target: Path) -> None:
    """Copy a folder while others write to it, as a user would; what vanishes meanwhile is not copied."""
    for root, _, names in os.walk(source):
        to = target / Path(root).relative_to(source)
        to.mkdir(parents=True, exist_ok=True)
        for name in names:
            try:
                shutil.copy2(Path(root, name), to / name)
            except FileNotFoundError:
                continue


def family(pid: int) -> list[tuple[psutil.Process, bool]]:
    """A client and all it has started, and whether each is the client."""
    try:
        client = psutil.Process(pid)
        return [(client, True), *((child, False) for child in client.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def may_suffer(blow: str, process: psutil.Process, is_client: bool) -> bool:
    """Ctrl-C is a client's; of those that stop for good only workers are waited for."""
    if blow == "SIGINT":
        return is_client
    return blow != "SIGSTOP for good" or is_worker(process)


def is_worker(process: psutil.Process) -> bool:
    """Whether a process is one of a local cluster's workers, which a server of forks starts."""
    try:
        parent = process.parent()
        return parent is not None and "forkserver" in " ".join(parent.cmdline())
    except psutil.Error:
        return False


def left_over() -> list[str]:
    """Processes of this storm that do not go away."""
    end, found = time.monotonic() + GONE_S, [""]
    while found and time.monotonic() < end:
        found = [
            f"{each.pid} {each.status()} {' '.join(each.cmdline())[-120:]}"
            for each in psutil.process_iter()
            if each.pid != os.getpid() and is_marked(each)
        ]
        time.sleep(0.5)
    return found


def is_marked(process: psutil.Process) -> bool:
    try:
        return process.environ().get(MARK) == os.environ[MARK]
    except psutil.Error:
        return False


def differences(calm: Store, other: Store) -> list[str]:
    """In what a folder is not that of the undisturbed sweep, run by run, and what lies about in it."""
    expected, found = inventory(calm), inventory(other)
    faults = [f"{run_id} is missing" for run_id in expected.done.keys() - found.done.keys()]
    faults += [f"{run_id} is not of the study" for run_id in found.files.keys() - expected.done.keys()]
    for run_id in expected.done.keys() & found.done.keys():
        one, another = read_run(expected.done[run_id]), read_run(found.done[run_id])
        faults += [f"{run_id} differs in {what}" for what in unlike(one, another)]
    root = Path(other.root.address)
    faults += [f"left behind: {name}" for name in other.root.leftovers()]
    faults += [f"left behind: {file.name}" for file in root.glob(".claims/*")]
    faults += [f"left behind: {file.name}" for file in root.glob(".worker-logs/*")]
    if not list(sessions(other)):
        faults.append("no session can be read")
    held = zarr.open_group(other.dataset.address, mode="r")["run_id"]
    if {str(each) for each in np.asarray(held)} != {*expected.done}:
        faults.append("the dataset does not hold the runs")
    return faults


def unlike(one: RunRecord, other: RunRecord) -> list[str]:
    """What of two runs is not the same to the last bit."""
    pairs = {
        **{name: (value, other.metrics.get(name)) for name, value in one.metrics.items()},
        **{name: (value, other.curves.get(name)) for name, value in one.curves.items()},
        "object": (one.object, other.object),
        "probe": (one.probe, other.probe),
        "status": (one.status, other.status),
    }
    return [
        name
        for name, (a, b) in pairs.items()
        if name not in MEASURED and not np.array_equal(np.asarray(a), np.asarray(b), equal_nan=_is_real(a))
    ]


def _is_real(value: object) -> bool:
    return np.asarray(value).dtype.kind in "fc"


if __name__ == "__main__":
    main()
