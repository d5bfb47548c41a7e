"""Patterns here, positions, probe, mask and dark there."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from ptychosuite.errors import DataFileError, StudyError
from ptychosuite.problems.measured import MeasuredFile

from tests.problems.measured import small
from tests.study.small import plan_of, study_file

GEOMETRY = {"wavelength_m": small.WAVELENGTH_M, "distance_m": small.DISTANCE_M,
            "detector_pixel_m": small.DETECTOR_PIXEL_M}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small.cxi(tmp_path / "whole.cxi")
    small.write(tmp_path / "frames.h5", {"data": small.patterns()})
    small.write(tmp_path / "motors.h5", {"motors/positions_px": small.positions()})
    small.write(tmp_path / "probe.h5", {"probe": np.stack([0.1 * small.probe(), small.probe()])})
    for first in (0, 5, 9):
        last = {0: 5, 5: 9, 9: small.N}[first]
        small.write(tmp_path / f"frames_{first}.h5", {"data": small.patterns()[first:last]})
    return tmp_path


def test_each_part_from_a_file_of_its_own(folder: Path) -> None:
    bad = np.zeros((small.M, small.M), bool)
    bad[2, 3] = True
    np.savez(folder / "mask.npz", mask=~bad)
    measurement = MeasuredFile(
        str(folder / "frames.h5"),
        positions={"path": str(folder / "motors.h5"), "key": "motors/positions_px"},
        probe={"path": str(folder / "probe.h5"), "key": ""},
        mask={"path": str(folder / "mask.npz"), "key": "mask"},
    ).read()
    np.testing.assert_array_equal(np.fft.fftshift(measurement.diffraction_intensity, axes=(1, 2))[:, 5],
                                  small.patterns()[:, 5])  # fmt: skip
    np.testing.assert_allclose(measurement.scan_positions_px, small.positions(), atol=1e-12)
    assert np.argwhere(~np.fft.fftshift(measurement.detector_mask)).tolist() == [[2, 3]]
    assert measurement.probe_modes.shape == (2, small.M, small.M)
    np.testing.assert_allclose(measurement.probe_modes[0], small.probe())
    np.testing.assert_allclose(measurement.probe, np.sqrt(1.01) * small.probe())
    assert measurement.source["positions"].endswith("motors.h5")


def test_another_file_is_read_by_its_own_format_with_its_geometry(folder: Path) -> None:
    measurement = MeasuredFile(
        str(folder / "frames.h5"), positions={"path": str(folder / "whole.cxi"), "key": ""}
    ).read()
    np.testing.assert_allclose(measurement.scan_positions_px, small.positions(), atol=1e-9)
    assert measurement.wavelength_m == pytest.approx(small.WAVELENGTH_M)


def test_patterns_in_several_files_one_after_the_other(folder: Path) -> None:
    settings = {"data": {"path": str(folder / "frames_*.h5"), "key": "data"}}
    measurement = MeasuredFile(str(folder / "whole.cxi"), **settings).read()
    np.testing.assert_array_equal(
        np.fft.fftshift(measurement.diffraction_intensity, axes=(1, 2)), small.patterns()
    )


def test_numbers_in_names_are_numbers(tmp_path: Path) -> None:
    for number in (2, 10, 1):
        small.write(tmp_path / f"dp_{number}.h5", {"data": small.patterns()[number : number + 1]})
    small.write(tmp_path / "scan.h5", {"positions_px": small.positions()[[1, 2, 10]]})
    measurement = MeasuredFile(
        str(tmp_path / "scan.h5"), data={"path": str(tmp_path / "dp_*.h5"), "key": "data"}
    ).read()
    np.testing.assert_array_equal(
        np.fft.fftshift(measurement.diffraction_intensity, axes=(1, 2)), small.patterns()[[1, 2, 10]]
    )


def problem(folder: Path, positions: str) -> Path:
    text = f"{{kind: file, path: frames.h5, positions: {positions}}}"
    return study_file(folder, head=f"study: tiny\nproblem: {text}\nstop: {{iterations: 2}}\n")


def test_the_identity_of_a_run_has_every_file(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    study = problem(folder, "{path: motors.h5, key: motors/positions_px}")
    (first,) = plan_of(study).runs
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(folder, elsewhere, dirs_exist_ok=True)
    assert plan_of(elsewhere / study.name).runs[0].spec_id == first.spec_id
    small.write(folder / "motors.h5", {"motors/positions_px": 1.5 * small.positions()})
    assert plan_of(study).runs[0].spec_id != first.spec_id


@pytest.mark.parametrize(
    ("positions", "says"),
    [
        ("{path: gone.h5}", "gone.h5"),
        ("{key: motors}", "'path' is missing"),
        ("{path: motors.h5, name: x}", "unknown key 'name'"),
        ("{path: 3}", "expected a text"),
        ("{path: motors.h5, key: nothing}", "has no array 'nothing' for 'positions'"),
        ("{path: probe.h5}", "no array of a usual name for positions"),
        ("{path: 'nothing_*.h5'}", "no file is called like"),
    ],
)
def test_places_that_are_none(folder: Path, positions: str, says: str) -> None:
    with pytest.raises(StudyError) as caught:
        plan_of(problem(folder, positions))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_patterns_of_several_sizes(folder: Path) -> None:
    small.write(folder / "frames_3.h5", {"data": small.patterns(rows=20)})
    with pytest.raises(DataFileError, match="patterns of several sizes"):
        MeasuredFile(str(folder / "whole.cxi"), data={"path": str(folder / "frames_*.h5"), "key": ""}).read()
