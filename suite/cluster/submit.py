"""Send runs to a cluster, a bounded number at a time, and follow them home.

Workers write their own results; what travels back is a summary of a few hundred bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from suite.cluster.connection import Connection
from suite.cluster.resources import resources_for
from suite.core.fingerprint import code_fingerprint
from suite.core.run import RunRecord, RunSpec, Status
from suite.errors import UserError
from suite.execute.run import execute
from suite.store.layout import Store
from suite.store.place import place
from suite.store.write import write_run

RUNS_AHEAD = 3  # runs in flight for each worker: enough to keep it busy, few enough to stop at once


def run_and_store(spec: dict[str, Any], root: str) -> dict[str, Any] | UserError:
    """Carry out one run and write it: what a worker does.

    An error that the user has to act on is handed back, not raised: on a worker it is no accident.
    """
    try:
        record, problem = execute(RunSpec.from_dict(spec))
        write_run(Store(place(root)), record, problem.reference if problem else None)
    except UserError as error:
        return error
    return record.summary()


def run_all(connection: Connection, specs: Sequence[RunSpec], store: Store) -> Iterator[dict[str, Any]]:
    """Carry out ``specs`` and yield a summary as each one ends.

    Raises
    ------
    UserError
        Something no further run could get past (a missing backend, a full disk); the others are cancelled.
    """
    if connection.client is None:
        for spec in specs:
            yield _checked(run_and_store(spec.to_dict(), store.root.address))
    else:
        yield from _on_cluster(connection, specs, store)


def _on_cluster(connection: Connection, specs: Sequence[RunSpec], store: Store) -> Iterator[dict[str, Any]]:
    """All runs side by side; then, one at a time, those whose worker died.

    The scheduler blames every run that was on a worker when it died. Alone, a run that kills its worker is
    told from those that were its neighbours.
    """
    suspects: list[RunSpec] = []
    ahead = RUNS_AHEAD * max(1, connection.workers)
    for spec, outcome in _submitted(connection, specs, store, ahead):
        if isinstance(outcome, BaseException):
            suspects.append(spec)
        else:
            yield outcome
    for spec, outcome in _submitted(connection, suspects, store, ahead=1):
        yield _lost(store, spec, outcome) if isinstance(outcome, BaseException) else outcome


def _submitted(
    connection: Connection, specs: Sequence[RunSpec], store: Store, ahead: int
) -> Iterator[tuple[RunSpec, dict[str, Any] | BaseException]]:
    """Each run with its summary, or with the error of a worker that died, in the order in which they end.

    At most ``ahead`` runs are with the cluster at once.
    """
    from distributed import as_completed

    client: Any = connection.client
    root = store.root.address
    queue = iter(specs)
    pending: dict[Any, RunSpec] = {}
    futures = as_completed()

    def submit_next() -> None:
        spec = next(queue, None)
        if spec is not None:
            device = resources_for(spec.backend, connection.offers)
            future = client.submit(run_and_store, spec.to_dict(), root, pure=False, resources=device)
            pending[future] = spec
            futures.add(future)

    try:
        for _ in range(ahead):
            submit_next()
        for future in futures:
            spec = pending.pop(future)
            submit_next()
            error = future.exception()
            yield spec, _checked(future.result()) if error is None else error
    finally:
        client.cancel(list(pending), force=True)


def _checked(result: dict[str, Any] | UserError) -> dict[str, Any]:
    if isinstance(result, UserError):
        raise result
    return result


def _lost(store: Store, spec: RunSpec, error: BaseException) -> dict[str, Any]:
    """Record a run that came to no end of its own: its worker died under it."""
    record = RunRecord(
        run_id=spec.run_id(code_fingerprint()),
        spec=spec,
        status=Status.FAILED,
        message=f"{type(error).__name__}: {error}",
    )
    write_run(store, record)
    return record.summary()
