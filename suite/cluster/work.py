"""What a worker does: carry out runs one after the other, write each, and tell the client.

Runs come in parcels that share a problem, so that short ones do not wait for messages to travel. A worker
begins no further run of its parcel after :data:`PARCEL_SECONDS`; the rest is sent out again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.cluster.flight import Recorder
from suite.cluster.pinning import settle
from suite.core.arrays import backend
from suite.core.fingerprint import code_fingerprint
from suite.core.footprint import Footprint
from suite.core.run import Lane, RunRecord, RunSpec, Status
from suite.errors import ClusterError, StoreError, UserError
from suite.execute.memory import machine_memory_bytes
from suite.execute.provenance import now
from suite.execute.run import execute
from suite.store.layout import Store
from suite.store.place import LocalPlace, place
from suite.store.read import read_run
from suite.store.write import write_run

if TYPE_CHECKING:
    from distributed import Worker

PARCEL_SECONDS = 0.5


@dataclass(frozen=True)
class Terms:
    """How the runs of a sweep are carried out."""

    lane: Lane = Lane.TIMING
    timeout_s: float | None = None  # wall-clock time of a run
    retries: int = 1  # of a run whose worker died under it
    footprint: Callable[[RunSpec], Footprint] | None = None  # None: memory is not looked at beforehand


@dataclass(frozen=True)
class Task:
    """A run on its way to a worker."""

    token: str  # names this try
    spec: dict[str, Any]
    footprint: Footprint | None


@dataclass(frozen=True)
class Parcel:
    """Runs that a worker gets at once."""

    name: str
    topic: str  # of the events that tell of it
    tasks: tuple[Task, ...]
    root: str  # of the store
    flights: str  # folder of the flight recorders
    lane: Lane
    timeout_s: float | None


_alone = threading.Lock()  # one run at a time in a process: its clock, threads and memory are the process's
_recorder: Recorder | None = None


def carry_out(parcel: Parcel) -> None:
    """Carry out the runs of ``parcel``, on a Dask worker.

    What there is to say goes to the client as events of the topic ``parcel.topic``, each with the parcel's
    name: the summary of a run that has ended, or an error the user has to act on, after which no further run
    is begun. A result of the Dask task would wait for the last run, and would be lost with the worker.
    """
    from distributed import get_worker

    worker = get_worker()

    def tell(**event: Any) -> None:
        worker.log_event(parcel.topic, {"parcel": parcel.name, **event})

    with _alone:
        try:
            store = Store(place(parcel.root))
            recorder = _recorder_in(Path(parcel.flights), store, worker, parcel.timeout_s)
            settle(parcel.lane)
            limit = worker.memory_manager.memory_limit or machine_memory_bytes()
            end = time.monotonic() + PARCEL_SECONDS
            for task in parcel.tasks:
                flight = recorder.flight(task.token, worker.address, limit, now(), parcel.timeout_s)
                summary = carry_out_one(task, store, parcel.lane, limit, flight, recorder.log)
                tell(token=task.token, summary=summary)
                if time.monotonic() > end:
                    return
        except UserError as error:
            tell(error=type(error).__name__, message=str(error))


def carry_out_one(
    task: Task,
    store: Store,
    lane: Lane,
    memory_limit_bytes: int,
    flight: AbstractContextManager[None] | None = None,
    log: Callable[[], str] = str,
) -> dict[str, Any]:
    """Carry out and write one run; its summary is returned. What is stored already stays as it is.

    Raises
    ------
    UserError
        No further run could get past this: a missing backend, a full disk.
    """
    spec = RunSpec.from_dict(task.spec)
    run_id = spec.run_id(code_fingerprint())
    if store.run_file(run_id).exists():
        return read_run(store.run_file(run_id), images=False).summary()
    lack = task.footprint and task.footprint.lack(memory_limit_bytes, backend(spec.backend).memory_bytes())
    if lack:
        provenance = {"start": now(), "lane": str(lane)}
        record = RunRecord(run_id, spec, Status.FAILED, provenance=provenance, message=f"not begun: {lack}")
        write_run(store, record)
        return record.summary()
    with flight or nullcontext():
        record, problem = execute(spec, lane=lane)
        output = log() if record.status is Status.FAILED else ""
    if output:
        record = replace(record, message=f"the worker's output:\n{output}\n\n{record.message}")
    write_run(store, record, problem.reference if problem else None)
    return record.summary()


def _recorder_in(folder: Path, store: Store, worker: Worker, timeout_s: float | None) -> Recorder:
    """The recorder of this process for the sweep whose flights are in ``folder``."""
    global _recorder
    if timeout_s is not None and not worker.nanny:
        raise ClusterError(
            f"--timeout ends the process of a run that takes too long, and worker {worker.address} has no "
            "nanny to start it again; start the workers with --nanny, or leave --timeout out"
        )
    if _recorder is None or _recorder.folder != folder:
        if not isinstance(store.root, LocalPlace):
            folder.mkdir(parents=True, exist_ok=True)  # a folder of this machine
        if not folder.is_dir():
            raise StoreError(
                f"worker {worker.address} does not see the results folder {folder.parent.parent}; "
                "name one that all workers share with --results"
            )
        if _recorder is not None:
            _recorder.close()
        _recorder = Recorder(folder, redirect=bool(worker.nanny))
    return _recorder
