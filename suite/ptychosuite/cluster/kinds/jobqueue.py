"""Workers in the jobs of a batch system, through dask-jobqueue. Each system adds its keys in its own file."""

from __future__ import annotations

import importlib
import math
import os
import re
import shlex
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import psutil
from annotated_types import Ge, Gt, Le

from ptychosuite.cluster.connection import Adapt, ClusterKind, Connection, Demand, adapt_to, at_most_one
from ptychosuite.cluster.security import TLS, Protection, dask_security, security_elsewhere
from ptychosuite.cluster.workers import (
    CPU,
    DASK_CONFIG,
    ENVIRONMENT,
    GPU,
    LOOPBACK,
    PRELOAD,
    ctrl_c_held_back,
    dashboard_link,
    scheduler_options,
    scheduler_pages,
)
from ptychosuite.core.counting import count
from ptychosuite.errors import ClusterError
from ptychosuite.registry.validation import SettingError

if TYPE_CHECKING:
    from distributed import Security

HOME_FOLDER = "~/.ptychosuite"  # homes are what nodes and the machine that submits have in common
NEEDED = {"cores": "16", "memory": "32GB", "interface": "NAME"}  # with an example of each
MEMORY = re.compile(r"\d+(\.\d+)? ?[kMGTP]i?B?", re.IGNORECASE)
ONLY_HERE = ["--no-dashboard", "--dashboard-address", f"{LOOPBACK}:0"]
# after dask-jobqueue's own, which share the job's cores among the GPUs and spill at a memory limit
ONE_GPU_WORKER = ["--nthreads", "1", "--memory-limit", "0", "--device-memory-limit", "0"]


@dataclass(frozen=True)
class JobQueue(ClusterKind):
    """A cluster of dask-jobqueue. What is left out comes from its own configuration, ~/.config/dask.

    Parameters
    ----------
    cores, memory
        Of one job. There is one CPU worker a core, or one GPU worker a GPU.
    gpus
        GPUs of one job.
    rmm_pool
        Part of each GPU's memory that is one pool for CuPy from the start, by RMM; it grows. By default none.
    jobs, workers, adapt
        How many: jobs, workers in all, or between two numbers of jobs. By default one job.
    interface
        Network interface through which nodes and scheduler reach each other; they listen on no other.
    host
        Address of the scheduler, where its machine has another interface.
    queue, walltime
        As the batch system understands them.
    python
        Interpreter on the nodes; by default the one of this process.
    prologue
        Lines of shell before the worker starts: ``module load cuda``.
    directives
        More lines for the head of the job script, without the batch system's prefix.
    log_directory
        Folder for what the jobs print; by default the batch system decides.
    security
        Certificates for TLS, in files that the nodes can read; by default one that is made for this cluster.
        False, ``off`` in YAML, lets in whoever reaches ``interface``.
    dashboard
        Whether Dask's dashboard is there, on loopback, for every user of this machine to read.
    wait_for_workers_s
        As for other clusters, but without end by default: jobs may queue for hours.
    """

    wait_for_workers_s: Annotated[float, Gt(0)] | None = None

    cores: Annotated[int, Ge(1)] | None = None
    memory: str | None = None
    gpus: Annotated[int, Ge(0)] = 0
    rmm_pool: Annotated[float, Gt(0), Le(1)] | None = None
    jobs: Annotated[int, Ge(1)] | None = None
    workers: Annotated[int, Ge(1)] | None = None
    adapt: Adapt | None = None
    interface: str | None = None
    host: str | None = None
    queue: str | None = None
    walltime: str | None = None
    python: str | None = None
    prologue: list[str] = field(default_factory=list)
    directives: list[str] = field(default_factory=list)
    log_directory: str | None = None
    security: Protection = None
    dashboard: bool = False

    cluster_class: ClassVar[str]  # in dask_jobqueue

    def __post_init__(self) -> None:
        at_most_one(jobs=self.jobs, workers=self.workers, adapt=self.adapt)
        if self.memory is not None and not MEMORY.fullmatch(self.memory):
            raise SettingError(("memory",), f"found '{self.memory}'; expected a size, as in 32GB or 500 MiB")

    def own_options(self, needed: Mapping[str, Any]) -> dict[str, Any]:
        """dask-jobqueue's options that this batch system has and others have not.

        ``needed`` holds cores, memory and interface, also where they come from dask-jobqueue's configuration.
        """
        return {}

    def gpu_directives(self) -> list[str]:
        """Lines of the job script's head that ask for GPUs."""
        return []

    def job_script(self) -> str:
        jobqueue = _jobqueue()
        cluster_class = getattr(jobqueue, self.cluster_class)
        security = dask_security(self._shown_files())
        protocol = "tls" if security else "tcp"
        options = self._job_options(security)
        job = cluster_class.job_cls(f"{protocol}://SCHEDULER:PORT", name="WORKER", **options)
        return str(job.job_script())

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        import dask
        from distributed import Client

        cluster_class = getattr(_jobqueue(), self.cluster_class)
        _check_command(self.cluster, cluster_class.job_cls.submit_command)
        with dask.config.set(DASK_CONFIG), ExitStack() as stack:
            security = stack.enter_context(security_elsewhere(self.security, self._shared_folder()))
            options = self._job_options(security)
            each = options["processes"]
            with ctrl_c_held_back(), dask.config.set(scheduler_pages(self.dashboard)):
                cluster = stack.enter_context(self._start(cluster_class, options))
                client = stack.enter_context(Client(cluster))
                demand = Demand()
                jobs = self._submit(cluster, each, demand)
            most = "up to " if self.adapt else ""
            description = f"{self.cluster}: {most}{count(jobs, 'job')} of {count(each, 'worker')}"
            offers = frozenset({GPU if self.gpus else CPU})
            link = dashboard_link(client, self.dashboard)
            yield Connection(client, description, link, offers, jobs * each, demand)

    def _start(self, cluster_class: Any, options: Mapping[str, Any]) -> Any:
        """A cluster that has its scheduler and no job yet."""
        where = scheduler_options(self.dashboard) | ({"host": self.host} if self.host else {})
        job_class = _that_closes(cluster_class.job_cls)
        try:
            return cluster_class(job_cls=job_class, scheduler_options=where, **options)
        except (OSError, RuntimeError, TimeoutError, ValueError) as error:
            raise ClusterError(f"the scheduler for {self.cluster} did not start: {error}") from error

    def _submit(self, cluster: Any, workers_a_job: int, demand: Demand) -> int:
        """Submit the jobs; return how many there will be at most."""
        first = max(1, self.adapt.minimum) if self.adapt else self._jobs(workers_a_job)
        try:
            cluster.sync(_submitted, cluster, first)
        except (OSError, RuntimeError, ValueError) as error:
            said = str(error).rpartition("stderr:")[2].strip()
            raise ClusterError(
                f"{self.cluster} took no job: {said}\n(--dry-run shows the job script)"
            ) from error
        if self.adapt is None:
            return first
        adapt_to(cluster, demand, minimum_jobs=self.adapt.minimum, maximum_jobs=self.adapt.maximum)
        return self.adapt.maximum

    def _jobs(self, workers_a_job: int) -> int:
        return self.jobs or math.ceil((self.workers or 1) / workers_a_job)

    def _shared_folder(self) -> Path:
        """Where keys lie for the nodes to read: as dask-jobqueue is configured, else in the user's home."""
        import dask

        setting = dask.config.get(f"jobqueue.{self.cluster}.shared-temp-directory", None)
        return Path(os.path.expandvars(setting or HOME_FOLDER)).expanduser()

    def _shown_files(self) -> TLS | None:
        """The files that a job script shows before anything starts: those made at the start have no names."""
        if self.security is None:
            return TLS("CERTIFICATE", "CERTIFICATE", "KEY")
        return self.security or None

    def _job_options(self, security: Security | None) -> dict[str, Any]:
        """dask-jobqueue's options for one job."""
        needed = self._needed()
        return {
            **needed,
            **self.own_options(needed),
            "job_name": "ptychosuite",
            "processes": self.gpus or needed["cores"],
            "queue": self.queue,
            "walltime": self.walltime,
            "python": self.python,
            "security": security,
            "protocol": "tls://" if security else None,
            "worker_command": "dask_cuda.cli" if self.gpus else "distributed.cli.dask_worker",
            "worker_extra_args": [*self._worker_arguments(), "--preload", PRELOAD],
            "job_script_prologue": [*_exports(ENVIRONMENT), *self.prologue],
            "job_extra_directives": [*self.gpu_directives(), *self.directives],
            "log_directory": self.log_directory,
        }

    def _worker_arguments(self) -> list[str]:
        if not self.gpus:
            return [*ONLY_HERE, "--resources", f"{CPU}=1"]
        arguments = [*ONLY_HERE, *ONE_GPU_WORKER, "--resources", f"{GPU}=1"]
        if self.rmm_pool is not None:
            arguments += ["--rmm-pool-size", str(self.rmm_pool), "--set-rmm-allocator-for-libs", "cupy"]
        return arguments

    def _needed(self) -> dict[str, Any]:
        """What a job cannot do without, from the settings or from dask-jobqueue's configuration."""
        import dask

        found = {
            key: getattr(self, key) or dask.config.get(f"jobqueue.{self.cluster}.{key}", None)
            for key in NEEDED
        }
        missing = [key for key, value in found.items() if value is None]
        if missing:
            example = "".join(f"\n    {key}: {NEEDED[key]}" for key in missing)
            raise ClusterError(
                f"{self.cluster} needs {', '.join(missing)}; write a file and use --cluster FILE.yaml:\n\n"
                f"    cluster: {self.cluster}{example}\n\ninterfaces of this machine: "
                f"{', '.join(sorted(psutil.net_if_addrs()))}"
            )
        return found


def _jobqueue() -> Any:
    ctrl_c = signal.getsignal(signal.SIGINT)
    try:
        return importlib.import_module("dask_jobqueue")
    except ImportError as error:
        raise ClusterError(
            f"batch systems need dask-jobqueue, which cannot be imported ({error}); "
            "pip install 'ptychosuite[jobqueue]'"
        ) from error
    finally:
        signal.signal(signal.SIGINT, ctrl_c)  # dask-jobqueue makes it an ordinary exit when it is imported


def _check_command(system: str, command: str) -> None:
    if shutil.which(shlex.split(command)[0]) is None:
        raise ClusterError(
            f"{system}: the command '{command}' is not on this machine; run this where jobs are submitted"
        )


def _exports(environment: Mapping[str, str]) -> list[str]:
    return [f"export {name}={value}" for name, value in environment.items()]


async def _submitted(cluster: Any, jobs: int) -> None:
    """Submit ``jobs`` jobs; unlike ``cluster.scale``, raise what the batch system says against it."""
    while len(cluster.worker_spec) < jobs:
        cluster.worker_spec.update(cluster.new_worker_spec())
    await cluster


def _that_closes(job_class: type[Any]) -> type[Any]:
    """A job class whose jobs say that they are closed.

    Those of dask-jobqueue do not, and Dask asserts at the end of a cluster that no open job is left.
    """
    from distributed.core import Status

    async def close(job: Any) -> None:
        await job_class.close(job)
        job.status = Status.closed

    return type(job_class.__name__, (job_class,), {"close": close})
