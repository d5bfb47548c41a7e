"""Every script in benchmarks/ finds what it imports, wherever it is called."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPTS = sorted(
    path for path in (Path(__file__).parents[1] / "benchmarks").glob("*.py") if "argparse" in path.read_text()
)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_says_how_it_is_called(script, tmp_path):
    if script.stem == "gpu_peers" and find_spec("ptychi") is None:
        pytest.skip("ptychi cannot be imported; pip install 'ptychosuite[peers]'")
    done = subprocess.run([sys.executable, script, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "usage:" in done.stdout
