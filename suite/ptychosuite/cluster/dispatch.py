"""Send runs to a cluster, a bounded number at a time, and follow them home.

Workers write their own results; what travels back is a summary of a few hundred bytes a run. When a worker
dies, its log tells which run it was at: that one is blamed, the others are sent out again.
"""

from __future__ import annotations

import contextlib
import math
import queue
import shutil
import socket
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptychosuite import errors
from ptychosuite.cluster.backlog import Backlog, Death, Try, judge
from ptychosuite.cluster.connection import Connection
from ptychosuite.cluster.sharing import await_others
from ptychosuite.cluster.temporary import temporary_of_user
from ptychosuite.cluster.work import (
    ELSEWHERE,
    Patience,
    RunBatch,
    Task,
    Terms,
    carry_out,
    carry_out_stack,
    signature,
)
from ptychosuite.cluster.worker_log import UnfinishedRun, read_unfinished
from ptychosuite.cluster.workers import Up, may_have, nanny_answers, workers_up
from ptychosuite.core.runs import RunRecord, RunSpec, Status
from ptychosuite.errors import ClusterError
from ptychosuite.execute.belongings import end_group
from ptychosuite.execute.interruption import check_interruption
from ptychosuite.execute.provenance import machine_memory_bytes
from ptychosuite.registry.fingerprint import fingerprint_of, run_id_of
from ptychosuite.store.claims import Claims
from ptychosuite.store.layout import Store
from ptychosuite.store.place import WORKER_LOGS, LocalPlace, make_folder, process_has_ended, this_process
from ptychosuite.store.read import inventory
from ptychosuite.store.write import write_run

if TYPE_CHECKING:
    from distributed import Future

LARGEST_BATCH = 64
LOOK_FOR_WORKERS_S = 1.0
MEMORY_EVENTS = "worker-restart-memory"  # topic under which nannies report workers that outgrew their limit
SCHEDULER_EVENTS, GIVEN_UP = "scheduler", "worker-ttl-timed-out"  # workers that were not heard of


def run_all(
    connection: Connection,
    specs: Sequence[RunSpec],
    store: Store,
    terms: Terms,
    claims: Claims | None = None,
) -> Iterator[dict[str, Any]]:
    """Carry out ``specs`` and yield a summary as each one ends.

    With ``claims``, runs that another sweep is at are left to it; those that it has given up at the end are
    carried out here.

    Raises
    ------
    UserError
        Something no further run could get past (a missing backend, a full disk, a scheduler that is gone);
        the others are cancelled.
    """
    claims, patience = claims or Claims(store), Patience(terms.fail_fast)
    tried = inventory(store).attempts if claims.sweep else {}
    left, held = list(specs), dict[str, RunSpec]()
    while left and not patience.ended:
        known = {run_id_of(spec): spec for spec in left}
        for summary in _one_round(connection, left, claims, terms, patience, tried):
            if summary["status"] == ELSEWHERE:
                held[summary["run_id"]] = known[summary["run_id"]]
            else:
                patience.note(summary)
                yield summary
        left = []
        while held and not left and not patience.ended:
            ended, left = await_others(held, claims, tried, connection.waits)
            for run_id in (*(summary["run_id"] for summary in ended), *map(run_id_of, left)):
                del held[run_id]
            yield from ended


def _one_round(
    connection: Connection,
    specs: Sequence[RunSpec],
    claims: Claims,
    terms: Terms,
    patience: Patience,
    tried: Mapping[str, int],
) -> Iterator[dict[str, Any]]:
    """Carry out those of ``specs`` that no other sweep is at."""
    if connection.client is None:
        limit, backlog = machine_memory_bytes(), Backlog(specs, terms.stack_of)
        while len(backlog) and not patience.ended:
            tries = backlog.take("this process", LARGEST_BATCH)
            stack = terms.stack_of(tries[0].spec.backend)
            for first in range(0, len(tries), stack):
                if patience.ended:
                    return
                tasks = [_task(item, terms, tried) for item in tries[first : first + stack]]
                yield from (summary for _, summary in carry_out_stack(tasks, claims, terms.lane, limit))
    else:
        logs = _log_folder(claims.store, connection, terms, claims.sweep or uuid.uuid4().hex)
        try:
            yield from _Dispatch(connection, specs, claims, terms, logs, patience, tried)
        finally:
            shutil.rmtree(logs, ignore_errors=True)
            with contextlib.suppress(OSError):  # another sweep has its own there
                logs.parent.rmdir()


@dataclass
class _Sent:
    """A batch that is with the cluster."""

    worker: str  # the only one that may have it, so that who dies with it is known
    future: Future
    tries: dict[str, Try]  # by token; those that have not ended


class _Dispatch:
    """The runs that wait, those that are under way, and the workers."""

    def __init__(
        self,
        connection: Connection,
        specs: Sequence[RunSpec],
        claims: Claims,
        terms: Terms,
        logs: Path,
        patience: Patience,
        tried: Mapping[str, int],
    ) -> None:
        self.connection, self.claims, self.terms, self.logs = connection, claims, terms, logs
        self.patience, self.tried, self.store = patience, tried, claims.store
        assert connection.client is not None
        self.client = connection.client
        self.address = self.client.scheduler.address
        self.backlog = Backlog(specs, terms.stack_of)
        self.sent: dict[str, _Sent] = {}  # by the name of the batch
        self.news: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.topic = f"ptychosuite-{uuid.uuid4().hex}"
        self.workers: dict[str, Up] = {}  # by address
        self.nannies: dict[str, str | None] = {}  # of all workers that there have been, by their addresses
        self.looked = float("-inf")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self.client.subscribe_topic(self.topic, lambda event: self.news.put(event[1]))
        try:
            while self.sent or (len(self.backlog) and not self.patience.ended):
                if time.monotonic() - self.looked > LOOK_FOR_WORKERS_S:
                    yield from self._look_for_workers()
                self._send()
                check_interruption()
                self._note_waiting()
                try:
                    news = self.news.get(timeout=LOOK_FOR_WORKERS_S)
                except queue.Empty:
                    continue
                yield from self._received(news)
        finally:
            if self.client.status == "running":
                self.client.unsubscribe_topic(self.topic)
                self.client.cancel([sent.future for sent in self.sent.values()], force=True)

    def _send(self) -> None:
        """Give each idle worker a batch; smaller ones towards the end, so that all end together."""
        if self.patience.ended:
            return
        busy = {sent.worker for sent in self.sent.values()}
        for worker, up in self.workers.items():
            if worker not in busy and len(self.backlog):
                size = math.ceil(len(self.backlog) / (2 * len(self.workers)))
                suits = partial(may_have, has=up.resources, offers=self.connection.offers)
                tries = self.backlog.take(worker, min(size, LARGEST_BATCH), suits)
                if tries:
                    self._submit(worker, tries)

    def _note_waiting(self) -> None:
        """Say where no worker takes a run, and end where that has lasted too long."""
        if self.sent or self.patience.ended or not len(self.backlog):
            self.connection.waits.over()
        else:
            self.connection.waits.for_workers(len(self.backlog), self.terms.wait_for_workers_s)

    def _look_for_workers(self) -> Iterator[dict[str, Any]]:
        """Learn who is there; take back what was with workers that are gone."""
        try:
            self.workers = workers_up(self.client)
        except (OSError, RuntimeError, TimeoutError) as error:
            raise self._scheduler_is_gone() from error
        self.looked = time.monotonic()
        self.nannies |= {address: up.nanny for address, up in self.workers.items()}
        for name, sent in list(self.sent.items()):
            if sent.worker not in self.workers:
                self.client.cancel([sent.future], force=True)
                del self.sent[name]
                yield from self._after_death(sent)
        self.connection.demand.workers = len(self.sent) + len(self.backlog)
        self._replace_lost_workers()

    def _replace_lost_workers(self) -> None:
        """Have a local cluster start the workers anew whose nannies have given up."""
        cluster = self.client.cluster
        if self._is_local and len(self.workers) < len(cluster.worker_spec):
            cluster.scale(len(cluster.worker_spec))

    def _submit(self, worker: str, tries: list[Try]) -> None:
        name = uuid.uuid4().hex
        batch = RunBatch(
            name=name,
            topic=self.topic,
            tasks=tuple(_task(item, self.terms, self.tried) for item in tries),
            root=self.store.root.address,
            logs=str(self.logs),
            lane=self.terms.lane,
            timeout_s=self.terms.timeout_s,
            fail_fast=self.terms.fail_fast,
            sweep=self.claims.sweep,
            stack=1 if any(item.deaths for item in tries) else self.terms.stack_of(tries[0].spec.backend),
        )
        future = self.client.submit(carry_out, batch, key=f"runs-{name}", pure=False, workers=[worker])
        self.sent[name] = _Sent(worker, future, {item.token: item for item in tries})
        future.add_done_callback(lambda _: self.news.put({"batch": name, "ended": True}))

    def _received(self, news: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Act on an event; yield the summaries of runs that have ended with it."""
        sent = self.sent.get(news["batch"])
        if sent is None:
            return
        if "error" in news:
            raise getattr(errors, news["error"], errors.UserError)(news["message"])
        if "summary" in news and sent.tries.pop(news["token"], None) is not None:
            yield news["summary"]
        if "ended" in news:
            del self.sent[news["batch"]]
            if self._died(sent.future):
                yield from self._after_death(sent)
            else:
                self.backlog.put_back(sent.tries.values())

    def _died(self, future: Future) -> bool:
        """Whether a batch came to its end with its worker.

        Raises
        ------
        ClusterError
            Neither run nor worker is to blame.
        """
        from distributed import KilledWorker

        if future.status == "finished":
            return False
        if future.status != "error":
            if self.client.status != "running":
                raise self._scheduler_is_gone()
            return True
        error = future.exception()
        if isinstance(error, KilledWorker):
            return True
        raise ClusterError(
            f"a worker cannot carry out runs: {type(error).__name__}: {error}; "
            "all workers need the same ptychosuite and the same packages as this computer"
        ) from error

    def _after_death(self, sent: _Sent) -> Iterator[dict[str, Any]]:
        """Tell the run that was at work from those that were only near it."""
        self.looked = float("-inf")
        begun = read_unfinished(self.logs)
        for item in sent.tries.values():
            unfinished = begun.get(item.token)
            death = self._death(sent.worker, unfinished) if unfinished else Death()
            verdict = judge(item, unfinished, self.terms.retries, death)
            if isinstance(verdict, Try):
                self.backlog.put_back([verdict])
            else:
                yield self._written(item, unfinished, *verdict)

    def _death(self, worker: str, unfinished: UnfinishedRun) -> Death:
        """Find out how a worker has ended that was at a run; nothing of it stays on this machine."""
        if self._is_local:
            end_group(unfinished.entry.pid)
        if unfinished.timed_out:
            return Death()
        here = unfinished.entry.host == socket.gethostname()
        return Death(
            self._grown_to_bytes(unfinished),
            self._unheard_s(worker),
            self._with_nanny(worker, unfinished),
            unfinished.entry.killed_for_memory.since if here else 0,
        )

    @property
    def _is_local(self) -> bool:
        """Whether the workers are processes of this machine that this one has started."""
        from distributed import LocalCluster

        return isinstance(self.client.cluster, LocalCluster)

    def _with_nanny(self, worker: str, unfinished: UnfinishedRun) -> bool:
        """Whether what would start a worker anew has ended too, or will: batch systems ask all of a job."""
        if self._is_local or unfinished.fault:
            return False
        nanny = self.nannies.get(worker)
        return bool(unfinished.stack) or (nanny is not None and not nanny_answers(self.client, nanny))

    def _unheard_s(self, worker: str) -> float | None:
        """After what time a worker was given up of which nothing was heard."""
        events = (event for _, event in self.client.get_events(SCHEDULER_EVENTS))
        given_up = (event for event in events if event.get("action") == GIVEN_UP)
        return next((event["ttl"] for event in given_up if worker in event["workers"]), None)

    def _written(
        self, item: Try, unfinished: UnfinishedRun | None, status: Status, message: str
    ) -> dict[str, Any]:
        """Record a run that came to no end of its own."""
        provenance: dict[str, Any] = {"lane": str(self.terms.lane), **signature(self.claims)}
        if unfinished is not None:
            provenance |= {"start": unfinished.entry.start, "host": unfinished.entry.host}
        record = RunRecord(
            run_id=run_id_of(item.spec), spec=item.spec, status=status, provenance=provenance, message=message
        )
        write_run(self.store, record)
        self.claims.give_back(record.run_id)
        return record.summary()

    def _grown_to_bytes(self, unfinished: UnfinishedRun) -> float | None:
        """Memory of a worker that its nanny ended because it had outgrown its limit."""
        events = (event for _, event in self.client.get_events(MEMORY_EVENTS))
        return next((e["rss"] for e in events if e["worker"] == unfinished.entry.worker), None)

    def _scheduler_is_gone(self) -> ClusterError:
        return ClusterError(
            f"lost the scheduler at {self.address}; finished runs are kept. Start it again, "
            "or take another --cluster: the same command goes on where this one stopped"
        )


def _task(item: Try, terms: Terms, tried: Mapping[str, int]) -> Task:
    footprint = terms.footprint(item.spec) if terms.footprint else None
    run_id = run_id_of(item.spec)
    return Task(
        item.token,
        item.spec.to_dict(),
        footprint,
        fingerprint_of(item.spec),
        failed_before=tried.get(run_id, 0),
        earlier=terms.extended.get(run_id, ""),
    )


def _log_folder(store: Store, connection: Connection, terms: Terms, sweep: str) -> Path:
    """A new folder for the logs of the workers of ``sweep``; those of dead sweeps are removed.

    Other sweeps of this process, in other threads, have theirs.

    It lies with the results, where all workers see it; beside results on object storage it is a folder of
    this machine, and workers elsewhere go without.

    Raises
    ------
    ClusterError
        There is a time limit, and no log to tell of runs that it ends.
    """
    from distributed import LocalCluster

    if isinstance(store.root, LocalPlace):
        parent = Path(store.root.address) / WORKER_LOGS
    elif isinstance(getattr(connection.client, "cluster", None), LocalCluster) or terms.timeout_s is None:
        parent = temporary_of_user("worker-logs")
    else:
        raise ClusterError(
            "--timeout needs a folder that all workers share, to know which run it ended; "
            "keep the results on a shared filesystem, or leave --timeout out"
        )
    root = store.root.address if isinstance(store.root, LocalPlace) else ""
    own = parent / f"{this_process()}-{sweep}"
    with LocalPlace(str(parent), root).refusals():
        for old in parent.glob("*"):
            if process_has_ended(old.name):
                shutil.rmtree(old, ignore_errors=True)
        make_folder(str(own), root)
    return own
