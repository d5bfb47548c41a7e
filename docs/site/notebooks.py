"""Notebooks as pages of the site: carried out when it is built, and shown with what comes of it.

They are kept without outputs. Each runs in a kernel and in a folder of its own, which is thrown away.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[1] / "notebooks"
LONGEST_CELL_S = 300
ORIGIN = '<p>This page is the notebook <a href="{0}" download>{0}</a>, run when the site was built.</p>'


def notebook_files() -> list[Path]:
    """The notebooks, in the order of their names."""
    return sorted(FOLDER.glob("*.ipynb"))


def carried_out(notebook: Path, folder: Path) -> nbformat.NotebookNode:
    """``notebook`` with its outputs; all that it writes is in ``folder``.

    The kernel is this Python, whatever others the user has registered; its sockets are files, and no ports.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        A cell has failed.
    """
    content = nbformat.read(notebook, as_version=4)
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    with TemporaryDirectory() as private:  # paths of sockets are to be short
        kernel = AsyncKernelManager(
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
            connection_file=str(Path(private, "kernel.json")),
            transport="ipc",
        )
        client = NotebookClient(
            content,
            km=kernel,
            timeout=LONGEST_CELL_S,
            coalesce_streams=True,
            resources={"metadata": {"path": str(folder)}},
        )
        client.execute(cleanup_kc=True, env=environment | {"IPYTHONDIR": private, "TMPDIR": str(folder)})
    return content


def notebook_pages() -> dict[str, str | bytes]:
    """Path on the site -> Markdown of a notebook, or a picture that it shows."""
    sources = tuple((path, path.read_text(encoding="utf-8")) for path in notebook_files())
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pages = pool.map(_page, *zip(*sources, strict=True))
    return {name: content for page in pages for name, content in page.items()}


@cache  # by the text: where the site is served, a page is built again at each change of any
def _page(notebook: Path, text: str) -> Mapping[str, str | bytes]:
    """The page of one notebook and its pictures."""
    from nbconvert import MarkdownExporter  # of the extra `docs`; the tests do without it

    with TemporaryDirectory() as folder:
        content = carried_out(notebook, Path(folder))
    exporter = MarkdownExporter(template_file=str(Path(__file__).with_name("notebook.md.j2")))
    resources = {"output_files_dir": notebook.stem}
    markdown, shown = exporter.from_notebook_node(content, resources)
    title, _, rest = markdown.lstrip().partition("\n")
    page = f"{title}\n\n{ORIGIN.format(notebook.name)}\n{rest}"
    pictures = {f"notebooks/{name}": picture for name, picture in shown["outputs"].items()}
    return {f"notebooks/{notebook.stem}.md": page, **pictures}
