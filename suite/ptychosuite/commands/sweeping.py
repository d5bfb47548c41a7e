"""Carrying out runs with a progress bar, and what is refused before."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ptychosuite.commands.terminal import progress, status
from ptychosuite.errors import UserError

if TYPE_CHECKING:
    from ptychosuite.cluster.connection import ClusterKind, Connection
    from ptychosuite.cluster.sweep import Tally
    from ptychosuite.cluster.work import Terms
    from ptychosuite.core.plan import Plan

INTERRUPTED = 130


def sweep_with_progress(
    planned: Plan, store: Any, specs: Sequence[Any], kind: ClusterKind, terms: Terms, quiet: bool
) -> Tally:
    """Carry out ``specs`` on a cluster of ``kind``; Ctrl-C ends the program with a word on how to go on."""
    from ptychosuite.cluster.sweep import sweep

    stopped = "finished runs are kept. The same command goes on where this one stopped."
    with connected(kind, len(specs), quiet, stopped) as (connection, update):
        return sweep(planned, store, specs, connection, sys.argv, update, terms)


@contextmanager
def connected(
    kind: ClusterKind, total: int, quiet: bool, stopped: str
) -> Iterator[tuple[Connection, Callable[[Tally, dict[str, Any]], None]]]:
    """A cluster of ``kind`` that is up, and what shows the progress of ``total`` runs on it.

    Ctrl-C ends the program, and says ``stopped``.
    """
    signal.signal(signal.SIGTERM, interrupt)  # a batch system's polite request ends like Ctrl-C
    try:
        with ExitStack() as stack:
            with status("starting the cluster"):
                connection = stack.enter_context(kind.connect())
            if connection.dashboard:
                click.echo(f"{connection.description}; dashboard: {connection.dashboard}", err=quiet)
            yield connection, stack.enter_context(progress(total))
    except KeyboardInterrupt:
        click.echo(f"\nstopped; {stopped}", err=True)
        sys.exit(INTERRUPTED)


def check_backends(planned: Plan) -> None:
    """Refuse backends that are not available here."""
    from ptychosuite.backends.arrays import backend

    for name in {spec.backend for spec in planned.runs}:
        backend(name)


def check_terms(terms: Terms, kind: ClusterKind) -> None:
    """Refuse what cannot be promised."""
    from ptychosuite.cluster.workers import usable_cores
    from ptychosuite.core.runs import Lane

    if kind.cluster == "none" and terms.timeout_s is not None:
        raise UserError(
            "--timeout needs a worker process that can be ended, and --cluster none has none; "
            "say --cluster local --workers 1"
        )
    if terms.lane is Lane.TIMING and (terms.stack or 1) > 1:
        raise UserError(
            f"--stack {terms.stack}: runs side by side have no times of their own; add --lane throughput"
        )
    workers = kind.processes_here
    if terms.lane is Lane.TIMING and workers > usable_cores():
        raise UserError(
            f"{workers} workers: the timing lane gives each of them a core of its own, and there are "
            f"{usable_cores()}; take fewer workers, or --lane throughput"
        )


def check_memory(planned: Plan, kind: ClusterKind) -> None:
    """Refuse a study of which no run fits on this computer; single ones are refused as their turn comes."""
    from ptychosuite.execute.memory import machine_memory_bytes
    from ptychosuite.study.estimate import footprint

    share = machine_memory_bytes() / kind.processes_here
    lacks = [footprint(spec).lack(share, None) for spec in planned.runs]
    if all(lacks):
        hint = " for each worker; take fewer workers or a larger computer" if kind.processes_here > 1 else ""
        raise UserError(f"no run fits: the first {lacks[0]}{hint}")


def interrupt(signal_number: int, frame: Any) -> NoReturn:
    """Signal handler: as Ctrl-C."""
    raise KeyboardInterrupt
