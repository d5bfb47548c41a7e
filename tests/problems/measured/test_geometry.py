"""Positions from rasters, turned onto the detector, and the geometry that a study gives."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ptychosuite.execute.one_run import execute
from ptychosuite.problems.measured import MeasuredFile
from ptychosuite.problems.probes import Lens

from tests.problems.measured import small
from tests.problems.measured.test_bad_files import refusal
from tests.study.small import plan_of, study_file

ROWS, COLUMNS = 3, 4
M = 32


def stack(path: Path) -> str:
    np.save(path, small.patterns())
    return str(path)


def positions(path: str, **settings: Any) -> np.ndarray:
    given = {"scan_shape": [ROWS, COLUMNS], "scan_step": [10.0, 20.0], "positions_unit": "px"} | settings
    return MeasuredFile(path, **given).read().scan_positions_px


def from_zero(found: np.ndarray) -> np.ndarray:
    return found - found.min(axis=0)


def raster() -> np.ndarray:
    """Columns fast, as lists in Python are written: (N, 2)."""
    return np.array([[10.0 * row, 20.0 * column] for row in range(ROWS) for column in range(COLUMNS)])


def test_raster(tmp_path: Path) -> None:
    """Columns are fast; one step serves both; a negative one turns the direction."""
    path = stack(tmp_path / "a.npy")
    np.testing.assert_array_equal(positions(path), raster())
    np.testing.assert_array_equal(positions(path, scan_step=5.0), raster() * [0.5, 0.25])
    np.testing.assert_array_equal(positions(path, scan_step=[-10.0, 20.0]), from_zero(raster() * [-1, 1]))
    np.testing.assert_array_equal(positions(path, scan_shape=[4, 3])[3], [10, 0])
    for settings, says in (
        ({"scan_shape": [3, 5], "scan_step": 1.0}, "15 positions"),
        ({"scan_step": 1.0}, "'scan_shape: [rows, columns]'"),
        ({"scan_shape": [3, 4], "scan_step": 0.0}, "not zero"),
        ({"scan_shape": [12], "scan_step": [1.0, 0.0]}, "not zero"),
    ):
        assert says in refusal(path, positions_unit="px", **settings)


@pytest.mark.parametrize("degrees", [90.0, -126.0, 17.5])
def test_rotation_is_from_rows_to_columns(tmp_path: Path, degrees: float) -> None:
    """As a complex number row + i column is turned by exp(i angle)."""
    plane = (raster() @ [1, 1j]) * np.exp(1j * math.radians(degrees))
    turned = np.stack([plane.real, plane.imag], axis=1)
    found = positions(stack(tmp_path / "a.npy"), rotation_deg=degrees)
    np.testing.assert_allclose(found, from_zero(turned), atol=1e-9)


def test_the_order_of_the_turns(tmp_path: Path) -> None:
    """Columns are swapped first, then directions turned, then the rotation, last the affine map."""
    path = stack(tmp_path / "a.npy")
    found = positions(path, columns="column-row", flip_rows=True, rotation_deg=90.0, affine=[1, 0.5, 0, 2])
    expected = []
    for row, column in raster():
        row, column = -column, row  # swapped, rows turned
        row, column = -column, row  # (1, 0) goes to (0, 1)
        expected.append([row + 0.5 * column, 2 * column])
    np.testing.assert_allclose(found, from_zero(np.array(expected)), atol=1e-9)
    assert "'affine' has 3 numbers; expected 4" in refusal(
        path, scan_shape=[3, 4], scan_step=1.0, affine=[1, 2, 3]
    )


def test_wavelengths(tmp_path: Path) -> None:
    """Of electrons by the usual table (relativistic), of photons by 12.398 keV angstrom; one alone."""
    path = stack(tmp_path / "a.npy")
    common = {"scan_shape": [3, 4], "scan_step": 1.0, "positions_unit": "px"}
    for kilovolt, picometres in ((60, 4.8661), (80, 4.1757), (200, 2.5079), (300, 1.9687)):
        read = MeasuredFile(path, **common, accelerating_voltage_kv=kilovolt).read()
        assert read.wavelength_m == pytest.approx(picometres * 1e-12, rel=3e-5)
    read = MeasuredFile(path, **common, energy_kev=8.0).read()
    assert read.wavelength_m == pytest.approx(12.39842e-10 / 8)
    message = refusal(path, **common, energy_kev=8.0, accelerating_voltage_kv=300.0)
    assert "'energy_kev' and 'accelerating_voltage_kv' are given" in message


def test_an_angle_takes_a_wavelength(tmp_path: Path) -> None:
    """The pixel of the object is the wavelength over the angle of the whole pattern."""
    path = stack(tmp_path / "a.npy")
    settings = {"scan_shape": [3, 4], "scan_step": 2.0, "positions_unit": "nm", "detector_pixel_mrad": 0.25}
    assert "give 'wavelength_m' or 'energy_kev', or 'positions_unit: px'" in refusal(path, **settings)
    read = MeasuredFile(path, **settings, wavelength_m=2e-12).read()
    assert read.pixel_m == pytest.approx(2e-12 / (32 * 0.25e-3))
    assert read.scan_positions_px[1, 1] == pytest.approx(2e-9 / (2e-12 / (32 * 0.25e-3)))


STUDY = """\
study: s
problem:
  kind: file
  path: a.npz
  data: data
  scan_shape: [10, 10]
  scan_step: 5
  positions_unit: px
  start_probe: {kind: file, path: a.npz, key: probe}
solver: epie
stop: {iterations: 8}
axes:
  problem.rotation_deg: [ANGLE, -ANGLE, OTHER]
  problem.columns: [row-column, column-row]
"""


def test_only_the_right_turn_explains_the_patterns(tmp_path: Path) -> None:
    """A raster at arctan(3/4), which falls on whole pixels: steps of (4, 3) and (-3, 4) pixels."""
    lattice = np.array([[4 * i - 3 * j, 3 * i + 4 * j] for i in range(10) for j in range(10)])
    lattice -= lattice.min(axis=0)
    rng = np.random.default_rng(3)
    smooth = np.fft.ifft2(np.fft.fft2(rng.normal(size=(110, 110))) * np.exp(-200 * _frequency2(110))).real
    obj = np.exp(1j * smooth / smooth.std() * 0.8)
    probe = Lens(size=M, aperture_px=6.0, defocus_rad=6.0, power=1e5).make()
    waves = [np.fft.fft2(probe * obj[r : r + M, c : c + M]) / M for r, c in lattice]
    counts = rng.poisson(np.abs(np.fft.fftshift(waves, axes=(1, 2))) ** 2)
    np.savez(tmp_path / "a.npz", data=counts, probe=probe)
    angle = round(math.degrees(math.atan2(3, 4)), 9)  # a study keeps 15 digits
    text = STUDY.replace("-ANGLE", f"{-angle}").replace("ANGLE", f"{angle}").replace("OTHER", f"{angle + 90}")
    misfit = {}
    for spec in plan_of(study_file(tmp_path, head=text)).runs:
        record, _ = execute(spec)
        turn = spec.problem["rotation_deg"], spec.problem["columns"]
        misfit[turn] = record.metrics["poisson_deviance"]
    right = misfit.pop((angle, "row-column"))
    assert len(misfit) == 5
    assert right < 0.3 * min(misfit.values())


def _frequency2(n: int) -> np.ndarray:
    return np.add.outer(np.fft.fftfreq(n) ** 2, np.fft.fftfreq(n) ** 2)
