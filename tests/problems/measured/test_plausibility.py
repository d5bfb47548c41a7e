"""What no run may begin from: guessed units, scans without overlap, masks turned round, the near field."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from ptychosuite.problems.measured import MeasuredFile
from ptychosuite.problems.measured.shadows import neighbours, shadow_of
from ptychosuite.registry.validation import SettingError

from tests.problems.measured import small


def refusal(path: str | Path, **settings: Any) -> str:
    """Why no study can be planned of a file, which can be read for all that."""
    MeasuredFile(str(path), **settings).read()
    with pytest.raises(SettingError) as caught:
        MeasuredFile(str(path), **settings).size()
    return str(caught.value)


def test_a_guessed_unit(tmp_path: Path) -> None:
    path = small.arrays(tmp_path / "a.h5")
    assert "'scan' has no unit" in refusal(path)
    assert "say 'positions_unit: px' if that is right" in refusal(path)
    MeasuredFile(path, positions_unit="px").size()
    MeasuredFile(small.arrays(tmp_path / "b.h5", scan=None, positions_px=small.positions())).size()


def test_less_than_a_pixel_and_no_overlap(tmp_path: Path) -> None:
    path = small.cxi(tmp_path / "a.cxi")
    assert "less than one. Is 'px' its unit?" in refusal(path, positions_unit="px")
    spread = np.argwhere(np.ones((3, 4))) * 40.0
    path = small.arrays(tmp_path / "b.h5", scan=spread)
    assert "40 pixels apart, and a pattern is 32 pixels wide: none overlap" in refusal(
        path, positions_unit="px"
    )


def test_a_scan_that_was_interrupted(tmp_path: Path) -> None:
    path = small.arrays(tmp_path / "a.h5", data=None)
    with h5py.File(path, "a") as file:
        data = file.create_dataset(
            "data", (small.N, small.M, small.M), np.uint16, chunks=(1, small.M, small.M)
        )
        data[:7] = small.patterns()[:7]
    message = refusal(path, positions_unit="px")
    assert "5 of the 12 patterns of 'data' were never written, the first is 7" in message
    MeasuredFile(path, positions_unit="px", last=6).size()
    assert MeasuredFile(path, positions_unit="px", drop_empty=True).size().n_positions == 7


def test_a_mask_turned_round(tmp_path: Path) -> None:
    bad = np.zeros((small.M, small.M), bool)
    bad[3:5, 4:9] = True
    path = small.arrays(tmp_path / "a.h5", data=small.patterns(), mask=bad)
    message = refusal(path, positions_unit="px")
    assert "'mask' leaves 1% of the pixels and" in message
    assert "say 'mask_good: zero'" in message
    MeasuredFile(path, positions_unit="px", mask_good="zero").size()
    MeasuredFile(path, positions_unit="px", mask="none").size()
    beamstop = np.ones((small.M, small.M), bool)
    beamstop[12:21, 12:21] = False  # most of the light, and few pixels
    MeasuredFile(
        small.arrays(tmp_path / "b.h5", data=small.patterns(), mask=beamstop), positions_unit="px"
    ).size()


def projected(magnification: float) -> tuple[np.ndarray, np.ndarray]:
    """A near-field scan: an absorbing texture that moves through a beam, and where it was."""
    rng = np.random.default_rng(0)
    m, n = 64, 256
    spectrum = np.exp(-((np.fft.fftfreq(n)[:, None] ** 2 + np.fft.fftfreq(n) ** 2) / 0.08**2))
    texture = np.exp(0.5 * np.fft.ifft2(np.fft.fft2(rng.standard_normal((n, n))) * spectrum).real * 8)
    y, x = np.mgrid[:m, :m] - m // 2
    beam = 200 * np.exp(-(y**2 + x**2) / 15**2)
    shifts = rng.integers(0, 60, (80, 2))
    patterns = [rng.poisson(beam * texture[row : row + m, column : column + m]) for row, column in shifts]
    return np.array(patterns), shifts / magnification


def test_shadows_that_move_with_the_sample() -> None:
    patterns, positions = projected(0.2)
    shadow = shadow_of(patterns, positions, neighbours(positions, 32), None)
    assert shadow is not None
    assert shadow.px_per_px == pytest.approx(0.2, rel=0.05)
    assert 150 < shadow.beam_px < 350  # 30 to 70 pixels of the detector
    shuffled = np.random.default_rng(1).permutation(positions)
    assert shadow_of(patterns, shuffled, neighbours(shuffled, 32), None) is None


def test_the_near_field_is_told_apart(tmp_path: Path) -> None:
    patterns, positions = projected(0.2)
    np.savez(tmp_path / "near.npz", data=patterns, positions_px=positions)
    message = refusal(tmp_path / "near.npz")
    assert float(re.search(r"with the sample, ([\d.]+) pixels for one of", message)[1]) == pytest.approx(
        0.2, rel=0.1
    )
    assert "'propagation: far' asks for it all the same" in message
    MeasuredFile(str(tmp_path / "near.npz"), propagation="far").size()


@pytest.mark.parametrize("defocus", [0.0, 2.0, 6.0])
@pytest.mark.parametrize("step", [3, 8])
def test_the_far_field_is_not(tmp_path: Path, defocus: float, step: int) -> None:
    """Also where the beam is out of focus, and its patterns are shadows."""
    rng = np.random.default_rng(0)
    m = 64
    positions = np.argwhere(np.ones((8, 8))) * step + rng.integers(0, 2, (64, 2))
    n = int(positions.max()) + m
    obj = np.exp(1j * rng.uniform(0, 1.5, (n // 4 + 1, n // 4 + 1)).repeat(4, 0).repeat(4, 1)[:n, :n])
    y, x = np.mgrid[:m, :m] - m // 2
    radius2 = (y**2 + x**2) / 8**2
    probe = np.exp(-radius2 + 1j * defocus * radius2)
    waves = np.fft.fft2([probe * obj[r : r + m, c : c + m] for r, c in positions])
    counts = rng.poisson(np.fft.fftshift(np.abs(waves) ** 2, axes=(1, 2)) / 20)
    np.savez(tmp_path / "far.npz", data=counts, positions_px=positions)
    MeasuredFile(str(tmp_path / "far.npz")).size()


def test_real_files(measured_data: Path) -> None:
    near = measured_data / "files/real/petra-p25-near-field.cxi"
    assert "they are of the near field" in refusal(near)
    MeasuredFile(str(measured_data / "siemens-star-small.npz.bz2"), positions_unit="px").size()
