"""The arrays of files by name: MATLAB's of all versions, and NumPy's."""

from __future__ import annotations

import bz2
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured import MeasuredFile
from ptychosuite.problems.measured.finding import MOST_NAMES, datasets
from ptychosuite.problems.measured.source import Source

from tests.problems.measured import small
from tests.problems.measured.test_fuzz import mat5, mat73


@pytest.mark.parametrize("write", [mat5, mat73])
def test_fields_of_a_struct(tmp_path: Path, write) -> None:
    path = write(tmp_path / "a.mat")
    with Source(path) as source:
        assert set(source.arrays) == {"data", "s/scan", "s/probe"}
        assert source.arrays["data"].shape[-1 if write is mat5 else 0] == small.N
    read = MeasuredFile(path, zero_frequency="centre" if write is mat5 else "corner").read()
    np.testing.assert_array_equal(read.diffraction_intensity, small.corner(small.patterns()))
    np.testing.assert_allclose(read.scan_positions_px, small.positions())
    np.testing.assert_allclose(read.probe, small.probe())


def test_structs_in_structs_and_arrays_of_them(tmp_path: Path) -> None:
    """And cells, functions and text beside them do no harm."""
    many = np.empty((1, 2), [("x", object)])
    many["x"][0] = [np.ones(3), np.zeros(2)]
    cell = np.empty((1, 2), object)
    cell[0] = [np.ones(3), "text"]
    contents = {"p": {"geometry": {"z": 2.0}, "name": "scan"}, "many": many, "cell": cell}
    scipy.io.savemat(tmp_path / "a.mat", contents)
    with Source(str(tmp_path / "a.mat")) as source:
        arrays = source.arrays
        assert set(arrays) == {"p/geometry/z", "p/name", "many/0/x", "many/1/x", "cell"}
        assert float(np.squeeze(arrays["p/geometry/z"])) == 2.0
        assert np.squeeze(arrays["many/1/x"]).tolist() == [0, 0]
    with pytest.raises(DataFileError, match="'cell' holds object, not positions"):
        MeasuredFile(str(tmp_path / "a.mat"), positions="cell", data="p/name").read()


def test_what_is_peculiar_to_matlab_7_3(tmp_path: Path) -> None:
    """Text is stored as numbers, an empty array as its shape, a cell as references."""
    path = mat73(tmp_path / "a.mat")
    with h5py.File(path, "a") as file:
        file["#refs#/a"] = small.positions()
        file["cell"] = np.array([[file["#refs#/a"].ref]], h5py.ref_dtype)
        file["text"] = np.array([[ord(c)] for c in "scan 7"], np.uint16)
        file["nothing"] = np.array([0, 5], np.uint64)
        for name, kind in {"cell": "cell", "text": "char", "nothing": "double"}.items():
            file[name].attrs["MATLAB_class"] = np.bytes_(kind)
        file["nothing"].attrs["MATLAB_empty"] = np.uint8(1)
    with Source(path) as source:
        arrays = source.arrays
        assert set(arrays) == {"data", "s/scan", "s/probe", "cell", "text", "nothing"}
        assert "".join(arrays["text"][0]) == "scan 7"
        assert arrays["nothing"].shape == arrays["nothing"][...].shape == (0, 5)
        assert arrays["data"].shape == (small.N, small.M, small.M)
        np.testing.assert_array_equal(arrays["data"][2:4, :, 1], small.corner(small.patterns())[2:4, :, 1])
    assert len(MeasuredFile(path).read().diffraction_intensity) == small.N
    for name, says in {
        "text": "holds text, not",
        "nothing": "holds no positions",
        "cell": "holds object",
    }.items():
        with pytest.raises(DataFileError, match=f"'{name}' {says}"):
            MeasuredFile(path, positions=name).read()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("packed", [False, True])
def test_an_npy_file_with_a_raster(tmp_path: Path, order: str, packed: bool) -> None:
    data = small.corner(small.patterns()).reshape(3, 4, small.M, small.M)
    path = tmp_path / "a.npy"
    np.save(path, np.asarray(data, order=order))  # type: ignore[call-overload]
    if packed:
        path.with_suffix(".npy.bz2").write_bytes(bz2.compress(path.read_bytes()))
        path = path.with_suffix(".npy.bz2")
    with Source(str(path)) as source:
        assert {name: array.shape for name, array in source.arrays.items()} == {"data": data.shape}
    read = MeasuredFile(str(path), scan_step=(7, 5), positions_unit="px").read()
    np.testing.assert_array_equal(read.diffraction_intensity, data.reshape(12, small.M, small.M))
    np.testing.assert_array_equal(
        read.scan_positions_px[:6], [[0, 0], [0, 5], [0, 10], [0, 15], [7, 0], [7, 5]]
    )


def test_an_npy_file_of_objects_is_not_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}, []], dtype=object))
    with pytest.raises(DataFileError, match="'data' holds object, not real numbers"):
        MeasuredFile(str(tmp_path / "a.npy"), scan_step=5, positions_unit="px").read()


def test_groups_without_end(tmp_path: Path) -> None:
    """Each of thirty groups holds the next one twice: a thousand million ways down."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file
        for _ in range(30):
            new = group.create_group("a")
            group["b"] = new
            group = new
        group["data"] = 1
        assert len(list(datasets(file))) <= MOST_NAMES
    with pytest.raises(DataFileError):
        MeasuredFile(str(tmp_path / "a.h5")).read()


def test_a_type_that_numpy_does_not_have(tmp_path: Path) -> None:
    """It harms nobody who does not ask for it."""
    path = small.arrays(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        h5py.h5d.create(file.id, b"when", h5py.h5t.UNIX_D32LE, h5py.h5s.create_simple((12, 2)))
    assert len(MeasuredFile(path).read().diffraction_intensity) == small.N
    with pytest.raises(DataFileError, match="'when' holds values of a type that cannot be read here"):
        MeasuredFile(path, positions="when").read()
