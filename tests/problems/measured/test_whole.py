"""Nothing is read as what it is not: HDF5 makes up zeros for numbers that are not there."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured import MeasuredFile
from ptychosuite.problems.measured.finding import datasets
from ptychosuite.problems.measured.whole import in_words
from ptychosuite.registry.validation import SettingError

from tests.problems.measured import small
from tests.problems.measured.test_fuzz import FILES

UNLIMITED = h5py.h5s.UNLIMITED
SHAPE = (small.N, small.M, small.M)


def refusal(path: object, **settings: Any) -> str:
    """What is said at planning, which has to be what is said at reading."""
    file = MeasuredFile(str(path), **settings)
    with pytest.raises(SettingError) as planned:
        file.size()
    with pytest.raises(DataFileError) as read:
        file.read()
    assert str(read.value) in str(planned.value)
    assert Path(str(path)).name in str(read.value)
    return str(read.value)


def stack(path: Path, data: np.ndarray | None = None) -> Path:
    small.write(path, {"frames": small.corner(small.patterns()) if data is None else data})
    return path


def virtual(
    path: Path, source: str, array: str = "frames", n: int = small.N, taken: slice | None = None
) -> str:
    """Plain arrays whose patterns are a view of ``taken`` of the ``n`` patterns of another array."""
    lines = taken or slice(0, n)
    layout = h5py.VirtualLayout((len(range(n)[lines]), *SHAPE[1:]), np.uint16)
    layout[:] = h5py.VirtualSource(source, array, (n, *SHAPE[1:]))[lines]
    small.arrays(path, data=None)
    with h5py.File(path, "a") as file:
        file.create_virtual_dataset("data", layout)
    return str(path)


def test_a_virtual_dataset_is_read_from_its_sources(tmp_path: Path) -> None:
    stack(tmp_path / "b.h5", np.concatenate([small.patterns(3), small.corner(small.patterns())]))
    read = MeasuredFile(virtual(tmp_path / "a.h5", "b.h5", n=15, taken=slice(3, 15))).read()
    np.testing.assert_array_equal(read.diffraction_intensity, small.corner(small.patterns()))


@pytest.mark.parametrize(
    ("source", "array", "says"),
    [
        ("gone.h5", "frames", "and 'frames' of gone.h5 is not there; put that file where it was written"),
        ("b.h5", "dark", "and 'dark' of b.h5 is not there; the file has no such array"),
        ("broken.h5", "frames", "and 'frames' of broken.h5 is not there"),
        (".", "frames", "and 'frames' is not there; the file has no such array"),
        ("short.h5", "frames", "of short.h5 has shape (5, 32, 32), less than is taken of it"),
        ("view.h5", "data", "of view.h5 is put together from other arrays, and 'x' of b.h5 is not there"),
    ],
)
def test_a_source_that_is_not_there(tmp_path: Path, source: str, array: str, says: str) -> None:
    stack(tmp_path / "b.h5")
    stack(tmp_path / "short.h5", small.patterns(5))
    (tmp_path / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    virtual(tmp_path / "view.h5", "b.h5", "x")
    message = refusal(virtual(tmp_path / "a.h5", source, array))
    assert "a.h5: 'data' is put together from other arrays, " in message
    assert says in message


def test_part_of_a_source_that_is_too_short(tmp_path: Path) -> None:
    """Not the whole of it is taken, and not all of that is there."""
    stack(tmp_path / "b.h5", small.patterns(16))
    path = virtual(tmp_path / "a.h5", "b.h5", n=17, taken=slice(5, 17))
    assert "'frames' of b.h5 has shape (16, 32, 32), less than is taken of it" in refusal(path)


@pytest.mark.parametrize(("second", "says"), [(6, ""), (5, ""), (3, "of p1.h5 has shape (3, 32, 32), less")])
def test_interleaved_sources_without_end(tmp_path: Path, second: int, says: str) -> None:
    """Two writers take turns; the last pattern of one may be missing, and none in between."""
    layout = h5py.VirtualLayout(SHAPE, np.uint16, maxshape=(None, *SHAPE[1:]))
    for number, count in enumerate((6, second)):
        stack(tmp_path / f"p{number}.h5", small.corner(small.patterns())[number::2][:count])
        source = h5py.VirtualSource(f"p{number}.h5", "frames", (6, *SHAPE[1:]), maxshape=(None, *SHAPE[1:]))
        layout[number:UNLIMITED:2] = source[:UNLIMITED]
    there = 6 + min(second, 6) if second > 4 else 11
    path = small.arrays(tmp_path / "a.h5", data=None, scan=small.positions()[:there])
    with h5py.File(path, "a") as file:
        file.create_virtual_dataset("data", layout)
    if says:
        assert says in refusal(path)
    else:
        read = MeasuredFile(path).read().diffraction_intensity
        np.testing.assert_array_equal(read, small.corner(small.patterns())[:there])


@pytest.mark.parametrize("part", ["data", "scan", "probe", "mask"])
def test_every_part_is_checked(tmp_path: Path, part: str) -> None:
    path = small.arrays(tmp_path / "a.h5", **{part: None})
    layout = h5py.VirtualLayout({"scan": (small.N, 2)}.get(part, SHAPE), np.uint16)
    layout[:] = h5py.VirtualSource("gone.h5", "x", layout.shape)
    with h5py.File(path, "a") as file:
        file.create_virtual_dataset(part, layout)
    assert f"'{part}' is put together from other arrays, and 'x' of gone.h5" in refusal(path)


def test_a_number_is_checked(tmp_path: Path) -> None:
    path = small.cxi(tmp_path / "a.cxi", distance=None)
    layout = h5py.VirtualLayout((1,), float)
    layout[:] = h5py.VirtualSource("gone.h5", "x", (1,))
    with h5py.File(path, "a") as file:
        file.create_virtual_dataset("/entry_1/instrument_1/detector_1/distance", layout)
        file["/entry_1/data_1/data"] = h5py.SoftLink("/entry_1/instrument_1/detector_1/data")
    assert "detector_1/distance' is put together from other arrays" in refusal(path)


@pytest.mark.parametrize(
    ("there", "says"),
    [
        (None, "keeps its numbers in 'raw.bin', which is not there; HDF5 looks for it in the folder where"),
        (100, "keeps its numbers in 'raw.bin', which has 100 bytes and should have 24576; it was not copied"),
        (24576, ""),
    ],
)
def test_numbers_outside_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: int | None, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = small.arrays(tmp_path / "a.h5", data=None)
    with h5py.File(path, "a") as file:
        file.create_dataset("data", SHAPE, np.uint16, external=[("raw.bin", 0, UNLIMITED)])
        file["data"][:] = small.corner(small.patterns())
    os.remove("raw.bin") if there is None else os.truncate("raw.bin", there)
    if says:
        assert says in refusal(path)
    else:
        assert len(MeasuredFile(path).read().diffraction_intensity) == small.N


def test_a_filter_that_is_not_here_is_named(tmp_path: Path) -> None:
    path = small.arrays(tmp_path / "a.h5", data=None)
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((1, *SHAPE[1:]))
    properties.set_filter(32999, h5py.h5z.FLAG_OPTIONAL, (1,))
    with h5py.File(path, "a") as file:
        h5py.h5d.create(file.id, b"data", h5py.h5t.STD_U16LE, h5py.h5s.create_simple(SHAPE), properties)
    message = refusal(path)
    assert "'data' is packed with the HDF5 filter 32999, which hdf5plugin does not have" in message
    assert "damaged" not in message


@pytest.mark.parametrize(
    ("link", "says"),
    [
        (h5py.SoftLink("/entry/frames"), "'data' is a link to '/entry/frames', which is not there"),
        (h5py.ExternalLink("gone.h5", "/x"), "'data' is a link to '/x' of gone.h5, which is not there"),
    ],
)
def test_links_that_lead_nowhere(tmp_path: Path, link: object, says: str) -> None:
    """Of an array of a usual name, and of one that the user names."""
    path = small.arrays(tmp_path / "a.h5", data=None)
    with h5py.File(path, "a") as file:
        file["data"] = link
        file["other"] = link
    assert says in refusal(path)
    assert says.replace("data", "other") in refusal(path, data="other")
    stack(tmp_path / "b.h5")
    with h5py.File(path, "a") as file:
        del file["data"]
        file["data"] = h5py.ExternalLink("b.h5", "/frames")
        file["another"] = h5py.SoftLink("/data")
    for name in ("", "another"):
        read = MeasuredFile(path, data=name).read()
        np.testing.assert_array_equal(read.diffraction_intensity, small.corner(small.patterns()))


def test_what_was_declared_and_never_written(tmp_path: Path) -> None:
    path = small.arrays(tmp_path / "a.h5", data=None)
    with h5py.File(path, "a") as file:
        file.create_dataset("data", SHAPE, np.uint16)
    assert "'data' was declared, and nothing was written into it" in refusal(path)


@pytest.mark.parametrize("name", ["data", "scan", "probe", "mask"])
def test_shapes_that_no_machine_holds(tmp_path: Path, name: str) -> None:
    """Refused by what the header says, before any memory is taken."""
    shape = {"data": (10**6, 10**5, 10**5), "scan": (10**11, 2), "mask": (10**6, 10**6)}
    path = small.arrays(tmp_path / "a.h5", **{name: None})
    with h5py.File(path, "a") as file:
        array = file.create_dataset(
            name, shape.get(name, (10**6, 10**6)), "f8", chunks=(1,) * 3 if name == "data" else (1, 2)
        )
        array[0, 0] = 1
    message = refusal(path, zero_frequency="centre")
    assert f"a.h5: '{name}' has " in message
    assert "PB" in message or "TB" in message or "the patterns have" in message


def test_a_header_that_claims_more_than_the_file_has(tmp_path: Path) -> None:
    """The length in the header of an .npy and an .npz array, and of an HDF5 dataset."""
    claim, size = b"(12, 32, 32)", b"(99, 32, 32)"
    np.save(tmp_path / "a.npy", small.patterns())
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content.replace(claim, size))
    says = "'data' claims 203 kB by its shape (99, 32, 32), and has 24.6 kB; the file is damaged"
    assert says in refusal(tmp_path / "a.npy", scan_shape=(3, 4), scan_step=5, positions_unit="px")
    np.save(scan := io.BytesIO(), small.positions())
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("data.npy", content.replace(claim, size))
        archive.writestr("scan.npy", scan.getvalue())
    assert says in refusal(tmp_path / "a.npz")
    path = Path(small.arrays(tmp_path / "a.h5"))
    changed = path.read_bytes()
    dimensions = b"".join(n.to_bytes(8, "little") for n in SHAPE)
    assert dimensions in changed
    path.write_bytes(changed.replace(dimensions, (99).to_bytes(8, "little") + dimensions[8:]))
    assert "'data' cannot be opened; the file is damaged: copy it again" in refusal(path)


def test_a_bomb_is_refused_by_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Memory:
        total = 4 * 2**20

    zeros = np.zeros((32, 512, 512), np.uint8)  # 8 MB, some kB in the file
    np.savez_compressed(tmp_path / "a.npz", data=zeros, scan=small.positions(32))
    monkeypatch.setattr("psutil.virtual_memory", Memory)
    assert "'data' has shape (32, 512, 512), 8.39 MB, which is more than can be read" in refusal(
        tmp_path / "a.npz", zero_frequency="centre", crop=8
    )
    with gzip.open(tmp_path / "b.npz.gz", "wb") as packed:
        packed.write((tmp_path / "a.npz").read_bytes() + bytes(3 * 2**20))
    assert "unpacks to more than 2.1 MB, half of this machine's memory" in refusal(tmp_path / "b.npz.gz")


TEXT = np.array([b"a", b"b"])
IN_ITS_PLACE = {"distance": "distance_m", "energy": "wavelength_m"}
PAIRS = np.zeros(4, [("x", int), ("y", float)])


@pytest.mark.parametrize("name", ["data", "scan", "probe", "mask"])
@pytest.mark.parametrize("value", [TEXT, PAIRS, h5py.Empty("f8"), np.zeros((0, 32, 32)), "text", 1.0],
                         ids=["text", "compound", "empty", "length 0", "string", "scalar"])  # fmt: skip
def test_other_things_where_numbers_are_expected(tmp_path: Path, name: str, value: Any) -> None:
    assert f"a.h5: '{name}' " in refusal(small.arrays(tmp_path / "a.h5", **{name: value}))


@pytest.mark.parametrize("value", [TEXT, PAIRS, h5py.Empty("f8"), np.zeros(0), "text", 1j, np.inf],
                         ids=["text", "pairs", "empty", "none", "string", "complex", "infinite"])  # fmt: skip
@pytest.mark.parametrize("name", ["distance", "energy", "basis_vectors", "translation"])
def test_other_things_in_a_layout(tmp_path: Path, name: str, value: Any) -> None:
    path = small.cxi(tmp_path / "a.cxi", **{name: value})
    with h5py.File(path, "a") as file:
        file["/entry_1/data_1/data"] = h5py.SoftLink("/entry_1/instrument_1/detector_1/data")
    message = refusal(path)
    assert (
        f"{name}' " in message or f"give '{IN_ITS_PLACE.get(name)}'" in message
    )  # nothing where it is unset


@pytest.mark.parametrize("name", ["distance", "translation", "data"])
def test_a_group_in_the_place_of_an_array(tmp_path: Path, name: str) -> None:
    """It counts as no array."""
    path = small.cxi(tmp_path / "a.cxi")
    with h5py.File(path, "a") as file:
        place = "sample_1/geometry_1" if name == "translation" else "instrument_1/detector_1"
        del file[f"/entry_1/{place}/{name}"]
        file.create_group(f"/entry_1/{place}/{name}/inside")
    says = {"distance": "give 'distance_m'", "translation": "has no positions at", "data": "has no data at"}
    assert says[name] in refusal(path)


@pytest.mark.parametrize("units", [5, np.zeros(3), h5py.Empty("S1"), b"\xff", np.zeros(0), "\x1b[2J"])
def test_units_that_are_no_words(tmp_path: Path, units: Any) -> None:
    path = small.nexus(tmp_path / "a.nxs", distance=small.DISTANCE_M)
    with h5py.File(path, "a") as file:
        file["entry_1/instrument_1/detector_1/distance"].attrs["units"] = units
    if isinstance(units, h5py.Empty) or not np.size(units):
        MeasuredFile(path).read()
    else:
        message = refusal(path)
        assert "detector_1/distance' has the unit '" in message
        assert message.isprintable()


def test_objects_and_references_are_no_numbers(tmp_path: Path) -> None:
    path = small.arrays(tmp_path / "a.h5", data=None)
    with h5py.File(path, "a") as file:
        file["data"] = np.array([file["scan"].ref] * 3, h5py.ref_dtype)
        file.create_dataset("lists", (3,), h5py.vlen_dtype(np.int32))[0] = [1, 2]
    assert "'data' holds object, not real numbers" in refusal(path)
    assert "'lists' holds object, not real numbers" in refusal(path, data="lists")


@pytest.mark.parametrize(
    ("size", "words"), [(999, "999 bytes"), (1e3, "1 kB"), (2.5e13, "25 TB"), (3e17, "300 PB")]
)
def test_sizes_in_words(size: float, words: str) -> None:
    assert in_words(size) == words


HDF5_FILES = [
    name
    for name in FILES
    if name.endswith((".h5", ".hdf5", ".cxi", ".nxs", ".ptyd", ".emd", ".hspy", "73.mat"))
]


@pytest.mark.parametrize("name", HDF5_FILES)
def test_no_zeros_are_made_up(tmp_path: Path, name: str) -> None:
    """Any array whose numbers are in a file that is gone: refused, not read, or as if it were not there."""
    make, settings = FILES[name]
    good = Path(make(tmp_path / name))
    with h5py.File(good) as file:
        numbers = [each for each, array in datasets(file) if array.dtype.kind in "uif"]
    for each in numbers:
        lost, without = tmp_path / f"lost-{name}", tmp_path / f"without-{name}"
        for path in (lost, without):
            shutil.copy(good, path)
            with h5py.File(path, "a") as file:
                shape, dtype, attributes = file[each].shape, file[each].dtype, dict(file[each].attrs)
                del file[each]
                if path == lost:
                    layout = h5py.VirtualLayout(shape or (1,), dtype)
                    layout[:] = h5py.VirtualSource("gone.h5", "x", layout.shape)
                    file.create_virtual_dataset(each, layout).attrs.update(attributes)
        outcome = read_or_refused(lost, settings)
        others = [read_or_refused(path, settings) for path in (good, without)]
        assert not outcome.startswith("{") or outcome in others, each


def read_or_refused(path: Path, settings: dict[str, Any]) -> str:
    """What becomes of a file, all numbers of a measurement and none of its names."""
    try:
        read = MeasuredFile(str(path), **settings).read()
    except DataFileError as error:
        return str(error).replace(str(path), "")
    arrays = {k: v for k, v in vars(read).items() if k != "source"}
    return repr({k: v.tobytes() if isinstance(v, np.ndarray) else v for k, v in arrays.items()})
