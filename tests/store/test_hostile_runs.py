"""Run files made to harm: refused in one line before what they claim to hold takes memory."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from ptychosuite.errors import StoreError
from ptychosuite.store import group
from ptychosuite.store.layout import DIMENSIONS
from ptychosuite.store.read import read_run
from ptychosuite.store.write import write_run

from tests.store.records import record, store_at


@pytest.fixture
def run(tmp_path: Path):
    """A run file, and its members."""
    file = write_run(store_at(tmp_path / "r"), record(1))
    with zipfile.ZipFile(io.BytesIO(file.read())) as archive:
        return file, {name: archive.read(name) for name in archive.namelist()}


def written(file, members, method=zipfile.ZIP_STORED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    file.replace(content.getvalue())


def refused(file) -> str:
    with pytest.raises(StoreError) as caught:
        read_run(file)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def reshaped(members, name, shape):
    root = json.loads(members["zarr.json"])
    root["consolidated_metadata"]["metadata"][name]["shape"] = shape
    return {**members, "zarr.json": json.dumps(root)}


@pytest.mark.parametrize("shape", [[10**6, 10**6], [10**12, 10**12], [-1, -5], [2**31, 2**31, 2**31]])
def test_shapes_beyond_all_memory(run, shape):
    """With a chunk and without, which would mean zeros."""
    file, members = run
    written(file, reshaped(members, "object", shape))
    assert "cannot be read" in refused(file)
    written(
        file, reshaped({n: m for n, m in members.items() if not n.startswith("object/c")}, "object", shape)
    )
    assert "cannot be read" in refused(file)


def test_chunks_that_grow(run, monkeypatch):
    """A chunk of zeros takes no room in the file and all of it in memory."""
    monkeypatch.setattr(group, "MOST_BYTES", 2**16)
    file, _ = run
    file.replace(group.pack({"object": np.zeros((2048, 2048), complex)}, DIMENSIONS, {}))
    assert len(file.read()) < 2**17
    assert "'object' among them" in refused(file)


def test_chunks_that_say_otherwise(run):
    """What Blosc says of a chunk has to be what the metadata say."""
    file, members = run
    (key,) = (name for name in members if name.startswith("object/c"))
    chunk = bytearray(members[key])
    chunk[4:8] = (2**31 - 1).to_bytes(4, "little")
    written(file, {**members, key: bytes(chunk)})
    assert "a chunk has 2147483647 bytes instead of" in refused(file)


def test_members_that_grow(run, monkeypatch):
    monkeypatch.setattr(group, "MOST_BYTES", 2**16)
    file, members = run
    written(file, {**members, "zarr.json": members["zarr.json"] + b" " * 2**25}, zipfile.ZIP_DEFLATED)
    assert "'zarr.json' is too large" in refused(file)


def test_metadata_without_end(run):
    file, members = run
    written(file, {**members, "zarr.json": "[" * 100_000})
    assert "cannot be read" in refused(file)
