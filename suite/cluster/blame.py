"""What becomes of a run whose worker died. Pure."""

from __future__ import annotations

from suite.cluster.backlog import Try
from suite.cluster.flight import Flight
from suite.core.run import Status

MOST_LOSSES = 10  # a run that was never seen at work is tried again this often, and then given up


def judge(
    item: Try, flight: Flight | None, retries: int, grown_to_bytes: float | None
) -> tuple[Status, str] | Try:
    """Status and message of a run that has come to its end, or the run as it is to be tried again.

    Parameters
    ----------
    item
        The try that did not return.
    flight
        What its worker noted; None where it had not begun the run.
    retries
        How often a run is tried again that was under way when its worker died.
    grown_to_bytes
        Memory of the worker when its nanny ended it for want of it; None where that was not the reason.
    """
    if flight is None:
        again = item.after_loss()
        if again.losses < MOST_LOSSES:
            return again
        return Status.FAILED, f"lost {MOST_LOSSES} times with its worker, which left no word of it"
    if len(flight.entry.tokens) > 1:  # runs side by side: alone, the culprit is told from its neighbours
        return item.after_death()
    if flight.timed_out:
        return Status.TIMED_OUT, _message("stopped at the time limit", flight)
    again = item.after_death()
    if again.deaths <= retries:
        return again
    times = f" ({again.deaths} times)" if again.deaths > 1 else ""
    return Status.FAILED, _message(f"its worker died{times}: {_cause(flight, grown_to_bytes)}", flight)


def _cause(flight: Flight, grown_to_bytes: float | None) -> str:
    if grown_to_bytes is not None:
        limit = flight.entry.memory_limit_bytes
        return (
            f"it had grown to {grown_to_bytes / 1e6:.0f} MB, its memory limit is {limit / 1e6:.0f} MB; "
            "take fewer workers (--workers), or give each more memory"
        )
    if flight.fault:
        return flight.fault
    if flight.stack:
        return "it was asked to end (SIGTERM), as batch systems do at their time limit"
    return "it was killed, as the system does when memory runs out, or its machine went down"


def _message(reason: str, flight: Flight) -> str:
    """Reason last: progress shows the last line of a message."""
    parts = [f"worker {flight.entry.worker} on {flight.entry.host}, begun {flight.entry.start}"]
    if flight.stack:
        parts.append(flight.stack)
    if flight.log:
        parts.append(f"the worker's output:\n{flight.log}")
    return "\n\n".join([*parts, reason])
