"""Damaged files of every format: each is read, or refused in one sentence that names it."""

from __future__ import annotations

import bz2
import gzip
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile
from ptychosuite.errors import DataFileError
from ptychosuite.problems import guard
from ptychosuite.problems.measured import MeasuredFile
from ptychosuite.problems.measured.measurement import describe
from ptychosuite.registry.validation import SettingError

from tests.problems.measured import small, test_programs, test_stem
from tests.problems.measured import small_beamlines as beamlines

FAST, SLOW = 200, 2_000
LIMIT_S = 3  # after which a file is given up at which the library hangs
SIGNATURES = re.compile(
    rb"OHDR|OCHK|TREE|HEAP|SNOD|GCOL|FRHP|FHDB|BTHD|BTLF|FAHD|EAHD|PK\x01\x02|PK\x03\x04|NUMPY"
)
RASTER: dict[str, Any] = {"scan_shape": (3, 4), "scan_step": 5, "positions_unit": "px"}

KNOWN: dict[str, Any] = {
    "wavelength_m": small.WAVELENGTH_M,
    "distance_m": small.DISTANCE_M,
    "detector_pixel_m": small.DETECTOR_PIXEL_M,
}


def npz(path: Path, save: Callable[..., None] = np.savez) -> str:
    save(path, data=small.corner(small.patterns()), scan=small.positions(), probe=small.probe())
    return str(path)


def npy(path: Path) -> str:
    np.save(path, small.corner(small.patterns()))
    return str(path)


def mat5(path: Path, **options: Any) -> str:
    contents = {
        "data": small.patterns().transpose(1, 2, 0),
        "s": {"scan": small.positions(), "probe": small.probe()},
    }
    scipy.io.savemat(path, contents, **options)
    return str(path)


def mat73(path: Path) -> str:
    """As MATLAB writes it: a user block, reversed axes, the class of each array, complex numbers in pairs."""
    probe = small.probe().T
    pairs = np.empty(probe.shape, [("real", float), ("imag", float)])
    pairs["real"], pairs["imag"] = probe.real, probe.imag
    with h5py.File(path, "w", userblock_size=512) as file:
        file["data"] = small.corner(small.patterns()).T
        file["s/scan"], file["s/probe"] = small.positions().T, pairs
        for name, kind in {"data": "uint16", "s/scan": "double", "s/probe": "double", "s": "struct"}.items():
            file[name].attrs["MATLAB_class"] = np.bytes_(kind)
    return str(path)


def chunked(path: Path, **options: Any) -> str:
    with h5py.File(path, "w", **options) as file:
        file.create_dataset(
            "data", data=small.patterns(), chunks=(1, 16, 32), compression="gzip", shuffle=True
        )
        file.create_dataset(
            "scan", data=small.positions(), chunks=(4, 2), maxshape=(None, 2), fletcher32=True
        )
        file["probe"] = small.probe()
        file["scan"].attrs["units"] = "px"
    return str(path)


def virtual(path: Path) -> str:
    layout = h5py.VirtualLayout((small.N, small.M, small.M), np.uint16)
    layout[:] = h5py.VirtualSource(".", "frames", layout.shape)
    with h5py.File(path, "w") as file:
        file["frames"], file["scan"] = small.patterns(), small.positions()
        file.create_virtual_dataset("data", layout)
    return str(path)


def packed(path: Path, make: Callable[..., str], pack: Callable[[bytes], bytes]) -> str:
    path.write_bytes(pack(Path(make(path.with_suffix(""))).read_bytes()))
    return str(path)


PLAIN: dict[str, Any] = {"positions_unit": "px"}
FILES: dict[str, tuple[Callable[[Path], str], dict[str, Any]]] = {
    "a.cxi": (small.cxi, {}),
    "a.nxs": (small.nexus, {}),
    "raster.nxs": (lambda path: small.nexus(path, raster=True), {}),
    "a.ptyd": (small.ptyd, {}),
    "a.h5": (small.arrays, PLAIN),
    "chunked.h5": (chunked, {}),
    "latest.h5": (lambda path: chunked(path, libver="latest"), {}),
    "virtual.h5": (virtual, PLAIN),
    "a.npz": (npz, PLAIN),
    "packed.npz": (lambda path: npz(path, np.savez_compressed), PLAIN),
    "5.mat": (mat5, PLAIN),
    "packed.mat": (lambda path: mat5(path, do_compression=True), PLAIN),
    "4.mat": (
        lambda path: scipy.io.savemat(path, {"data": small.patterns()[0]}, format="4") or str(path),
        RASTER,
    ),
    "73.mat": (mat73, PLAIN),
    "a.npy": (npy, RASTER),
    "nanomax.h5": (lambda path: beamlines.nanomax(path, linked=False), KNOWN),
    "gda.nxs": (beamlines.gda, KNOWN),
    "nsls2.h5": (beamlines.nsls2, {}),
    "hxn.h5": (beamlines.hxn, KNOWN | {"positions_unit": "um"}),
    "ptychodus.npz": (lambda path: test_programs.product_npz(path, np.arange(small.N)), {}),
    "fold_slice.mat": (test_programs.fold_slice_mat, {}),
    "a.ptyr": (lambda path: test_programs.ptyr(path, "S00G00"), {}),
    "py4dstem.h5": (test_stem.py4dstem, {}),
    "berkeley.emd": (test_stem.berkeley, {}),
    "a.hspy": (test_stem.hspy, {}),
    "a.blo": (test_stem.blo, RASTER),
    "a.tif": (lambda path: tifffile.imwrite(path, small.patterns()) or str(path), RASTER),
    "a.h5.gz": (lambda path: packed(path, small.arrays, gzip.compress), PLAIN),
    "a.npz.bz2": (lambda path: packed(path, npz, bz2.compress), PLAIN),
}

NO_SCANS = ("4.mat", "ptychodus.npz", "fold_slice.mat", "a.ptyr")  # but what a scan may take from elsewhere


def mutant(content: bytes, rng: np.random.Generator) -> bytes:
    """``content`` with one to three faults, half of them where a header is."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        headers = [found.start() for found in SIGNATURES.finditer(bytes(changed))] or [0]
        at = int(
            rng.choice(headers) + rng.integers(0, 300) if rng.random() < 0.6 else rng.integers(len(changed))
        )
        FAULTS[rng.integers(len(FAULTS))](changed, min(at, len(changed) - 1), rng)
    return bytes(changed)


def flip(content: bytearray, at: int, rng: np.random.Generator) -> None:
    content[at] ^= 1 << int(rng.integers(8))


def overwrite(content: bytearray, at: int, rng: np.random.Generator) -> None:
    length = int(2 ** rng.uniform(0, 9))
    content[at : at + length] = rng.bytes(len(content[at : at + length]))


def zero(content: bytearray, at: int, rng: np.random.Generator) -> None:
    length = int(2 ** rng.uniform(0, 12))
    content[at : at + length] = bytes(len(content[at : at + length]))


def truncate(content: bytearray, at: int, rng: np.random.Generator) -> None:
    del content[max(at, 16) :]


def swap(content: bytearray, at: int, rng: np.random.Generator) -> None:
    length, other = int(2 ** rng.uniform(2, 9)), int(rng.integers(len(content)))
    first, second = content[at : at + length], content[other : other + length]
    content[at : at + len(second)], content[other : other + len(first)] = second, first


def change_length(content: bytearray, at: int, rng: np.random.Generator) -> None:
    """A number of a header becomes zero, huge, negative, or another."""
    width = int(rng.choice([2, 4, 8]))
    value = int(rng.choice([0, 1, 255, 2**15, 2**31 - 1, 2**40, 2**62])) % 2 ** (8 * width)
    content[at : at + width] = [value, 2 ** (8 * width) - 1 - value][rng.integers(2)].to_bytes(
        width, "little"
    )


FAULTS = (flip, flip, overwrite, zero, truncate, swap, change_length, change_length)


def outcome(path: str, **settings: Any) -> str:
    """What becomes of a file when it is planned, read and described; anything but one sentence raises."""
    try:
        file = MeasuredFile(path, **settings)
        file.size()
        describe(file.read())
    except (DataFileError, SettingError) as error:
        message = str(error)
        assert Path(path).name in message, message
        assert message.isprintable(), message
        return message
    return ""


@pytest.fixture
def soon_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "LIMIT_S", LIMIT_S)


def check_mutants(tmp_path: Path, seeds: range) -> None:
    whole = {name: Path(make(tmp_path / name)).read_bytes() for name, (make, _) in FILES.items()}
    refused = 0
    for seed in seeds:
        name = list(FILES)[seed % len(FILES)]
        path = tmp_path / f"{seed}-{name}"
        path.write_bytes(mutant(whole[name], np.random.default_rng(seed)))
        start = time.monotonic()
        try:
            refused += outcome(str(path), **FILES[name][1]) != ""
        except Exception as error:
            raise AssertionError(f"mutant {seed} of {name}") from error
        assert time.monotonic() - start < 3 * LIMIT_S, f"mutant {seed} of {name}"
        path.unlink()
    assert 0.2 * len(seeds) < refused < len(seeds)


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_good_before_they_are_changed(tmp_path: Path, name: str) -> None:
    make, settings = FILES[name]
    message = outcome(make(tmp_path / name), **settings)
    assert message == "" or name in NO_SCANS


@pytest.mark.usefixtures("soon_given_up")
def test_mutants(tmp_path: Path) -> None:
    check_mutants(tmp_path, range(FAST))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("soon_given_up")
def test_many_mutants(tmp_path: Path) -> None:
    check_mutants(tmp_path, range(FAST, FAST + SLOW))
