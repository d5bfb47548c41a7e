"""A whole sweep: what is left to do, who did it, and the dataset at the end."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ptychosuite.cluster.connection import Connection
from ptychosuite.cluster.dispatch import run_all
from ptychosuite.cluster.tally import Tally
from ptychosuite.cluster.work import Terms
from ptychosuite.cluster.workers import check_devices
from ptychosuite.core.plan import Plan
from ptychosuite.core.runs import RunSpec
from ptychosuite.execute.interruption import check_interruption, noted_interruptions
from ptychosuite.execute.provenance import environment, now
from ptychosuite.registry.fingerprint import code_of
from ptychosuite.store.claims import sharing
from ptychosuite.store.compact import compact
from ptychosuite.store.layout import Store
from ptychosuite.store.planned import study_content
from ptychosuite.store.read import inventory, last_session, last_session_time
from ptychosuite.store.write import write_code, write_session

COMPACT_EVERY_S = 30.0


def to_do(plan: Plan, store: Store, retry_failed: bool, again: Collection[str] = ()) -> list[RunSpec]:
    """The runs of ``plan`` that ``store`` does not hold, and those with an id in ``again``.

    Failed ones are among them only when they are to be retried.
    """
    held = inventory(store)
    ended = {*held.done} if retry_failed else {*held.done, *held.failed}
    return list(plan.remaining(ended.difference(again)))


def sweep(
    plan: Plan,
    store: Store,
    specs: Sequence[RunSpec],
    connection: Connection,
    command: Sequence[str],
    progress: Callable[[Tally, dict[str, Any]], None],
    terms: Terms = Terms(),  # noqa: B008 - frozen
    begin: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Carry out ``specs``, keep a session file, and bring the dataset up to date, whatever happens.

    ``begin`` is called with the tally once, ``progress`` with it and the summary of each run that ends.
    """
    check_devices({spec.backend for spec in specs}, connection.offers)
    store.root.remove_leftovers()
    for code in {code.fingerprint: code for code in map(code_of, specs)}.values():
        write_code(store, code.fingerprint, {"files": code.files, "packages": code.packages})
    tally = Tally.of(specs, terms.cost, connection.waits)
    begin(tally)
    started = now()
    name = session_name(store, started)
    session = session_content(plan, command, connection.description, started)
    write_session(store, name, session)
    last_compaction = time.monotonic()
    try:
        with sharing(store) as claims, noted_interruptions():
            for other in claims.others():
                connection.waits.say(f"{claims.told(other)} is at work in this folder: they share the runs")
            for summary in run_all(connection, specs, store, terms, claims):
                tally.note(summary)
                progress(tally, summary)
                check_interruption()
                if time.monotonic() - last_compaction > COMPACT_EVERY_S:
                    compact(store)
                    last_compaction = time.monotonic()
    finally:
        write_session(store, name, session | {"end": now(), "counts": dict(tally.counts)})
        compact(store)
    return tally


def note_plan(plan: Plan, store: Store, command: Sequence[str]) -> None:
    """Keep a session of a sweep that had nothing to do, where the latest one planned something else.

    So a folder's dataset and report are of the code and the study that were asked for last.
    """
    latest = last_session(store)
    planned = json.loads(json.dumps(study_content(plan)))
    if {name: latest.get(name) for name in planned} != planned:
        started = now()
        session = session_content(plan, command, "none", started)
        write_session(store, session_name(store, started), session | {"end": started, "counts": {}})


def session_name(store: Store, started: str) -> str:
    """What a session that begins now is called: sorted by their names, it is the latest of ``store``.

    That is so even where the clock was ahead when another began.
    """
    when, latest = datetime.fromisoformat(started).astimezone(UTC), last_session_time(store)
    if latest is not None:
        when = max(when, latest + timedelta(milliseconds=1))
    return f"{when:%Y-%m-%dT%H%M%S}.{when.microsecond // 1000:03d}Z-{os.getpid()}"


def session_content(plan: Plan, command: Sequence[str], cluster: str, started: str) -> dict[str, Any]:
    """All that is needed to know what was run, and to draw it again from the store alone."""
    return {
        **study_content(plan),
        "command": list(command),
        "cluster": cluster,
        "start": started,
        "environment": environment(),
    }
