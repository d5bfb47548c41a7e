"""Fixtures shared by all tests: small problems, backends, the command line, and the folder of real data."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ptychosuite.backends.arrays import Backend, backend
from ptychosuite.cli import main
from ptychosuite.errors import BackendError
from ptychosuite.testing import small_problem

__all__ = ["small_problem"]  # what a plug-in's tests have, ours use too

REPOSITORY = Path(__file__).resolve().parents[1]
# Set by benchmarks/gpu.py --dry-run: these backends take the places of those that need a GPU.
STAND_INS = {"torch-cuda": "torch", "cupy": "numpy"} if os.environ.get("PTYCHOSUITE_GPU_STAND_IN") else {}


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
        return backend(STAND_INS.get(request.param, request.param))
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
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ptychosuite", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return int(ended.value.code or 0), out, err

    yield call
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def quick_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures as SVG alone, for tests of what is drawn: that all formats come is tested with the page."""
    monkeypatch.setattr("ptychosuite.reporting.style.FORMATS", ("svg",))
    monkeypatch.setattr("ptychosuite.reporting.style.SCREEN_DPI", 30)
