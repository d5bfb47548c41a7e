"""What every worker is given: one thread, nothing spilled to disk, Ctrl-C left to the client.

A core of its own for each worker of the timing lane. Runs ask for Dask resources that workers declare.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from multiprocessing import resource_tracker
from multiprocessing.forkserver import ensure_running, set_forkserver_preload
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from ptychosuite.backends.arrays import GPU_BACKENDS
from ptychosuite.backends.compiled import kernel_modules
from ptychosuite.cluster.temporary import temporary_of_user
from ptychosuite.core.runs import Lane
from ptychosuite.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client


LOOPBACK = "127.0.0.1"
PRELOAD = "ptychosuite.cluster.preload"
LAST_TO_LEAVE = "ptychosuite.cluster.last_to_leave"
LOGS = "CRITICAL"  # what goes wrong is in a run's record; a worker cut off by Ctrl-C would print tracebacks
ONE_THREAD = {
    name: "1"
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
}
DASK_CONFIG: Mapping[str, Any] = {
    "distributed.nanny.pre-spawn-environ": ONE_THREAD,  # before NumPy is imported, or it is too late
    "distributed.scheduler.allowed-failures": 0,  # we look for the reason before we try again
    "distributed.deploy.lost-worker-timeout": "5s",  # then a worker is replaced
    "distributed.worker.multiprocessing-method": "forkserver",  # packages are imported once
    "distributed.worker.preload": [PRELOAD],
    "distributed.worker.memory.target": False,  # nothing worth spilling stays on a worker
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,  # a worker that is full is ended, not left waiting
    "distributed.worker.http.routes": [],  # whoever is on the machine could read them
    # the scheduler is in the client's process, which is not to grow with the number of runs
    "distributed.admin.low-level-log-length": 100,
    "distributed.admin.system-monitor.log-length": 600,
    "distributed.scheduler.dashboard.tasks.task-stream-length": 1000,
}
# the same for workers that are started by a job script
ENVIRONMENT = {
    **ONE_THREAD,
    "DASK_DISTRIBUTED__WORKER__MEMORY__TARGET": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__SPILL": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE": "False",
    "DASK_DISTRIBUTED__WORKER__HTTP__ROUTES": "[]",
}


@contextmanager
def ctrl_c_held_back() -> Iterator[None]:
    """Let Ctrl-C wait until the end of the block; threads and processes started in it never see one.

    A terminal sends it to every process: workers that are still starting, or the command that submits a job,
    would die of it in disorder.
    """
    _start_resource_tracker()  # started in the block, it would let Ctrl-C through to the rest
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _start_resource_tracker() -> None:
    """Start the process that clears up behind the others, which has nothing to say to the user.

    It would name what workers that were killed have left.
    """
    sys.warnoptions.append("ignore:resource_tracker")
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.remove("ignore:resource_tracker")


def start_forkserver() -> None:
    """Start the process from which workers are forked; it imports the packages once, for all of them."""
    set_forkserver_preload([LAST_TO_LEAVE, "distributed", "ptychosuite.cluster.work", *kernel_modules()])
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)  # before NumPy is imported there, or it is too late
    try:
        with ctrl_c_held_back():
            ensure_running()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def usable_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def binding(host: str | None, interface: str | None) -> dict[str, str]:
    """Where servers listen, as Dask's keywords: one interface, one address, or nowhere but on loopback."""
    return {"interface": interface} if interface else {"host": host or LOOPBACK}


def scheduler_options(dashboard: bool) -> dict[str, Any]:
    """Dask's keywords for a scheduler whose pages, if it has any, are shown to this machine alone.

    Raises
    ------
    ClusterError
        A dashboard is asked for, and Bokeh is missing.
    """
    if dashboard and find_spec("bokeh") is None:
        raise ClusterError(
            "the dashboard needs Bokeh, which is missing; pip install 'ptychosuite[dashboard]'"
        )
    return {"dashboard": dashboard, "dashboard_address": f"{LOOPBACK}:0"}


def scheduler_pages(dashboard: bool) -> dict[str, Any]:
    """Dask's configuration while a scheduler starts: no pages but those that belong to a dashboard."""
    return {} if dashboard else {"distributed.scheduler.http.routes": []}


def dashboard_link(client: Client, dashboard: bool) -> str:
    """Address of a dashboard on loopback, whatever the scheduler listens on; empty where there is none."""
    return f"http://{LOOPBACK}:{urlsplit(client.dashboard_link).port}/status" if dashboard else ""


_claimed: list[int] = []  # the core of this process, if it has one


def settle(lane: Lane) -> None:
    """Keep the calling thread, which carries out the runs, on the core of this process, or let it go.

    Where the system cannot, and where all cores are taken, the thread stays free: provenance names its cores.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    core = claimed_core() if lane is Lane.TIMING else None
    free = os.sched_getaffinity(os.getpid())  # of the main thread, which is never pinned
    os.sched_setaffinity(0, free if core is None else {core})


def claimed_core() -> int | None:
    """A core that no other worker of this user has, for as long as this process lives; None without one."""
    if not _claimed:
        folder = temporary_of_user("cores")
        for core in sorted(os.sched_getaffinity(os.getpid())):
            lock = os.open(folder / str(core), os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # given back by the system with the process
            except BlockingIOError:
                os.close(lock)
                continue
            _claimed.append(core)
            break
    return _claimed[0] if _claimed else None


if TYPE_CHECKING:
    from distributed import Client

GPU, CPU = "GPU", "CPU"


def resources_for(backend: str, offers: Collection[str]) -> dict[str, int]:
    """What a run asks of its worker.

    A GPU run asks for a GPU. A run on the CPU keeps off GPU workers where there are CPU workers beside them.

    Parameters
    ----------
    backend
        Backend of the run.
    offers
        Names of the resources that the cluster's workers declare.

    Raises
    ------
    ClusterError
        The run needs a GPU and no worker offers one.
    """
    if backend not in GPU_BACKENDS:
        return {CPU: 1} if CPU in offers and GPU in offers else {}
    if GPU not in offers:
        raise ClusterError(
            f"backend '{backend}' needs a GPU, and no worker of this cluster offers one; use --cluster cuda, "
            "'gpus: N' in the cluster file of a batch system, or workers started with --resources GPU=1"
        )
    return {GPU: 1}


def check_devices(backends: Collection[str], offers: Collection[str]) -> None:
    """Raise ClusterError, before anything runs, where a backend's device is missing."""
    for backend in sorted(backends):
        resources_for(backend, offers)


def may_have(backend: str, has: Collection[str], offers: Collection[str]) -> bool:
    """Whether a run may go to a worker that declares ``has``, in a cluster that declares ``offers``."""
    return all(name in has for name in resources_for(backend, offers))


class Up(NamedTuple):
    """A worker that is up."""

    resources: frozenset[str]  # Dask resources that it declares
    nanny: str | None  # address of the process that starts it anew


def workers_up(client: Client) -> dict[str, Up]:
    """The workers that are up, by address.

    The scheduler itself is asked: ``Client.scheduler_info`` may answer with what the client has refreshed in
    the background meanwhile, which names no workers.

    Raises
    ------
    OSError
        The scheduler does not answer.
    """
    if client.scheduler is None:
        raise OSError("the connection to the scheduler is closed")
    workers = client.sync(client.scheduler.identity, n_workers=-1)["workers"]
    return {
        address: Up(frozenset(worker["resources"]), worker.get("nanny"))
        for address, worker in workers.items()
    }


def offered(client: Client) -> frozenset[str]:
    """The resources declared by the workers that are up."""
    return frozenset(name for worker in workers_up(client).values() for name in worker.resources)


NANNY_ANSWERS_S = 5.0


def nanny_answers(client: Client, nanny: str) -> bool:
    """Whether the process that starts a worker anew is there; the scheduler is asked to ask it."""
    try:
        client.sync(
            client.scheduler.proxy, msg={"op": "identity"}, worker=nanny, callback_timeout=NANNY_ANSWERS_S
        )
    except Exception:  # of Dask's many
        return False
    return True
