"""Objects, probes and scans from files."""

import gzip
import hashlib

import h5py
import numpy as np
import pytest
import scipy.io
from ptychosuite.errors import DataFileError
from ptychosuite.problems.files import file_sha256
from ptychosuite.problems.from_files import ObjectFile, ProbeFile, ScanFile, read_array

RNG = np.random.default_rng(0)
IMAGE = RNG.standard_normal((12, 10)) + 1j * RNG.standard_normal((12, 10))


def write_npy(path):
    np.save(path.with_suffix(".npy"), IMAGE)
    return path.with_suffix(".npy"), ""


def write_npz(path):
    np.savez(path.with_suffix(".npz"), obj=IMAGE, other=np.ones(3))
    return path.with_suffix(".npz"), "obj"


def write_mat5(path):
    scipy.io.savemat(path.with_suffix(".mat"), {"obj": IMAGE, "other": np.ones(3)})
    return path.with_suffix(".mat"), "obj"


def write_mat73(path):
    """As MATLAB writes it: HDF5 behind a text header, axes reversed, complex as a compound."""
    file = path.with_suffix(".mat")
    with h5py.File(file, "w", userblock_size=512) as h5:
        h5["obj"] = as_compound(IMAGE.T)
        h5["other"] = np.ones(3)
        for array in h5.values():
            array.attrs["MATLAB_class"] = np.bytes_("double")
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    with open(file, "r+b") as raw:
        raw.write(header)
    return file, "obj"


def write_h5(path):
    with h5py.File(path.with_suffix(".h5"), "w") as h5:
        h5["entry/data/obj"] = IMAGE
        h5["entry/other"] = np.ones(3)
    return path.with_suffix(".h5"), "/entry/data/obj"


def write_compound(path):
    with h5py.File(path.with_suffix(".hdf5"), "w") as h5:
        h5["obj"] = as_compound(IMAGE)
    return path.with_suffix(".hdf5"), ""


def as_compound(array):
    compound = np.empty(array.shape, [("real", "f8"), ("imag", "f8")])
    compound["real"], compound["imag"] = array.real, array.imag
    return compound


@pytest.mark.parametrize("write", [write_npy, write_npz, write_mat5, write_mat73, write_h5, write_compound])
def test_formats(tmp_path, write):
    """Every format gives back the array, read-only; the hash of the file stands for its content."""
    path, key = write(tmp_path / "file")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert file_sha256(str(path)) == sha256
    array = read_array(str(path), key, sha256)
    np.testing.assert_array_equal(array, IMAGE)
    assert not array.flags.writeable
    settings = ObjectFile(str(path), key, path_sha256=sha256)
    np.testing.assert_array_equal(settings.make(), IMAGE)
    assert settings.shape == (12, 10)


def saved(tmp_path, array, name="a.npy"):
    np.save(tmp_path / name, array)
    return str(tmp_path / name)


def test_object_stride_and_size(tmp_path):
    """Every n-th pixel, then cut around the centre or padded with the edge or with 1."""
    array = np.arange(400.0).reshape(20, 20) * (1 + 1j)
    path = saved(tmp_path, array)
    np.testing.assert_array_equal(ObjectFile(path, stride=2).make(), array[::2, ::2])
    np.testing.assert_array_equal(ObjectFile(path, size=16).make(), array[2:18, 2:18])
    np.testing.assert_array_equal(ObjectFile(path, stride=2, size=8).make(), array[2:18:2, 2:18:2])
    for pad, edge in (("edge", array[0, 0]), ("one", 1)):
        padded = ObjectFile(path, size=25, pad=pad).make()
        assert padded.shape == ObjectFile(path, size=25, pad=pad).shape == (25, 25)
        np.testing.assert_array_equal(padded[2:22, 2:22], array)
        assert padded[0, 0] == edge


def test_rectangles_are_fitted_axis_by_axis(tmp_path):
    """One axis cut, the other padded."""
    array = np.arange(12.0 * 8).reshape(12, 8)
    fitted = ObjectFile(saved(tmp_path, array), size=10, pad="one").make()
    np.testing.assert_array_equal(fitted[:, 1:9], array[1:11])
    np.testing.assert_array_equal(fitted[:, [0, 9]], 1)


def test_probe_crop_and_power(tmp_path):
    """Stride, cut or padded with zeros, power scaled only on request; singleton axes are dropped."""
    array = RNG.standard_normal((1, 20, 20, 1)) + 2
    path, square = saved(tmp_path, array), array[0, ..., 0]
    np.testing.assert_array_equal(ProbeFile(path).make(), square)
    np.testing.assert_array_equal(ProbeFile(path, crop=8).make(), square[6:14, 6:14])
    padded = ProbeFile(path, stride=2, crop=16)
    assert padded.size == 16
    np.testing.assert_array_equal(padded.make()[3:13, 3:13], square[::2, ::2])
    assert np.count_nonzero(padded.make()) == 100
    scaled = ProbeFile(path, power=300.0).make()
    assert np.sum(np.abs(scaled) ** 2) == pytest.approx(300)
    assert scaled.dtype == "complex128"


def positions(path, **settings):
    return ScanFile(path, **settings).positions((40, 50), 16, np.random.default_rng(0))


def test_scan_positions(tmp_path):
    """Fractions are kept, the first corner becomes 0, columns in either order."""
    raw = np.array([[-3.4, 10.0], [0.6, 12.4], [20.0, 43.6]])
    expected = [[0, 0], [4, 2.4], [23.4, 33.6]]
    np.testing.assert_allclose(positions(saved(tmp_path, raw)), expected)
    flipped = saved(tmp_path, raw[None, :, ::-1], "b.npy")
    found = positions(flipped, columns="column-row")
    np.testing.assert_allclose(found, expected)


def test_scan_outside_the_object(tmp_path):
    """Positions that do not fit say how large the object has to be; one pixel less is refused."""
    path = saved(tmp_path, np.array([[0, 0], [24, 35]]))
    with pytest.raises(DataFileError, match=r"span \(40, 51\) pixels.*at least 51 pixels"):
        positions(path)
    np.testing.assert_array_equal(positions(saved(tmp_path, [[0, 0], [24, 34]], "b.npy"))[1], [24, 34])


def test_scan_of_one_position(tmp_path):
    """A scan of one position has one row."""
    np.testing.assert_array_equal(positions(saved(tmp_path, [[5.0, 7.0]])), [[0, 0]])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 3)),
        np.zeros(4),
        np.zeros((2, 2), complex),
        np.array([[0, np.nan], [1, 1]]),
        np.array([["1", "2"], ["3", "4"]]),
        np.zeros((0, 2)),
    ],
    ids=["three columns", "one axis", "complex", "NaN", "text", "empty"],
)
def test_scan_errors(tmp_path, array):
    """Anything but (N, 2) real finite numbers is refused in words."""
    with pytest.raises(DataFileError, match=r"a\.npy: .*scan positions"):
        positions(saved(tmp_path, array))


@pytest.mark.parametrize("settings", [ObjectFile, ProbeFile])
@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((8, 8, 8, 2, 0)), "expected"),
        (np.zeros(8), "expected two dimensions"),
        (np.full((8, 8), np.nan), "NaN or infinite"),
        (np.full((8, 8), 1j * np.inf), "NaN or infinite"),
        (np.full((8, 8), 1e200), "as large as these"),
        (np.full((8, 8), "x"), "expected"),
    ],
)
def test_unsuitable_arrays(tmp_path, settings, array, message):
    """Wrong rank, wrong type, NaN and infinity are refused with the file's name."""
    with pytest.raises(DataFileError, match=rf"a\.npy.*{message}"):
        settings(saved(tmp_path, array)).make()


def test_an_object_has_no_modes(tmp_path):
    with pytest.raises(DataFileError, match=r"shape \(2, 8, 8\); expected two dimensions"):
        ObjectFile(saved(tmp_path, np.ones((2, 8, 8)))).make()


def test_modes_of_a_probe(tmp_path):
    """All of them, strongest first; as one probe the strongest, with the power of all."""
    modes = RNG.standard_normal((3, 10, 10)) * np.array([1, 3, 0.1])[:, None, None]
    order = [1, 0, 2]
    path = saved(tmp_path, modes[None])
    np.testing.assert_array_equal(ProbeFile(path).modes(), modes[order])
    cut = ProbeFile(path, crop=8, power=7.0)
    assert np.sum(np.abs(cut.modes()) ** 2) == pytest.approx(7)
    assert np.sum(np.abs(cut.make()) ** 2) == pytest.approx(7)
    shape = modes[order][:, 1:9, 1:9]
    np.testing.assert_allclose(cut.modes() / cut.modes()[0, 4, 4], shape / shape[0, 4, 4])
    np.testing.assert_allclose(cut.make() / cut.make()[4, 4], shape[0] / shape[0, 4, 4])
    assert ProbeFile(saved(tmp_path, modes[0], "b.npy")).modes() is None
    matlab = tmp_path / "c.mat"
    scipy.io.savemat(matlab, {"probe": modes.transpose(1, 2, 0)})
    np.testing.assert_array_equal(ProbeFile(str(matlab)).modes(), modes[order])


def test_unsuitable_probes(tmp_path):
    """A probe has to be square and not zero."""
    with pytest.raises(DataFileError, match="must be square, give 'crop'"):
        ProbeFile(saved(tmp_path, np.ones((8, 9)))).make()
    with pytest.raises(DataFileError, match="zero everywhere"):
        ProbeFile(saved(tmp_path, np.zeros((8, 8)), "b.npy")).make()


def test_missing_files_and_folders(tmp_path):
    """A path that is no file."""
    with pytest.raises(DataFileError, match="No such file"):
        read_array(str(tmp_path / "a.npy"), "")
    with pytest.raises(DataFileError, match="check the path"):
        file_sha256(str(tmp_path / "a.npy"))
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(DataFileError, match="folder"):
        read_array(str(tmp_path / "folder.h5"), "")


@pytest.mark.parametrize("write", [write_npz, write_mat5, write_mat73, write_h5])
def test_keys(tmp_path, write):
    """A wrong key is answered with the nearest one, a missing one with all."""
    path, key = write(tmp_path / "file")
    with pytest.raises(DataFileError, match=rf"has no array '.*jb'; did you mean '{key.strip('/')}'"):
        read_array(str(path), key.replace("obj", "ojb"))
    with pytest.raises(DataFileError, match=r"several arrays, and no key is given; .*obj"):
        read_array(str(path), "")


def test_group_is_no_array(tmp_path):
    """The key of an HDF5 group is refused."""
    path, _ = write_h5(tmp_path / "file")
    with pytest.raises(DataFileError, match="has no array 'entry/data'"):
        read_array(str(path), "entry/data")


def test_unknown_kind_of_file(tmp_path):
    """Another kind of file is answered with those that can be read, with a key and without."""
    (tmp_path / "a.csv").write_text("1,2")
    for key in ("", "a"):
        with pytest.raises(DataFileError, match=r"a\.csv: unknown kind of file; expected \.npy"):
            read_array(str(tmp_path / "a.csv"), key)


def test_the_content_decides_not_the_name(tmp_path):
    """Files of any name, and packed ones."""
    for name, write in (("a.dat", write_npz), ("b.h5", write_npy), ("c", write_h5)):
        path, key = write(tmp_path / name.split(".")[0])
        renamed = path.rename(tmp_path / name)
        np.testing.assert_array_equal(read_array(str(renamed), key), IMAGE)
        packed = tmp_path / f"{name}.gz"
        packed.write_bytes(gzip.compress(renamed.read_bytes()))
        np.testing.assert_array_equal(read_array(str(packed), key), IMAGE)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".mat", ".h5", ".hdf5"])
@pytest.mark.parametrize("content", [b"", b"this is no such file" * 40])
def test_unreadable_content(tmp_path, suffix, content):
    """Content that does not fit its suffix is a user's error, not a crash."""
    (tmp_path / f"a{suffix}").write_bytes(content)
    with pytest.raises(DataFileError, match=rf"a\{suffix}(: unknown kind of file| cannot be read)"):
        read_array(str(tmp_path / f"a{suffix}"), "obj")


def test_pickles_are_not_opened(tmp_path):
    """An array of Python objects could run code."""
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataFileError, match="cannot be read"):
        read_array(str(tmp_path / "a.npy"), "")


@pytest.mark.parametrize("settings", [ObjectFile, ProbeFile])
def test_changed_file(tmp_path, settings):
    """A file that no longer holds what its hash says is refused."""
    path = saved(tmp_path, np.ones((8, 8)))
    planned = settings(path, path_sha256=file_sha256(path))
    planned.make()
    np.save(path, 2 * np.ones((8, 8)))
    with pytest.raises(DataFileError, match="has changed since the study was planned"):
        planned.make()


def test_changed_file_in_a_process_that_lives_on(tmp_path):
    """A worker that has hashed the old file accepts the new one under its new hash, and refuses the old."""
    path = saved(tmp_path, np.ones((8, 8)))
    before = hashlib.sha256((tmp_path / "a.npy").read_bytes()).hexdigest()
    ObjectFile(path, path_sha256=before).make()
    np.save(path, 2 * np.ones((8, 8)))
    after = hashlib.sha256((tmp_path / "a.npy").read_bytes()).hexdigest()
    assert ObjectFile(path, path_sha256=after).make()[0, 0] == 2


def test_file_changed_between_hash_and_first_read(tmp_path):
    """A hash taken in this process does not hide a change made before the array is read."""
    path = saved(tmp_path, np.ones((8, 8)))
    planned = ScanFile(path, path_sha256=file_sha256(path))
    np.save(path, np.array([[0, 0], [1, 1]]))
    with pytest.raises(DataFileError, match="has changed"):
        planned.positions((40, 40), 16, np.random.default_rng(0))


@pytest.mark.parametrize("n", [8, 9, 12, 13])
@pytest.mark.parametrize("crop", [8, 9, 10, 11, 14, 15])
def test_a_probe_stays_centred(tmp_path, n, crop):
    """Cut or padded, odd or even: the pixel in the middle stays in the middle."""
    array = np.zeros((n, n), complex)
    array[n // 2, n // 2] = 1
    np.save(tmp_path / "p.npy", array)
    probe = ProbeFile(str(tmp_path / "p.npy"), crop=crop).make()
    assert np.argwhere(probe).tolist() == [[crop // 2, crop // 2]]
