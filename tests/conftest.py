"""Fixtures shared by all tests: small problems, backends, the command line, and the folder of real data."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from ptychosuite.backends.arrays import Backend, backend
from ptychosuite.cli import main
from ptychosuite.core.problem import Problem, Reference
from ptychosuite.errors import BackendError
from ptychosuite.physics.forward import diffraction_intensity

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def measured_data() -> Path:
    """The MAGPIE authors' probe and images, and a measured Siemens star; not part of this repository."""
    folder = Path(os.environ.get("PTYCHOSUITE_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "recon_zoneplate_Yi.mat").is_file():
        pytest.skip(f"no measured data in {folder}; set PTYCHOSUITE_DATA to the folder that has them")
    return folder


@pytest.fixture(params=["numpy", "torch", pytest.param("torch-cuda", marks=pytest.mark.gpu),
                        pytest.param("cupy", marks=pytest.mark.gpu)])  # fmt: skip
def each_backend(request: pytest.FixtureRequest) -> Backend:
    """Every array backend in turn; one that is not available here is skipped with its reason."""
    try:
        return backend(request.param)
    except BackendError as error:
        pytest.skip(str(error))


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Call the program in this process, in an empty folder: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    terminate = signal.getsignal(signal.SIGTERM)

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ptychosuite", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(ended.value.code or 0), out, err

    yield call
    signal.signal(signal.SIGTERM, terminate)


@pytest.fixture
def quick_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures as SVG alone, for tests of what is drawn: that all formats come is tested with the page."""
    monkeypatch.setattr("ptychosuite.reporting.style.FORMATS", ("svg",))
    monkeypatch.setattr("ptychosuite.reporting.style.SCREEN_DPI", 30)


def small_problem(
    chosen: Backend | None = None,
    dtype: str = "complex128",
    *,
    noise: float = 0.0,
    object_size: int = 40,
    probe_size: int = 16,
    step: int = 8,
    seed: int = 0,
    flat_start: bool = True,
) -> Problem:
    """A problem of a few patterns: smooth random object, complex random probe with dim and zero places.

    From a flat start, a full step of the probe meets one pattern exactly, its dark pixels too, and the phase
    of the next exit wave there is then rounding; ``flat_start=False`` keeps comparisons clear of that.
    """
    chosen = chosen or backend("numpy")
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:object_size, :object_size] / object_size
    phase = np.sin(5 * y) + 0.1 * rng.standard_normal(x.shape)
    obj = (0.7 + 0.3 * np.cos(7 * x + 3 * y)) * np.exp(1j * phase)
    radius = np.hypot(*(np.indices((probe_size, probe_size)) - probe_size // 2)) / (probe_size / 2)
    probe = np.exp(-3 * radius**2) * np.exp(1j * rng.uniform(-np.pi, np.pi, radius.shape)) * (radius < 0.95)
    corners = np.arange(0, object_size - probe_size + 1, step)
    positions = np.stack(np.meshgrid(corners, corners, indexing="ij"), axis=-1).reshape(-1, 2)
    intensity = diffraction_intensity(obj, probe, positions)
    if noise:
        intensity = noise * rng.poisson(intensity / noise)
    real = "float64" if dtype == "complex128" else "float32"
    return Problem(
        diffraction_amplitude=chosen.asarray(np.sqrt(intensity), real),
        scan_positions_px=positions,
        probe=chosen.asarray(probe, dtype),
        start_object=chosen.asarray(np.ones_like(obj) if flat_start else 0.5 + 0.5 * np.conj(obj), dtype),
        noise=noise,
        reference=Reference(obj, probe, positions),
    )
