"""Runs that other sweeps on the same folder are at."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ptychosuite.cluster.waiting import Waits
from ptychosuite.cluster.work import summary_for
from ptychosuite.core.runs import RunSpec
from ptychosuite.execute.interruption import check_interruption
from ptychosuite.store.claims import Claims
from ptychosuite.store.read import inventory, readable_run

LOOK_AGAIN_S = 0.5


def await_others(
    held: Mapping[str, RunSpec], claims: Claims, tried: Mapping[str, int], waits: Waits
) -> tuple[list[dict[str, Any]], list[RunSpec]]:
    """Wait until some of the runs that other sweeps are at have ended or have been given up.

    Parameters
    ----------
    held
        Runs by their ids.
    claims
        Of this sweep.
    tried
        run_id -> how many tries had failed when this sweep began.
    waits
        Is told who is waited for.

    Returns
    -------
    The summaries of those that have ended, and those that are nobody's.
    """
    while not (free := [run_id for run_id in held if claims.is_free(run_id)]):
        check_interruption()
        holders = Counter(filter(None, map(claims.holder, held)))
        if holders:
            waits.for_others(holders.total(), " and ".join(map(claims.told, holders)))
        time.sleep(LOOK_AGAIN_S)
    waits.over()
    found = inventory(claims.store)
    attempts = found.attempts
    ended = [
        run_id for run_id in free if run_id in found.done or attempts.get(run_id, 0) > tried.get(run_id, 0)
    ]
    records = {run_id: readable_run(found.files[run_id]) for run_id in ended}
    summaries = {run_id: summary_for(record, claims) for run_id, record in records.items() if record}
    return list(summaries.values()), [held[run_id] for run_id in free if run_id not in summaries]
