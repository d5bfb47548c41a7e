"""What a file refers to is part of what it is; files that crash their library do not crash this process."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from ptychosuite.core.runs import RunSpec
from ptychosuite.errors import DataFileError
from ptychosuite.problems import guard
from ptychosuite.problems.files import file_sha256
from ptychosuite.problems.linked_files import linked_files
from ptychosuite.study.inputs import with_files_here

from tests.problems.measured import small
from tests.study.small import plan_text


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def frames(path: Path, value: int = 1) -> Path:
    with h5py.File(path, "w") as file:
        file["frames"] = np.full((4, 8, 8), value)
    return path


def virtual(path: Path, source: str, shape: tuple[int, ...] = (4, 8, 8)) -> Path:
    layout = h5py.VirtualLayout(shape, int)
    layout[:] = h5py.VirtualSource(source, "frames", shape)
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("frames", layout)
    return path


def test_a_file_without_links_has_its_own_hash(tmp_path: Path) -> None:
    path = frames(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["again"] = h5py.SoftLink("/frames")
        file["once more"] = h5py.ExternalLink("a.h5", "/frames")
        layout = h5py.VirtualLayout((4, 8, 8), int)
        layout[:] = h5py.VirtualSource(".", "frames", (4, 8, 8))
        file.create_virtual_dataset("view", layout)
    assert linked_files(str(path)) == ()
    assert file_sha256(str(path)) == sha256(path)


def test_all_kinds_of_links_are_found_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And those of the linked files; names count as they are written, wherever the folder lies."""
    (tmp_path / "raw").mkdir()
    for folder in ("one", "two"):
        (tmp_path / folder / "sub").mkdir(parents=True)
        monkeypatch.chdir(tmp_path / folder)
        frames(Path("sub/c.h5"))
        virtual(Path("b.h5"), "sub/c.h5")
        with h5py.File("a.h5", "w") as file:
            file["link"] = h5py.ExternalLink("b.h5", "/frames")
            file["lost"] = h5py.ExternalLink("d.h5", "/frames")
            file.create_dataset("numbers", (5,), float, external=[("raw.bin", 0, h5py.h5f.UNLIMITED)])[:] = 1
    found = linked_files("a.h5")
    assert [each.name for each in found] == ["b.h5", "d.h5", "raw.bin", "sub/c.h5"]
    assert [bool(each.path) for each in found] == [True, False, True, True]
    theirs = [
        (n, sha256(Path(n)) if n != "d.h5" else "missing") for n in ("b.h5", "d.h5", "raw.bin", "sub/c.h5")
    ]
    expected = hashlib.sha256(json.dumps([sha256(Path("a.h5")), theirs]).encode()).hexdigest()
    assert file_sha256("a.h5") == expected


@pytest.mark.parametrize("change", ["written again", "gone", "come"])
def test_the_hash_follows_the_linked_files(tmp_path: Path, change: str) -> None:
    path = str(virtual(tmp_path / "a.h5", "b.h5"))
    other = tmp_path / "b.h5"
    if change != "come":
        frames(other)
    before = file_sha256(path)
    assert file_sha256(path) == before
    other.unlink() if change == "gone" else frames(other, 2)
    assert file_sha256(path) != before


def test_a_run_is_to_do_again_when_a_linked_file_has_changed(tmp_path: Path) -> None:
    data = small.corner(small.patterns())
    small.write(tmp_path / "b.h5", {"frames": data})
    path = Path(small.arrays(tmp_path / "a.h5", data=None))
    with h5py.File(path, "a") as file:
        file["data"] = h5py.ExternalLink("b.h5", "/frames")

    def planned() -> RunSpec:
        return plan_text(tmp_path, "", "problem={kind: file, path: a.h5, positions_unit: px}").runs[0]

    before = planned()
    assert planned().spec_id == before.spec_id
    assert with_files_here(before).spec_id == before.spec_id
    small.write(tmp_path / "b.h5", {"frames": 2 * data})
    assert planned().spec_id != before.spec_id
    with pytest.raises(DataFileError, match=r"a\.h5 has changed: found SHA-256"):
        with_files_here(before)


def test_sources_in_a_circle_are_told(tmp_path: Path) -> None:
    """The HDF5 library crashes at them."""
    path = str(virtual(tmp_path / "a.h5", "b.h5"))
    virtual(tmp_path / "b.h5", "a.h5")
    with pytest.raises(DataFileError, match=r"a\.h5 crashes the library that reads it, at '/frames'"):
        guard.check_harmless(path)
    assert file_sha256(path) == sha256(Path(path))


def test_numbered_sources(tmp_path: Path) -> None:
    layout = h5py.VirtualLayout((2, 4, 8, 8), int, maxshape=(None, 4, 8, 8))
    source = h5py.VirtualSource("part_%b.h5", "frames", (4, 8, 8))
    layout.sources = []
    for n in range(2):
        frames(tmp_path / f"part_{n}.h5", n)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        space = h5py.h5s.create_simple((2, 4, 8, 8), (h5py.h5s.UNLIMITED, 4, 8, 8))
        space.select_hyperslab((0, 0, 0, 0), (h5py.h5s.UNLIMITED, 1, 1, 1), block=(1, 4, 8, 8))
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_virtual(space, b"part_%b.h5", b"frames", source.sel.id)
        h5py.h5d.create(file.id, b"frames", h5py.h5t.NATIVE_INT64, space, plist)
    assert [each.name for each in linked_files(str(tmp_path / "a.h5"))] == ["part_0.h5", "part_1.h5"]


@pytest.mark.parametrize(
    "content", [b"", b"\x89HDF", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(4000), b"\x93NUMPY"]
)
def test_what_is_no_hdf5_file_has_its_own_hash(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    assert file_sha256(str(path)) == sha256(path)


def test_a_device_or_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataFileError, match="it is a pipe or a device; name a file"):
        file_sha256(str(tmp_path / "pipe"))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["frames"] = h5py.ExternalLink("pipe", "/frames")
    with pytest.raises(DataFileError, match=r"refers to .*pipe, which is no ordinary file"):
        guard.check_harmless(str(tmp_path / "a.h5"))


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (
            "os.kill(os.getpid(), signal.SIGSEGV)",
            r"a\.h5 crashes the library that reads it, at '/frames'; the",
        ),
        ("time.sleep(60)", r"a\.h5 cannot be read within 1 seconds, at '/frames'; the file is damaged"),
    ],
)
def test_crashes_and_hangs_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, says: str
) -> None:
    """With a child that comes to grief at every dataset, the one and the other way."""
    lines = guard.CHILD.read_text().replace("dataset[()]", f"import time; {code}")
    assert code in lines
    (tmp_path / "child.py").write_text(lines)
    guard._leave()
    monkeypatch.setattr(guard, "CHILD", tmp_path / "child.py")
    monkeypatch.setattr(guard, "LIMIT_S", 1)
    path = str(frames(tmp_path / "a.h5"))
    with pytest.raises(DataFileError, match=says):
        guard.check_harmless(path)
    guard._leave()


def test_one_child_for_many_files(tmp_path: Path) -> None:
    """And a new one where it has ended, from whatever."""
    first = guard.seen(str(frames(tmp_path / "a.h5"))), guard._child
    second = guard.seen(str(frames(tmp_path / "b.h5"))), guard._child
    assert first[1] is second[1] is not None
    second[1].kill()
    assert guard.seen(str(frames(tmp_path / "c.h5"))).trouble == ""
    assert guard._child is not second[1]
