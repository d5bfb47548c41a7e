"""One simulated scan, written by other people's programs: read exactly, and its truth reconstructed.

The files lie in ``files/written`` of the folder of measured data, with ``truth.npz``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ptychosuite.execute.one_run import execute
from ptychosuite.problems.measured import MeasuredFile, Measurement
from scipy.ndimage import gaussian_filter, map_coordinates

from tests.study.small import plan_of, study_file

GEOMETRY = {"energy_kev": 8.0, "distance_m": 1.9, "detector_pixel_m": 75e-6}
EXACT: dict[str, dict[str, Any]] = {
    "cdtools.cxi": {},
    "ptypy.ptyd": {},
    "ptypy-link.ptyd": {},
    "bitshuffle-lz4.h5": {"positions_unit": "px"},
    "blosc-zstd.h5": {"positions_unit": "px"},
    "nexusformat-full.nxs": {},
    "nexusformat-full_xslow.nxs": {},
    "nexusformat-motors_yslow.nxs": {},
    "nexusformat-motors_xslow.nxs": {},
    "nexusformat-2d_yslow.nxs": {},
    "nexusformat-2d_xslow.nxs": {},
    "nexusformat-motornames.nxs": {},
    "nxptycho-creator.nxs": {},
    "nanomax/000012.h5": GEOMETRY,
    "py4dstem.h5": {},
}
"""File -> settings with which its patterns and positions are those of the simulation."""
CHANGED: dict[str, dict[str, Any]] = {
    "cdtools-mask.cxi": {},
    "cdtools-dark.cxi": {},
    "cdtools-intensities.cxi": {},
    "ptypy-weights.ptyd": {},
    "ptypy-orientation.ptyd": {},
    "ptychodus/dp.hdf5": {
        "positions": {"path": "ptychodus/product.h5"},
        "probe": {"path": "ptychodus/product.npz"},
        "mask": {"path": "ptychodus/diffraction.npz"},
    },
    "ptychodus/diffraction.npz": {"positions": {"path": "ptychodus/product.npz"}, **GEOMETRY},
    "ptychodus/diffraction.cxi": {"positions": {"path": "ptychodus/product.cxi"}},
    "ptychodus/product.h5": {"data": {"path": "ptychodus/dp.hdf5"}},
}
"""Others, whose patterns were made otherwise, or hold what is no count."""


@pytest.fixture(scope="module")
def folder(measured_data: Path) -> Path:
    if not (measured_data / "files/written/truth.npz").is_file():
        pytest.skip(f"no files/written in {measured_data}")
    return measured_data / "files/written"


@pytest.fixture(scope="module")
def truth(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "truth.npz") as file:
        return dict(file)


def settings_of(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """With the paths of other files absolute."""
    return {
        name: {"key": "", **value, "path": str(folder / value["path"])} if isinstance(value, dict) else value
        for name, value in settings.items()
    }


def read(folder: Path, name: str, settings: dict[str, Any]) -> Measurement:
    return MeasuredFile(str(folder / name), **settings_of(folder, settings)).read()


def in_order(measurement: Measurement) -> tuple[np.ndarray, np.ndarray]:
    """Patterns with zero frequency in the middle and their positions, rows slow, columns fast."""
    order = np.lexsort(np.round(measurement.scan_positions_px.T[::-1], 3))
    patterns = np.fft.fftshift(measurement.diffraction_intensity, axes=(1, 2))
    return patterns[order], measurement.scan_positions_px[order]


@pytest.mark.parametrize("name", EXACT)
def test_patterns_and_positions(folder: Path, truth: dict[str, np.ndarray], name: str) -> None:
    patterns, positions = in_order(read(folder, name, EXACT[name]))
    expected, _ = in_order(read(folder, "cdtools.cxi", {}))
    np.testing.assert_array_equal(patterns, expected)
    np.testing.assert_allclose(positions, truth["positions_px"], atol=1e-4)


def test_these_are_the_patterns_of_the_truth(folder: Path, truth: dict[str, np.ndarray]) -> None:
    """Not only the same in all files: Poisson counts of the truth's own patterns."""
    patterns, positions = in_order(read(folder, "cdtools.cxi", {}))
    m = patterns.shape[-1]
    waves = [
        np.fft.fft2(truth["probe"] * truth["object"][r : r + m, c : c + m])
        for r, c in np.rint(positions).astype(int)
    ]
    expected = np.fft.fftshift(np.abs(waves) ** 2, axes=(1, 2)).astype(np.float64)
    expected *= patterns.sum() / expected.sum()
    bright = expected > 20
    chi2 = np.mean((patterns[bright] - expected[bright]) ** 2 / expected[bright])
    assert chi2 == pytest.approx(1, abs=0.05)


SMOOTHING_PX = 1.5  # noise hides the curvature of a single pixel


def curvature(obj: np.ndarray) -> np.ndarray:
    """The phase's second differences, which no ramp changes."""
    unit = np.exp(1j * np.angle(obj))
    smooth = gaussian_filter(unit.real, SMOOTHING_PX) + 1j * gaussian_filter(unit.imag, SMOOTHING_PX)
    second = [np.angle(np.roll(smooth, 1, a) * np.roll(smooth, -1, a) * smooth.conj() ** 2) for a in (0, 1)]
    return np.add(*second)


def likeness(found: np.ndarray, true: np.ndarray, rim: int) -> float:
    """Correlation of the curvature of two phases, within the rim, at the best shift by whole pixels."""
    rows, columns = (min(a, b) for a, b in zip(found.shape, true.shape, strict=True))
    inner = (slice(rim, rows - rim), slice(rim, columns - rim))
    of_found, of_true = curvature(found), curvature(true)
    best = -1.0
    for row in range(-3, 4):
        for column in range(-3, 4):
            a, b = np.roll(of_found, (row, column), (0, 1))[inner], of_true[inner]
            best = max(best, float(np.corrcoef(a.ravel(), b.ravel())[0, 1]))
    return best


def test_the_numbers_that_pair_them_are_used(folder: Path) -> None:
    name = "ptychodus/diffraction.npz"
    source = read(folder, name, CHANGED[name]).source
    assert source["pattern numbers"] == "indexes"
    assert source["position numbers"].startswith("probe_position_indexes of /")


def resampled(image: np.ndarray, ratio: float, shape: tuple[int, ...]) -> np.ndarray:
    """``image`` on a grid whose pixels are so many times as large, from the same corner."""
    grid = np.indices(shape) * ratio
    parts = [map_coordinates(part, grid, order=3, mode="nearest") for part in (image.real, image.imag)]
    return parts[0] + 1j * parts[1]


def turned(image: np.ndarray) -> list[np.ndarray]:
    """The image, and as it is seen in the seven other orientations and as its twin."""
    both = (image, image.T)
    flipped = [view[::a, ::b] for view in both for a in (1, -1) for b in (1, -1)]
    return [*flipped, image[::-1, ::-1].conj()]


def reconstructed(
    folder: Path, truth: dict[str, np.ndarray], tmp_path: Path, name: str, **more: Any
) -> np.ndarray:
    """The object after 40 iterations of rPIE, on the pixels of the truth."""
    settings = {
        "kind": "file", "path": str(folder / name), **settings_of(folder, (EXACT | CHANGED)[name]), **more
    }  # fmt: skip
    size = MeasuredFile(**{k: v for k, v in settings.items() if k != "kind"}).read().probe_size
    ratio = len(truth["probe"]) / size  # of the pixels, where the file's centre leaves a smaller window
    np.savez(tmp_path / "probe.npz", probe=resampled(truth["probe"], ratio, (size, size)))
    start, solver = "start_probe: {kind: file, path: probe.npz}", "update_probe: off"
    if name.startswith("ptychodus"):  # these patterns are of two modes
        start, solver = (
            f"start_probe: {{kind: file, path: {folder / 'ptychodus/product.h5'}}}",
            "probe_modes: 2",
        )
    words = ", ".join(f"{key}: {value!r}" for key, value in settings.items())
    text = f"study: tiny\nproblem: {{{words}, {start}}}\nstop: {{iterations: 40}}\n"
    (spec,) = plan_of(study_file(tmp_path, head=f"{text}solver: {{name: rpie, alpha: 0.1, {solver}}}\n")).runs
    record, _ = execute(spec)
    return resampled(record.object, 1 / ratio, truth["object"].shape)


@pytest.mark.parametrize("name", ["cdtools.cxi", "nexusformat-motors_xslow.nxs", "py4dstem.h5", *CHANGED])
def test_the_truth_is_reconstructed_the_right_way_round(
    folder: Path, truth: dict[str, np.ndarray], tmp_path: Path, name: str
) -> None:
    obj = reconstructed(folder, truth, tmp_path, name)
    found = [likeness(view, truth["object"], rim=14) for view in turned(obj)]
    assert found[0] > 0.85, found
    assert max(found[1:]) < found[0] - 0.2, found


def phase_error(obj: np.ndarray, true: np.ndarray, rim: int = 14) -> float:
    """Standard deviation of the phase difference within the rim, in rad."""
    inner = (slice(rim, -rim), slice(rim, -rim))
    product = (obj * true.conj())[inner]
    return float(np.std(np.angle(product * np.exp(-1j * np.angle(product.sum())))))


@pytest.mark.parametrize(
    ("name", "part"), [("cdtools-dark.cxi", "dark"), ("cdtools-intensities.cxi", "intensities")]
)
def test_what_the_file_says_of_its_counts_is_worth_it(
    folder: Path, truth: dict[str, np.ndarray], tmp_path: Path, name: str, part: str
) -> None:
    used, ignored = (
        phase_error(reconstructed(folder, truth, tmp_path, name, **more), truth["object"])
        for more in ({}, {part: "none"})
    )
    print(f"{name}: phase error {used:.3f} rad, {ignored:.3f} rad without '{part}'")
    assert used < 0.8 * ignored
