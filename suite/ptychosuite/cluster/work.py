"""What a worker does: carry out runs one after the other, write each, and tell the client.

Runs come in batches that share a problem, so that short ones do not wait for messages to travel. A worker
begins no further run of its batch after :data:`BATCH_SECONDS`; the rest is sent out again.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptychosuite.backends.arrays import GPU_BACKENDS, backend
from ptychosuite.cluster.worker_log import WorkerLog
from ptychosuite.cluster.workers import settle
from ptychosuite.core.problem import Footprint, Problem
from ptychosuite.core.runs import Lane, RunRecord, RunSpec, Status
from ptychosuite.errors import ClusterError, StoreError, UserError
from ptychosuite.execute.belongings import lost
from ptychosuite.execute.interruption import check_interruption
from ptychosuite.execute.one_run import execute, execute_stack, failed
from ptychosuite.execute.provenance import machine_memory_bytes, now
from ptychosuite.registry.fingerprint import fingerprint_of
from ptychosuite.store.claims import Claim, Claims
from ptychosuite.store.layout import Store, place
from ptychosuite.store.place import LocalPlace
from ptychosuite.store.read import readable_run
from ptychosuite.store.write import write_run

if TYPE_CHECKING:
    from distributed import Worker

BATCH_SECONDS = 0.5
ELSEWHERE = "elsewhere"  # instead of a status: another sweep is at the run
GPU_STACK = 32  # runs side by side that fill a GPU; a CPU's cache is full with one


@dataclass(frozen=True)
class Terms:
    """How the runs of a sweep are carried out."""

    lane: Lane = Lane.TIMING
    timeout_s: float | None = None  # wall-clock time of a run
    retries: int = 1  # of a run whose worker died under it
    footprint: Callable[[RunSpec], Footprint] | None = None  # None: memory is not looked at beforehand
    stack: int | None = None  # runs side by side on one device; None: as the device likes it
    fail_fast: int | None = None  # failures after which no further run is begun
    extended: Mapping[str, str] = field(
        default_factory=dict
    )  # run_id -> that of the stored run it goes on from
    cost: Callable[[RunSpec], float] | None = None  # planned, in any unit; None: one run is as another
    wait_for_workers_s: float | None = None  # without any that can take a run; None: for ever

    def stack_of(self, backend: str) -> int:
        """How many runs of a backend go together: one in the timing lane."""
        if self.lane is Lane.TIMING:
            return 1
        return self.stack or (GPU_STACK if backend in GPU_BACKENDS else 1)


@dataclass
class Patience:
    """Counts failures; at its end no further run is begun, and those under way are waited for."""

    failures: int | None  # None: without end
    failed: int = field(default=0, init=False)

    @property
    def ended(self) -> bool:
        return self.failures is not None and self.failed >= self.failures

    def note(self, summary: Mapping[str, Any]) -> None:
        """Take a run that has ended into account, unless another sweep has carried it out."""
        if not summary.get(ELSEWHERE):
            self.failed += summary["status"] in (Status.FAILED, Status.TIMED_OUT)


@dataclass(frozen=True)
class Task:
    """A run on its way to a worker."""

    token: str  # names this try
    spec: dict[str, Any]
    footprint: Footprint | None
    code: str  # fingerprint of the client's
    failed_before: int  # tries that had failed when the sweep began
    earlier: str = ""  # run_id of the stored run that it goes on from


@dataclass(frozen=True)
class RunBatch:
    """Runs that a worker gets at once."""

    name: str
    topic: str  # of the events that tell of it
    tasks: tuple[Task, ...]
    root: str  # of the store
    logs: str  # folder of the workers' logs
    lane: Lane
    timeout_s: float | None
    stack: int  # runs side by side
    fail_fast: int | None  # failures in this batch after which no further run is begun
    sweep: str  # whose claims they are; empty where nobody else is at work in the store


Logging = Callable[[Sequence[str]], AbstractContextManager[None]]
"""Makes, of the tokens of runs that go together, what keeps the record of them while they are under way."""

_alone = threading.Lock()  # one run at a time in a process: its clock, threads and memory are the process's
_log: WorkerLog | None = None


def carry_out(batch: RunBatch) -> None:
    """Carry out the runs of ``batch``, on a Dask worker.

    What there is to say goes to the client as events of the topic ``batch.topic``, each with the batch's
    name: the summary of a run that has ended, or an error the user has to act on, after which no further run
    is begun. A result of the Dask task would wait for the last run, and would be lost with the worker.
    """
    from distributed import get_worker

    worker = get_worker()

    def tell(**event: Any) -> None:
        worker.log_event(batch.topic, {"batch": batch.name, **event})

    with _alone:
        try:
            store = Store(place(batch.root))
            claims = Claims(store, batch.sweep)
            log = _log_in(Path(batch.logs), store, worker, batch.timeout_s)
            settle(batch.lane)
            limit = worker.memory_manager.memory_limit or machine_memory_bytes()
            end, patience = time.monotonic() + BATCH_SECONDS, Patience(batch.fail_fast)
            logging = partial(
                log.during, worker=worker.address, memory_limit_bytes=limit, timeout_s=batch.timeout_s
            )
            for first in range(0, len(batch.tasks), batch.stack):
                tasks = batch.tasks[first : first + batch.stack]
                for token, summary in carry_out_stack(tasks, claims, batch.lane, limit, logging, log.text):
                    tell(token=token, summary=summary)
                    patience.note(summary)
                if lost and worker.nanny:  # which starts it anew
                    worker.loop.add_callback(worker.close, nanny=False, reason=lost[0])
                    return
                if time.monotonic() > end or patience.ended:
                    return
        except UserError as error:
            tell(error=type(error).__name__, message=str(error))


def carry_out_stack(
    tasks: Sequence[Task],
    claims: Claims,
    lane: Lane,
    memory_limit_bytes: int,
    logging: Logging = lambda tokens: nullcontext(),
    log: Callable[[], str] = str,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Carry out and write runs side by side, or one alone; yields tokens and summaries.

    What is stored already stays as it is. A run that another sweep is at has the status :data:`ELSEWHERE`.
    Runs that do not fit into memory together go one by one, as do those that go on from others.

    Raises
    ------
    UserError
        No further run could get past this: a missing backend, a full disk.
    """
    left = []
    for task in tasks:
        earlier = _before_it_begins(task, claims, lane, memory_limit_bytes)
        if earlier is None:
            left.append(task)
        else:
            yield task.token, earlier
    if len(left) > 1 and (any(task.earlier for task in left) or _lack(left, memory_limit_bytes)):
        for task in left:
            yield from carry_out_stack([task], claims, lane, memory_limit_bytes, logging, log)
        return
    if not left:
        return
    specs = [RunSpec.from_dict(task.spec) for task in left]
    check_interruption()
    with logging([task.token for task in left]):
        if len(specs) == 1:
            results = [execute(specs[0], lane=lane, earlier=_earlier(left[0], claims.store))]
        else:
            results = execute_stack(specs, lane=lane)
        output = log() if any(record.status is Status.FAILED for record, _ in results) else ""
    for task, (record, problem) in zip(left, results, strict=True):
        if output and record.status is Status.FAILED:
            record = replace(record, message=f"the worker's output:\n{output}\n\n{record.message}")
        yield task.token, _written(_signed(record, claims), problem, claims.store)
        claims.give_back(record.run_id)


def _earlier(task: Task, store: Store) -> RunRecord | None:
    """The stored run that a run goes on from; None where it begins at the start, as without that file."""
    return readable_run(store.run_file(task.earlier), images=True) if task.earlier else None


def _signed(record: RunRecord, claims: Claims) -> RunRecord:
    """A record that says whose it is."""
    return replace(record, provenance={**record.provenance, **signature(claims)})


def _written(record: RunRecord, problem: Problem | None, store: Store) -> dict[str, Any]:
    """Write a record and summarise it; one that cannot be stored for what a plug-in put there has failed."""
    try:
        write_run(store, record, problem.reference if problem else None)
    except UserError:
        raise
    except Exception as error:
        record = replace(failed(record.spec, error), provenance=record.provenance)
        write_run(store, record)
    return record.summary()


SWEEP = "sweep"  # in a record's provenance


def signature(claims: Claims) -> dict[str, str]:
    """What provenance says of the sweep that has carried a run out, where sweeps share a folder."""
    return {SWEEP: claims.sweep} if claims.sweep else {}


def summary_for(record: RunRecord, claims: Claims) -> dict[str, Any]:
    """The summary of a run that was found stored; its record knows whether it is another sweep's."""
    others = claims.sweep and record.provenance.get(SWEEP) != claims.sweep
    return record.summary() | ({ELSEWHERE: True} if others else {})


def _before_it_begins(task: Task, claims: Claims, lane: Lane, limit: int) -> dict[str, Any] | None:
    """The summary of a run that is not to be begun; None for others, which are claimed.

    It is stored, another sweep is at it, or it cannot fit and is recorded as such.
    """
    spec = RunSpec.from_dict(task.spec)
    _refuse_other_code(spec, task.code)
    run_id = spec.run_id(task.code)
    claim = claims.take(run_id)
    if claim is Claim.ELSEWHERE:
        return {"run_id": run_id, "status": ELSEWHERE}
    found = _ended(claims, run_id, task.failed_before)
    lack = _lack([task], limit) if found is None else ""
    if lack:
        provenance = {"start": now(), "lane": str(lane), **signature(claims)}
        record = RunRecord(run_id, spec, Status.FAILED, provenance=provenance, message=f"not begun: {lack}")
        write_run(claims.store, record)
        found = record.summary()
    if found is not None:
        claims.give_back(run_id)
    return found


def _ended(claims: Claims, run_id: str, failed_before: int) -> dict[str, Any] | None:
    """The summary of a run that has ended since the sweep began; None where it has not."""
    files = [claims.store.run_file(run_id)]
    if claims.sweep:
        files.append(claims.store.failed_file(run_id, failed_before + 1))
    record = next((record for file in files if file.exists() and (record := readable_run(file))), None)
    return summary_for(record, claims) if record else None


def _refuse_other_code(spec: RunSpec, expected: str) -> None:
    """Carry out nothing whose results the client would not know as its own."""
    found = fingerprint_of(spec)
    if found != expected:
        raise ClusterError(
            f"a worker on {socket.gethostname()} has other code than this process: what computes "
            f"'{spec.solver_name}' has the fingerprint {found} there and {expected} here. Install the same "
            "version of ptychosuite and its plug-ins for both, start the workers anew, and run this again"
        )


def _lack(tasks: Sequence[Task], memory_limit_bytes: int) -> str:
    """Why runs do not fit side by side into this process and its device; empty where they do."""
    footprints = [task.footprint for task in tasks if task.footprint]
    if not footprints:
        return ""
    device = backend(tasks[0].spec["backend"]).memory_bytes()
    return sum(footprints[1:], start=footprints[0]).lack(memory_limit_bytes, device)


def _log_in(folder: Path, store: Store, worker: Worker, timeout_s: float | None) -> WorkerLog:
    """The log of this process for the sweep whose logs are in ``folder``."""
    global _log
    if timeout_s is not None and not worker.nanny:
        raise ClusterError(
            f"--timeout ends the process of a run that takes too long, and worker {worker.address} has no "
            "nanny to start it again; start the workers with --nanny, or leave --timeout out"
        )
    if _log is None or _log.folder != folder:
        if not isinstance(store.root, LocalPlace):
            folder.mkdir(parents=True, exist_ok=True)  # a folder of this machine
        if not folder.is_dir():
            raise StoreError(
                f"worker {worker.address} does not see the results folder {folder.parent.parent}; "
                "name one that all workers share with --results"
            )
        if _log is not None:
            _log.close()
        _log = WorkerLog(folder, redirect=bool(worker.nanny))
    return _log
