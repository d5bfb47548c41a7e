"""The notebooks of the docs run from top to bottom, and are kept without what they show."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import ptychosuite
import pytest

from tests.conftest import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "docs" / "notebooks").glob("*.ipynb"))
WRITTEN_INTO = ("docs/notebooks", "results", "reports", "figures", "studies")
each_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


@pytest.fixture
def notebooks(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module that runs notebooks for the site."""
    for package in ("nbclient", "ipykernel"):
        pytest.importorskip(package, reason="the extra 'dev' is not installed: `make test`")
    monkeypatch.syspath_prepend(str(REPOSITORY / "docs" / "site"))
    import notebooks

    yield notebooks
    del sys.modules["notebooks"]


def cells(notebook: Path, kind: str) -> list[dict[str, Any]]:
    content = json.loads(notebook.read_text(encoding="utf-8"))
    return [cell for cell in content["cells"] if cell["cell_type"] == kind]


def written(notebooks: ModuleType, path: Path, *sources: str) -> Path:
    """A notebook of these cells of code, below a title, in the file ``path``."""
    new = notebooks.nbformat.v4
    code = [new.new_code_cell(source) for source in sources]
    notebooks.nbformat.write(new.new_notebook(cells=[new.new_markdown_cell("# Mine"), *code]), path)
    return path


def files() -> set[Path]:
    """What lies where a notebook might write, in the repository."""
    folders = [REPOSITORY / name for name in WRITTEN_INTO]
    return {
        path for folder in folders if folder.is_dir() for path in folder.iterdir() if path.suffix != ".tmp"
    }


def test_there_are_some():
    assert len(NOTEBOOKS) >= 5


@pytest.mark.slow  # test_site runs them all as well, and no page is made of one that fails
@each_notebook
def test_runs(notebooks, notebook, tmp_path):
    """Every cell, in a kernel of this Python; all that is written is in the folder that it was given."""
    before = files()
    content = notebooks.carried_out(notebook, tmp_path)
    ran = [cell for cell in content.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in ran)
    assert any("image/png" in output.get("data", {}) for cell in ran for output in cell.outputs)
    assert any(tmp_path.rglob("study.zarr"))
    assert not files() - before


def test_kernel_is_this_python(notebooks, tmp_path, monkeypatch):
    """Also where the user has registered another one by the usual name."""
    spec = {"argv": ["no-such-python", "{connection_file}"], "display_name": "other", "language": "python"}
    other = tmp_path / "jupyter" / "kernels" / "python3"
    other.mkdir(parents=True)
    (other / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    which = "import sys, ptychosuite; print(sys.executable, ptychosuite.__file__)"
    content = notebooks.carried_out(written(notebooks, tmp_path / "which.ipynb", which), tmp_path)
    assert content.cells[-1].outputs[0].text.split() == [sys.executable, ptychosuite.__file__]


def test_a_cell_that_fails_fails(notebooks, tmp_path):
    from nbclient.exceptions import CellExecutionError

    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        notebooks.carried_out(written(notebooks, tmp_path / "fails.ipynb", "1 / 0"), tmp_path)


def test_page_shows_what_comes_of_it(notebooks, tmp_path):
    """Text as it is, tables as the site's, pictures as files that the page finds."""
    pytest.importorskip("nbconvert", reason="the extra 'docs' is not installed: `make site`")
    text = "print('<b>', end='\\n\\n'); print('two')"
    table = "import pandas as pd\npd.DataFrame({'mine': [1, 2]})"
    picture = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
    path = written(notebooks, tmp_path / "mine.ipynb", text, table, picture)
    made = notebooks._page(path, path.read_text(encoding="utf-8"))
    page = made["notebooks/mine.md"]
    assert page.startswith("# Mine\n")
    assert '<a href="mine.ipynb" download>' in page
    assert "~~~~text\n<b>\n\ntwo\n~~~~" in page
    assert "<table>" in page
    [shown] = re.findall(r'<img src="([^"]+)"', page)
    assert made[f"notebooks/{shown}"].startswith(b"\x89PNG")


def test_links_to_a_notebook_lead_to_its_page(notebooks):
    pytest.importorskip("mkdocs", reason="the extra 'docs' is not installed: `make site`")
    before = set(sys.modules)
    import hooks  # of mkdocs.yml

    assert hooks._on_site("docs/notebooks/first-study.ipynb") == "notebooks/first-study.md"
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(REPOSITORY / "docs")):
            del sys.modules[name]


@each_notebook
def test_is_kept_without_outputs(notebook):
    """And without what an editor remembers of the machine; what a picture shows is told."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    assert {*content["metadata"]} == {"kernelspec", "language_info"}
    for cell in cells(notebook, "code"):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None
        assert {*cell["metadata"]} <= {"alt"}
        draws = "Image(" in cell["source"][-1] or "plt.show()" in cell["source"][-1]
        assert draws == ("alt" in cell["metadata"])


@each_notebook
def test_is_a_page(notebook):
    """It has one title, as its first line, and a place on the site; it begins in a folder of its own."""
    lines = [line for cell in cells(notebook, "markdown") for line in "".join(cell["source"]).splitlines()]
    assert [line for line in lines if line.startswith("# ")] == lines[:1]
    assert f": notebooks/{notebook.stem}.md\n" in (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")
    assert cells(notebook, "code")[0]["source"][-1] == "os.chdir(tempfile.mkdtemp())"
