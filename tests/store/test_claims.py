"""Claims: a run is at one sweep at a time, and at none that is no more; on disk and on object storage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest
from ptychosuite.store import claims as leases
from ptychosuite.store.claims import Claim, Claims, sharing
from ptychosuite.store.layout import Store

FAR = {"host": "far away", "pid": 1, "renewed": time.time()}


@pytest.fixture
def store(address):
    return Store.create(address)


def gone(store: Store) -> Claims:
    """The claims of a sweep whose process was killed."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    claims = Claims(store, "gone")
    content = {"host": os.uname().nodename, "pid": process.pid, "renewed": time.time()}
    (claims.folder / "gone.sweep").create(json.dumps(content).encode())
    return claims


def test_a_run_belongs_to_one_sweep(store):
    """Until it is given back, or its sweep ends."""
    with sharing(store) as mine:
        with sharing(store) as others:
            assert others.others() == [mine.sweep]
            assert mine.take("a") is Claim.NEW
            assert mine.take("a") is Claim.AGAIN
            assert others.take("a") is Claim.ELSEWHERE
            assert not others.is_free("a")
            assert mine.is_free("a")
            mine.give_back("a")
            assert others.is_free("a")
            assert others.take("a") is Claim.NEW
            assert others.take("b") is Claim.NEW
            assert mine.take("b") is Claim.ELSEWHERE
        assert mine.take("b") is Claim.NEW
    assert not list(mine.folder.files())


def test_claims_of_a_killed_sweep_are_taken_over_by_one(store):
    """Two that meet it get it in turn, not both; a third sweep alone clears the folder up."""
    with sharing(store) as one, sharing(store) as two:
        dead = gone(store)
        assert dead.take("a") is Claim.NEW
        assert dead.take("b") is Claim.NEW
        assert one.take("a") is Claim.NEW
        assert two.take("a") is Claim.ELSEWHERE
        one.give_back("a")
        assert two.is_free("a")
        assert [key for key in dead.folder.files() if not key.endswith(".sweep")] == ["b.1"]
    with sharing(store) as alone:
        assert list(alone.folder.files()) == [f"{alone.sweep}.sweep"]


def test_a_lease_ends_where_nobody_renews_it(store, monkeypatch):
    """Of a host that cannot be asked; one that is renewed goes on."""
    far, mine = Claims(store, "far"), Claims(store, "mine")
    (far.folder / "far.sweep").create(json.dumps(FAR).encode())
    far.take("a")
    clock = [0.0]
    monkeypatch.setattr(leases.time, "monotonic", lambda: clock[0])
    assert mine.take("a") is Claim.ELSEWHERE
    clock[0] = leases.LEASE_S
    (far.folder / "far.sweep").replace(json.dumps(FAR | {"more": 1}).encode())
    assert mine.take("a") is Claim.ELSEWHERE
    clock[0] += leases.LEASE_S + 1
    assert mine.take("a") is Claim.NEW


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b'{"host": 1}', b'{"pid": 1e999}', b"[" * 9999])
def test_damaged_files_of_a_sweep_are_leases_too(store, content):
    other = Claims(store, "other")
    (other.folder / "other.sweep").create(content)
    other.take("a")
    assert Claims(store, "mine").take("a") is Claim.ELSEWHERE


def test_a_sweep_is_heard_of_while_it_works(store, monkeypatch):
    """Its file changes without anything being asked of it."""
    monkeypatch.setattr(leases, "LEASE_S", 0.2)
    with sharing(store) as claims:
        file = claims.folder / f"{claims.sweep}.sweep"
        before = file.read()
        for _ in range(200):
            if file.read() != before:
                break
            time.sleep(0.01)
        assert file.read() != before


def test_a_claim_that_was_never_written(store, monkeypatch):
    """Its maker was killed at it: it is respected as long as a sweep that is not heard of, and no longer."""
    clock = [0.0]
    monkeypatch.setattr(leases.time, "monotonic", lambda: clock[0])
    mine = Claims(store, "mine")
    (mine.folder / "a.1").create(b"", durable=False)
    assert mine.take("a") is Claim.ELSEWHERE
    assert not mine.is_free("a")
    clock[0] = leases.LEASE_S + 1
    assert mine.is_free("a")
    assert Claims(store, "other").take("a") is Claim.NEW


def test_what_another_process_has_taken_is_given_back(store):
    """As the client does for a worker that died; another sweep's claim stays."""
    with sharing(store) as mine, sharing(store) as other:
        assert Claims(store, mine.sweep).take("a") is Claim.NEW
        mine.give_back("a")
        assert other.take("a") is Claim.NEW
        mine.give_back("a")
        assert mine.take("a") is Claim.ELSEWHERE
