"""A study's folder of figures and their numbers, for papers; the report's folder is one with a page.

::

    figures/KEY.pdf, .png, .svg    each figure, under its key
    numbers/KEY.csv, .tex          what it shows, and its table where it has one
    numbers/summary.csv, .tex      the medians of each line under each condition
    failures.txt                   tracebacks, where a figure's code has failed
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ptychosuite.analysis.published import reproduced
from ptychosuite.analysis.selection import Selection
from ptychosuite.analysis.summary import summary
from ptychosuite.analysis.tuned_lines import tuned_lines
from ptychosuite.errors import FigureError, LackingFiles, StoreError
from ptychosuite.reporting.drawing import draw_figures, write_latex
from ptychosuite.reporting.figures.material import RunFiles
from ptychosuite.reporting.overview import groups, summary_table
from ptychosuite.reporting.page_content import Embedded, TextTable
from ptychosuite.reporting.published_table import write_published
from ptychosuite.reporting.tuning_table import write_tuning


@contextmanager
def made_anew(folder: Path, what: str) -> Iterator[Path]:
    """A new folder beside ``folder``, whose place it takes at the end.

    What goes wrong on the way does not cost the folder that there was.

    Raises
    ------
    StoreError
        It cannot be written; ``what`` says what was to lie in it.
    """
    fresh = folder.parent / f".{folder.name}.{os.getpid()}"
    try:
        fresh.mkdir(parents=True)
        try:
            yield fresh
            put_in_place(fresh, folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise StoreError(f"cannot write {what} to {folder}: {error.strerror or error}") from error


def put_in_place(fresh: Path, folder: Path) -> None:
    """Let ``fresh`` be ``folder``; what was there stays until nothing but two names are left to change."""
    old = fresh.with_name(f"{fresh.name}.old")
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def write_figures(selection: Selection, out: Path) -> list[Embedded]:
    """Draw the figures alone into ``out/<study>``; what became of each is returned.

    Raises
    ------
    StoreError
        The folder cannot be written.
    FigureError
        A figure has failed. The others are there all the same.
    """
    folder = out / selection.name
    with made_anew(folder, "the figures") as fresh:
        figures = draw_figures(selection, files := RunFiles(selection.store), fresh)
        write_summary(selection, summary_table(selection, groups(selection)), fresh)
        if tracebacks := [f"{figure.stem}\n{figure.failure}" for figure in figures if figure.failure]:
            (fresh / "failures.txt").write_text("\n".join(tracebacks), encoding="utf-8")
    refuse_failed(figures, folder, [*files.damaged.values()])
    return figures


def write_summary(selection: Selection, table: TextTable | None, folder: Path) -> None:
    """Write the medians as CSV, ``table`` as LaTeX, and where there are any published values and tries."""
    write_published(reproduced(selection), folder)
    write_tuning(tuned_lines(selection), folder)
    summary(selection.table).to_csv(folder / "numbers" / "summary.csv", index=False)
    if table is not None:
        write_latex(table, folder / "numbers" / "summary.tex", selection.name)


def refuse_failed(figures: Sequence[Embedded], place: Path, damaged: Sequence[str] = ()) -> None:
    """Say at the end, when everything else is written to ``place``, which figures have failed.

    Raises
    ------
    FigureError
        One has, or lacks pictures of the runs of which ``damaged`` says what is wrong with them.
    """
    failed = [f"{f.stem}: {f.caption.removeprefix('Failed: ')}" for f in figures if f.failure]
    if failed:
        raise FigureError(f"{len(failed)} of {len(figures)} figures failed: {'; '.join(failed)}", place)
    if damaged:
        more = f" ({len(damaged)} files are damaged)" if len(damaged) > 1 else ""
        raise LackingFiles(f"{damaged[0]}{more}", place)
