"""Results on object storage: from the command to readers that have nothing of ours, and what can go wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace

import numpy as np
import pytest
import zarr
from ptychosuite.errors import StoreError
from ptychosuite.store import object_store as objects
from ptychosuite.store.compact import compact
from ptychosuite.store.layout import Store, place
from ptychosuite.store.read import read_run
from ptychosuite.store.write import write_run

from tests.store.records import record, reference, store_at
from tests.study.small import PROGRAM, forget_names, held_study, study_file, use_test_solvers, wait_for

RUNS = 4  # of the study that is killed


# What is there is whole, and the first writer's


def test_one_of_many_creates_an_object(bucket):
    """Of writers that create one object at once, one is told that it was first, and its content stays."""
    target = place(bucket) / "a/b"
    contents = [b"%02d" % number * 1000 for number in range(24)]
    with ThreadPoolExecutor(12) as pool:
        first = list(pool.map(target.create, contents))
    assert sum(first) == 1
    assert target.read() == contents[first.index(True)]
    target.replace(b"new")
    assert target.read() == b"new"


def test_two_writers_of_one_run(bucket):
    """Both are told where the run is; it is the first one's, whole."""
    store = store_at(f"{bucket}/r")
    tries = [replace(record(1), message=str(number)) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        (file,) = set(pool.map(lambda item: write_run(store, item, reference()), tries))
    assert read_run(file).message in "01234567"
    assert len(list(store.runs.files())) == 1
    assert len(list(store.references.files())) == 1


def test_failed_tries_at_the_same_time_are_all_kept(bucket):
    """Each failed try gets a number of its own."""
    store = store_at(f"{bucket}/r")
    tries = [replace(record(1, "failed"), message=str(number)) for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        files = list(pool.map(lambda item: write_run(store, item), tries))
    assert sorted(read_run(file).message for file in files) == list("012345")


def test_image_larger_than_what_is_fetched_first(bucket, monkeypatch):
    """A run is read in parts where its images are not asked for, and comes back whole where they are."""
    store = store_at(f"{bucket}/r")
    image = np.random.default_rng(0).standard_normal((256, 256)).astype(np.complex64)
    file = write_run(store, replace(record(1), object=image))
    assert len(file.read()) > 2 * objects.TAIL
    parts = []
    fetch = objects.ObjectPlace.part
    monkeypatch.setattr(objects.ObjectPlace, "part", lambda *args: parts.append(args) or fetch(*args))
    assert read_run(file, images=False).metrics == record(1).metrics
    assert parts == []
    np.testing.assert_array_equal(read_run(file).object, image)
    assert parts


# One compactor at a time


@pytest.fixture
def lock(bucket):
    return place(bucket) / ".lock"


def leave_lease(lock, host: str, pid: int) -> None:
    lock.create(json.dumps({"host": host, "pid": pid, "id": "other"}).encode())


def test_lock_of_a_killed_process_is_free(lock):
    """A holder that was killed on this machine is recognised at once, and nothing is left in the end."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    leave_lease(lock, os.uname().nodename, dead.pid)
    with lock.lock():
        assert json.loads(lock.read())["pid"] == os.getpid()
    assert not lock.exists()


@pytest.mark.parametrize("renewals", [0, 5])
def test_lock_held_elsewhere(lock, monkeypatch, renewals):
    """A lock of another machine is taken over when its holder no longer renews it, and not before."""
    leave_lease(lock, "elsewhere", 1)
    clock = SimpleNamespace(now=0.0, looks=0, time=lambda: 0.0)

    def sleep(_: float) -> None:
        """The holder's turn: half a lease passes, and he renews his while he can."""
        clock.now += 0.5 * objects.LEASE_S
        clock.looks += 1
        if clock.looks <= renewals:
            lock.replace(json.dumps({"host": "elsewhere", "pid": 1, "time": clock.now}).encode())

    clock.monotonic, clock.sleep = (lambda: clock.now), sleep
    monkeypatch.setattr(objects, "time", clock)
    with lock.lock():
        assert json.loads(lock.read())["pid"] == os.getpid()
        assert clock.looks == renewals + 3  # the first look at what he left, and more than a lease after it
    assert not lock.exists()


# The whole path


@pytest.fixture
def solvers_of_the_tests(tmp_path, monkeypatch):
    """Solvers offered by another package, here and in other processes."""
    use_test_solvers(tmp_path / "plug-ins", monkeypatch)
    yield
    forget_names()


@pytest.mark.slow
@pytest.mark.usefixtures("solvers_of_the_tests")
def test_killed_sweep_goes_on_where_it_stopped(bucket, command, tmp_path):
    """plan, run, kill, run again, show and report with --results s3://...; finished runs are not repeated."""
    study = held_study(tmp_path, RUNS)
    results = ("--results", f"{bucket}/lab")
    runs = place(f"{bucket}/lab/tiny/runs")
    process = subprocess.Popen(
        [*PROGRAM, "run", study, *results, "--cluster", "local", "--workers", "1"], cwd=tmp_path,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    wait_for(lambda: len(list(runs.files())) == 2, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    before = {key: (runs / key).read() for key in runs.files()}
    assert f"2 done, {RUNS - 2} to do" in command("plan", study, *results)[1]
    (tmp_path / "go").touch()
    code, out, err = command("run", study, *results, "--cluster", "none")
    assert code == 0, err
    assert f"results: {bucket}/lab/tiny/study.zarr" in out
    assert before.items() <= {key: (runs / key).read() for key in runs.files()}.items()
    out = command("show", study, *results)[1]
    assert f"{RUNS} completed" in out
    assert f"{RUNS} runs in {bucket}/lab/tiny" in out
    assert command("report", study, *results)[0] == 0
    assert (tmp_path / "reports/tiny/index.html").is_file()
    assert not (tmp_path / "results").exists()


READER = """
import sys, xarray as xr
runs = xr.open_zarr(sys.argv[1], chunks=None).set_index(run=["solver", "noise", "seed"])
one = runs.sel(solver="rpie", noise=0.1, seed=1)
assert "ptychosuite" not in sys.modules
print(float(one["error"].squeeze()), runs.sizes["run"])
"""


def test_readers_need_nothing_of_ours(bucket, tmp_path):
    """xarray opens the dataset by its address; Zarr reads addresses by means of s3fs."""
    pytest.importorskip("s3fs", reason="Zarr opens s3:// addresses with s3fs")
    store = store_at(f"{bucket}/r")
    for seed in range(3):
        write_run(store, record(seed))
    compact(store)
    done = subprocess.run(
        [sys.executable, "-c", READER, f"{bucket}/r/study.zarr"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(record(1).metrics["error"]), "3"]


# What can go wrong


class Refusal(BaseHTTPRequestHandler):
    """A server that allows nothing."""

    def refuse(self) -> None:
        content = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_HEAD = do_POST = refuse

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def refusing_server() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Refusal)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("arguments", [["run", "--cluster", "none"], ["plan"], ["show"], ["report"]])
def test_bucket_that_does_not_exist(bucket, command, tmp_path, arguments):
    """It is named, with exit code 2."""
    name, *options = arguments
    code, _, err = command(name, study_file(tmp_path), *options, "--results", "s3://no-such-bucket/x")
    assert code == 2
    assert "s3://no-such-bucket/x/tiny" in err
    assert "the bucket does not exist; create it" in err
    assert len(err.strip().splitlines()) == 1


def test_access_denied(bucket, refusing_server, command, tmp_path, monkeypatch):
    """What the server refuses is said in one line, with exit code 2."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", refusing_server)
    code, _, err = command(
        "run", study_file(tmp_path), "--cluster", "none", "--results", "s3://closed-to-all"
    )
    assert code == 2
    assert "access denied" in err
    assert len(err.strip().splitlines()) == 1


def test_refusal_while_reading_a_dataset(bucket, refusing_server, monkeypatch):
    """What Zarr meets when it fetches a chunk is said as readably."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", refusing_server)
    with pytest.raises(StoreError, match="access denied"):
        zarr.open_group(place("s3://closed/r/study.zarr").zarr_store(read_only=True), mode="r")


def test_server_that_does_not_answer(bucket, tmp_path, monkeypatch):
    """After some attempts the error names the place and the variable to look at."""
    monkeypatch.setitem(objects.RETRY, "max_retries", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StoreError, match=r"s3://no-answer/r.*does not answer; see AWS_ENDPOINT_URL"):
        Store.create("s3://no-answer/r")


def test_library_that_is_missing(monkeypatch):
    """Without obstore the error says what to install."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(StoreError, match=r"obstore.*pip install 'ptychosuite\[s3\]'"):
        place("s3://bucket/x")


@pytest.mark.parametrize("address", ["gs://bucket/x", "s3://", "http://host/x"])
def test_other_addresses(address):
    """What is neither a folder nor on S3 is refused with what would be."""
    with pytest.raises(StoreError, match=r"expected a folder or s3://BUCKET/PREFIX"):
        place(address)
