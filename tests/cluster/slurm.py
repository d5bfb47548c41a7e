"""A SLURM of two nodes on this machine, for one test session."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
NODES = ("node1", "node2")
START_S, STOP_S = 30.0, 15.0

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
SlurmdParameters=config_overrides
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 RealMemory=8000
NodeName=node2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 RealMemory=8000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str:
    """Why SLURM cannot be started here; empty where it can."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"no {', '.join(missing)}; apt-get install slurmctld slurmd slurm-client munge"
    return "" if os.geteuid() == 0 else "SLURM's daemons are started by root"


@contextmanager
def two_nodes(folder: Path) -> Iterator[Path]:
    """Start munge, a controller and two node daemons in ``folder``; yield the path of the configuration."""
    configuration = folder / "slurm.conf"
    configuration.write_text(
        CONFIGURATION.format(host=socket.gethostname().split(".")[0], folder=folder, ports=free_ports(3))
    )
    (folder / "state").mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    munge = ["--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket",
             f"--pid-file={folder}/munged.pid", f"--log-file={folder}/munged.log",
             f"--seed-file={folder}/munge.seed"]  # fmt: skip
    with ExitStack() as stack:
        stack.enter_context(_daemon(folder, "munged", munge))
        _wait(folder, (folder / "munge.socket").exists)
        stack.enter_context(_daemon(folder, "slurmctld", ["-D"]))
        for node in NODES:
            stack.enter_context(_daemon(folder, "slurmd", ["-D", "-N", node], name=node))
        _wait(folder, lambda: command(configuration, "sinfo", "-h", "-t", "idle", "-o", "%D").strip() == "2")
        yield configuration
        command(configuration, "scancel", "--user=root")
        _wait(folder, lambda: not jobs(configuration))


def jobs(configuration: Path) -> list[str]:
    """Ids of the jobs that are waiting, running or ending."""
    return command(configuration, "squeue", "-h", "-o", "%i").split()


def command(configuration: Path, *words: str) -> str:
    """What a SLURM command prints; nothing where it fails."""
    environment = {**os.environ, "SLURM_CONF": str(configuration)}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=30, check=False)
    return done.stdout


def free_ports(number: int) -> list[int]:
    """Ports nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def _daemon(folder: Path, program: str, arguments: Sequence[str], name: str = "") -> Iterator[None]:
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    with (folder / f"{name or program}.out").open("w") as output:
        process = subprocess.Popen(
            [program, *arguments], stdout=output, stderr=subprocess.STDOUT, env=environment
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(folder: Path, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + START_S
    while not condition():
        if time.monotonic() > end:
            logs = [f"== {file.name}\n{file.read_text()[-1500:]}" for file in sorted(folder.glob("*.out"))]
            raise AssertionError("SLURM is not ready:\n" + "\n".join(logs))
        time.sleep(0.2)
