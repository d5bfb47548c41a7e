"""Patterns that are kept narrow and handed out as amplitudes."""

import types

import numpy as np
import pytest
from ptychosuite.core import patterns
from ptychosuite.core.patterns import Patterns, Recorder, allocate, narrowest
from ptychosuite.errors import DataFileError

COUNTS = np.arange(5 * 4 * 4).reshape(5, 4, 4)


@pytest.mark.parametrize("kept", ["uint8", "uint16", "uint32", "float32", "float64"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_amplitudes(kept, dtype):
    """sqrt(scale * counts) for a number, a slice, an array of numbers and all at once."""
    held = Patterns(COUNTS.astype(kept), 0.05, dtype)
    expected = np.sqrt(0.05 * COUNTS).astype(dtype)
    assert len(held) == 5
    assert held.shape == (5, 4, 4)
    for index in (2, slice(1, 4), np.array([3, 0]), slice(None)):
        found = held[index]
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected[index], rtol=3e-7 if dtype == "float32" else 1e-15)
    np.testing.assert_array_equal(np.asarray(held), held[:])
    part = held.part(slice(1, None, 2))
    np.testing.assert_array_equal(part[:], held[1::2])
    assert np.shares_memory(part.values, held.values)


def test_recorder_widens_as_it_must():
    """Blocks of growing counts end in the narrowest type that holds them all, unharmed."""
    blocks = [np.full((2, 3, 3), value) for value in (7, 300, 5, 2**20)]
    recorder = Recorder(8)
    for block in blocks:
        recorder.append(narrowest(block))
    assert recorder.values.dtype == np.uint32
    np.testing.assert_array_equal(recorder.values, np.concatenate(blocks))


def short_of_memory(monkeypatch, available):
    memory = types.SimpleNamespace(available=available)
    monkeypatch.setattr(patterns.psutil, "virtual_memory", lambda: memory)


def test_what_does_not_fit_goes_to_the_disk(monkeypatch, tmp_path):
    """A file without a name, gone with the array; the same amplitudes come out of it."""
    short_of_memory(monkeypatch, available=100)
    monkeypatch.setattr(patterns.tempfile, "tempdir", str(tmp_path))
    recorder = Recorder(5)
    recorder.append(COUNTS[:3].astype(np.uint8))
    recorder.append(COUNTS[3:].astype(np.uint16))
    assert isinstance(recorder.values, np.memmap)
    assert list(tmp_path.iterdir()) == []
    found = Patterns(recorder.values, 1.0, "float64")[np.array([4, 1])]
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, np.sqrt(COUNTS[[4, 1]]))


def test_no_room_anywhere(monkeypatch):
    """The error gives the size and says where to look for room."""
    short_of_memory(monkeypatch, available=100)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(patterns.os, "posix_fallocate", full)
    with pytest.raises(DataFileError, match=r"1\.0 GiB.*No space left.*TMPDIR"):
        allocate((2**10, 2**9, 2**10), np.uint16)
