"""The log of a worker stays short, whatever a run writes."""

from __future__ import annotations

import os

from ptychosuite.cluster import worker_log
from ptychosuite.cluster.worker_log import WorkerLog, read_unfinished


def test_a_run_that_writes_without_end(tmp_path, monkeypatch):
    """The end of it stays, with the name of the run; the next one begins anew."""
    monkeypatch.setattr(worker_log, "MOST_BYTES", 50_000)
    log = WorkerLog(tmp_path, redirect=False)
    (file,) = tmp_path.iterdir()
    try:
        with log.during(["token"], "tcp://worker", 1, None), file.open("ab", buffering=0) as output:
            for line in range(20_000):
                output.write(b"line %d\n" % line)
                if line % 1000 == 0:
                    log.shorten()
                    assert file.stat().st_size < 2 * worker_log.MOST_BYTES
            assert read_unfinished(tmp_path)["token"].log.endswith("line 19999")
        assert file.stat().st_size == 0
    finally:
        log.close()


def test_closed_logs_are_left_alone(tmp_path, monkeypatch):
    log = WorkerLog(tmp_path, redirect=False)
    name = os.dup(log._file)
    log.close()
    monkeypatch.setattr(worker_log, "MOST_BYTES", -1)
    os.write(name, b"of whoever has the file now")
    log.shorten()
    assert os.fstat(name).st_size > 0
    os.close(name)
