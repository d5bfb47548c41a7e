"""``study.zarr`` is made from the runs: whatever is damaged in it is made anew, and nobody is told wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import xarray as xr
from ptychosuite.analysis.tables import open_dataset
from ptychosuite.store import compact as compaction
from ptychosuite.store.compact import compact, readable
from ptychosuite.store.write import write_run
from zarr.storage import LocalStore, MemoryStore

from tests.store.records import NUMBERS, record, store_at


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def zeroed(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)


def deleted(file: Path) -> None:
    file.unlink()


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def a_list(file: Path) -> None:
    file.write_bytes(b"[]")


def null(file: Path) -> None:
    file.write_bytes(b"null")


DAMAGES = [emptied, cut, zeroed, flipped, deleted, a_folder, a_list, null]
FILES = [
    "zarr.json",
    "residual/zarr.json",
    "run_id/c/0",
    "solver/c/0",
    "residual/c/0",
    "residual_curve/c/0/0",
    "residual_curve/c/0/2",  # nothing but blanks, as the next one
    "late_curve/c/0/0",
    "iteration/c/0",
]


def filled(path):
    """Runs of different lengths and curves, taken into the dataset in two steps."""
    store = store_at(path, {**NUMBERS, "solver.name": False})
    for seed in range(3):
        write_run(store, record(seed))
    compact(store)
    late = record(3, iterations=20)
    late.curves["late"] = late.curves["residual"]
    write_run(store, late)
    compact(store)
    return store


@pytest.fixture(autouse=True, scope="module")
def small_chunks():
    """Two runs a chunk of the curves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compaction, "CURVE_CHUNK", 2)
        yield


@pytest.fixture(scope="module")
def whole(small_chunks, tmp_path_factory):
    return filled(tmp_path_factory.mktemp("whole") / "r")


@pytest.fixture
def store(whole, tmp_path):
    shutil.copytree(str(whole.root), tmp_path / "r")
    return store_at(tmp_path / "r")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_it_is_made_anew(store, whole, damage, file):
    """By readers in memory, by ``run`` on the disk; what is read is what it was."""
    found = Path(f"{store.dataset}/{file}")
    expected = open_dataset(whole).load()
    damage(found)
    xr.testing.assert_identical(open_dataset(store).load().sortby("seed"), expected.sortby("seed"))
    assert isinstance(readable(store), MemoryStore)
    compact(store)
    assert isinstance(readable(store), LocalStore)
    on_disk = xr.open_zarr(str(store.dataset), chunks=None).load()
    xr.testing.assert_identical(on_disk.sortby("seed"), expected.sortby("seed"))


def test_a_file_in_its_place(store):
    """It makes way."""
    shutil.rmtree(str(store.dataset))
    Path(f"{store.dataset}").write_text("mine")
    assert open_dataset(store).sizes["run"] == 4
    assert compact(store) == 4


def test_a_lost_object(bucket):
    """On object storage too."""
    store = filled(f"{bucket}/r")
    (store.dataset / "residual_curve/c/0/0").delete()
    assert isinstance(readable(store), MemoryStore)
    assert compact(store) == 4
    assert not isinstance(readable(store), MemoryStore)


def test_what_a_killed_compactor_left(store, whole):
    """An array that was never committed does not keep others from being appended."""
    left = Path(f"{store.dataset}/new")
    left.mkdir()
    (left / "zarr.json").write_text("")
    write_run(store, record(9))
    assert open_dataset(store).sizes["run"] == 5
    compact(store)
    assert xr.open_zarr(str(store.dataset)).sizes["run"] == 5


def test_a_dataset_without_checksums(store, monkeypatch):
    """One that an earlier version has made is made anew, once."""
    with monkeypatch.context() as patch:
        patch.setattr(compaction, "CODECS", compaction.CODECS[:1])
        compact(store, rebuild=True)
    assert compact(store) == 4
    assert compact(store) == 0


def test_files_are_read_once(store, monkeypatch):
    """By one process, as long as nobody changes them: a sweep looks every half a minute."""
    compact(store)
    from ptychosuite.store import place

    before = place._ends_with_checksum.cache_info().misses
    compact(store)
    assert place._ends_with_checksum.cache_info().misses == before
