"""Bundles made to harm: refused in one line, without reading or writing anything outside, in bounded room."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from ptychosuite.errors import StoreError
from ptychosuite.reporting import bundle
from ptychosuite.reporting.bundle import METADATA, STUDY, opened_bundle

from tests.store.records import NUMBERS, session_content, store_at

TARGETS = (
    "../outside.json", "/tmp/outside.json", "a/../../outside.json", "%2e%2e/outside.json", "..\\outside.json",
    "C:/outside.json", "file:///tmp/outside.json", "a\0b", "x" * 300, "", ".", "study.json/below",
)  # fmt: skip


def listing(*names: str, content: bytes = b"{}") -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    return json.dumps({"@graph": [{"@id": name, "@type": "File", "sha256": sha256} for name in names]})


def refused(path: Path) -> str:
    with pytest.raises(StoreError) as caught, opened_bundle(path):
        pass
    message = str(caught.value)
    assert "\n" not in message
    assert message.isprintable()
    assert len(message) < 1000
    return message


@pytest.fixture
def packed(tmp_path: Path) -> Callable[..., Path]:
    def pack(metadata: str, method: int = zipfile.ZIP_DEFLATED, **members: bytes) -> Path:
        path = tmp_path / "bad.zip"
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr(METADATA, metadata)
            for name, content in members.items():
                archive.writestr(name, content)
        return path

    return pack


@pytest.fixture(autouse=True)
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where bundles are unpacked; empty again at the end."""
    folder = tmp_path / "room"
    folder.mkdir()
    monkeypatch.setattr(bundle.tempfile, "tempdir", str(folder))
    return folder


def test_a_good_bundle_is_opened(tmp_path, packed):
    """What the others here differ from."""
    study = session_content(NUMBERS, {})
    content = json.dumps(study).encode()
    store = store_at(tmp_path / "results" / study["study"])
    folder = tmp_path / "good"
    for file in store_files(store.root):
        target = folder / "results" / study["study"] / file.relative_to(store.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    (folder / STUDY).write_bytes(content)
    names = [file.relative_to(folder).as_posix() for file in store_files(folder)]
    entities = [
        {"@id": name, "@type": "File", "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()}
        for name in names
    ]
    (folder / METADATA).write_text(json.dumps({"@graph": entities}))
    with opened_bundle(folder) as opened:
        assert opened.study == study


def store_files(root: str | Path) -> list[Path]:
    return sorted(path for path in Path(root).rglob("*") if path.is_file())


@pytest.mark.parametrize("name", TARGETS)
def test_files_outside(tmp_path, packed, name):
    """No name leads out of the folder, however it is written."""
    before = store_files(tmp_path)
    path = packed(listing(name), **({} if "\0" in name else {name or "x": b"{}"}))
    assert "bad.zip" in refused(path)
    assert store_files(tmp_path) == sorted([*before, path])


@pytest.mark.parametrize(
    "metadata",
    [
        "[" * 100_000, "{}", "[]", "null", '{"@graph": 3}', '{"@graph": [3]}', '{"@graph": [null]}', "{", "",
        '{"@graph": [{"@type": "File", "sha256": "x"}]}',
        '{"@graph": [{"@id": 3, "@type": "File", "sha256": 1}]}',
        listing(STUDY, content=b"[" * 100_000),
    ],
    ids=range(12),
)  # fmt: skip
def test_metadata_that_are_none(packed, metadata):
    assert "bad.zip" in refused(packed(metadata, **{STUDY: b"[" * 100_000}))


def test_a_member_that_grows(packed, monkeypatch, room):
    """A small file that would fill the disk is not unpacked."""
    zeros = bytes(2**25)
    path = packed(listing("zeros", content=zeros), zeros=zeros)
    assert path.stat().st_size < 2**16
    monkeypatch.setattr(bundle, "_copied", lambda *_: pytest.fail("it was unpacked"))
    assert f"would grow from {zipfile.ZipFile(path).getinfo('zeros').compress_size} to 33554432" in refused(
        path
    )


def test_more_than_the_disk_has(packed, monkeypatch):
    content = bytes(range(256)) * 9
    path = packed(listing("a", "b", content=content), zipfile.ZIP_STORED, a=content, b=content)
    monkeypatch.setattr(bundle.shutil, "disk_usage", lambda _: SimpleNamespace(free=len(content) + 1))
    assert "needs more room" in refused(path)


def test_metadata_that_grow(packed, monkeypatch):
    monkeypatch.setattr(bundle, "MOST_METADATA", 1000)
    assert "2000 bytes" in refused(packed(" " * 2000))


def test_encrypted(packed):
    path = packed(listing(STUDY), **{STUDY: b"{}"})
    content = bytearray(path.read_bytes())
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := content.find(signature, at + 1)) >= 0:
            content[at + place] |= 1
    path.write_bytes(content)
    assert "encrypted" in refused(path)


@pytest.mark.parametrize("target", ["/etc/hostname", "/dev/zero", "../secret", "fifo", ".", "missing"])
def test_links_in_a_folder(tmp_path, target):
    """A folder from elsewhere reads no other files, and waits for none."""
    (tmp_path / "secret").write_text("{}")
    folder = tmp_path / "open"
    folder.mkdir()
    os.mkfifo(folder / "fifo")
    (folder / STUDY).symlink_to(target)
    (folder / METADATA).write_text(listing(STUDY))
    assert "missing, no file, or a link to the outside" in refused(folder)
