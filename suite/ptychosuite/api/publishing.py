"""Pages and files made of results, for people and for other programs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path, PosixPath

from ptychosuite.analysis.selection import Selection, selection_of
from ptychosuite.analysis.verdict import Verdict, verdicts
from ptychosuite.api.display import Displayed, count_runs
from ptychosuite.api.following import Progress
from ptychosuite.api.planning import File, Settings, Study
from ptychosuite.api.results import open_results, selected_runs
from ptychosuite.errors import UserError
from ptychosuite.reporting.bundle import is_bundle, opened_bundle
from ptychosuite.reporting.crate import write_bundle
from ptychosuite.reporting.crate_metadata import author_of, checked_licence
from ptychosuite.reporting.export_tables import write_table
from ptychosuite.reporting.index_page import write_index
from ptychosuite.reporting.page import write_report
from ptychosuite.reporting.study_folder import write_figures
from ptychosuite.reporting.trend_page import write_trend

SUFFIXES = {"crate": ".zip", "csv": ".csv", "parquet": ".parquet", "netcdf": ".nc"}


class Page(PosixPath):
    """The path of a page; a notebook shows it as a link."""

    def _repr_html_(self) -> str:
        return f'<a href="{escape(os.path.relpath(self))}" target="_blank">{escape(str(self))}</a>'


@dataclass(frozen=True)
class Exported(Displayed):
    """What :func:`export` has written.

    Parameters
    ----------
    path
        A file, or a crate's folder.
    runs
        How many runs it has.
    """

    path: Path
    runs: int

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return f"{count_runs(self.runs)}: {self.path}"


@dataclass(frozen=True)
class DrawnFigures(Displayed):
    """What :func:`figures` has drawn.

    Parameters
    ----------
    path
        Folder of the figures.
    keys
        Names of those in it.
    not_drawn
        Name of each of the others -> why there is nothing.
    """

    path: Path
    keys: Sequence[str]
    not_drawn: Mapping[str, str]

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        number = f"{len(self.keys)} figure{'s' * (len(self.keys) != 1)}: {self.path}"
        return "\n".join([number, *(f"{key}: {reason}" for key, reason in self.not_drawn.items())])


def report(
    study: Study,
    settings: Settings = (),
    *,
    override_file: File | None = None,
    results: File = "results",
    out: File = "reports",
    reload_s: float = 0.0,
    progress: bool | Progress = True,
) -> Page:
    """Draw the figures of a study and write its report, ``out/<study>/index.html``.

    ``out/index.html``, over all reports there, is written as well.

    Parameters
    ----------
    study
        A study (file or dict), a results folder, of which the latest session is reported, or a bundle, which
        is checked and drawn from what it holds.
    settings, override_file, results
        As of :func:`~ptychosuite.api.planning.plan`.
    out
        Folder that gets a report folder for each study.
    reload_s
        While runs are missing, the page loads itself anew every so many seconds; 0 for never.
    progress
        Whether to follow the work on stderr or in the notebook.

    Raises
    ------
    StudyError, StoreError
        There are no results.
    FigureError
        A figure has failed; the page with the others is there all the same, and the message says where.
    """
    shown = Progress.of(progress)
    with _to_draw(study, settings, override_file, results) as (selection, source):
        tell_notes(selection, shown)
        with shown.status("drawing"):
            try:
                return Page(write_report(selection, Path(out), source, reload_s))
            finally:
                if Path(out).is_dir():
                    write_index(Path(out))


def figures(
    study: Study,
    settings: Settings = (),
    *,
    override_file: File | None = None,
    results: File = "results",
    out: File = "figures",
    progress: bool | Progress = True,
) -> DrawnFigures:
    """Draw the figures of a study alone, for a paper: ``out/<study>/figures/KEY.pdf``, ``.png`` and ``.svg``.

    What they show is beside them, ``out/<study>/numbers/KEY.csv``, tables as ``.tex`` as well. The same
    results give the same files, byte by byte.

    Parameters
    ----------
    study, settings, override_file, results
        As of :func:`report`.
    out
        Folder that gets a folder for each study.
    progress
        Whether to follow the work on stderr or in the notebook.

    Raises
    ------
    StudyError, StoreError
        There are no results.
    FigureError
        A figure has failed; the others are there all the same, and the message says where.
    """
    shown = Progress.of(progress)
    with _to_draw(study, settings, override_file, results) as (selection, _):
        tell_notes(selection, shown)
        with shown.status("drawing"):
            found = write_figures(selection, Path(out))
    return DrawnFigures(
        Path(out) / selection.name,
        [figure.stem for figure in found if figure.source],
        {figure.stem: figure.caption for figure in found if not figure.source},
    )


@contextmanager
def _to_draw(
    study: Study, settings: Settings, override_file: File | None, results: File
) -> Iterator[tuple[Selection, str]]:
    """The runs to be drawn of a study, a results folder or a bundle, and what a bundle is called."""
    if isinstance(study, Mapping) or not is_bundle(Path(study)):
        yield selected_runs(study, settings, override_file, results), ""
        return
    if settings or override_file:
        raise UserError("--set and --override go with a study file, not with a bundle")
    with opened_bundle(Path(study)) as bundle:
        yield selection_of(bundle.store, bundle.study), f"the bundle {bundle.name}"


def tell_notes(selection: Selection, shown: Progress) -> None:
    """Say whose results are shown, where that is not what one would expect."""
    for note in selection.notes:
        shown.say(f"note: {note}")


def trend(
    study: Study,
    *,
    results: File = "results",
    out: File = "reports",
    besides: Sequence[Verdict] = (),
    progress: bool | Progress = True,
) -> Page:
    """Draw the history of a study's checks as a page, ``out/<study>-trend.html``.

    Parameters
    ----------
    study, results
        As of :func:`~ptychosuite.api.results.open_results`.
    out
        Folder that gets the page.
    besides
        Verdicts that are not kept with the results.
    progress
        Whether to follow the work on stderr or in the notebook.

    Raises
    ------
    StoreError
        No check is on record.
    """
    with open_results(study, results=results) as opened, Progress.of(progress).status("drawing"):
        return Page(write_trend([*verdicts(opened.store), *besides], Path(out)))


def export(
    study: Study,
    to: str,
    settings: Settings = (),
    *,
    override_file: File | None = None,
    results: File = "results",
    out: File | None = None,
    licence: str | None = None,
    authors: Sequence[str] = (),
    partial: bool = False,
    progress: bool | Progress = True,
) -> Exported:
    """Write the results of a study for others.

    Parameters
    ----------
    study, settings, override_file, results
        As of :func:`report`.
    to
        "crate" (an RO-Crate to publish), "csv" or "parquet" (one row a run), "netcdf" (with the curves).
    out
        File to write; for a crate one that ends in .zip, or a new folder; by default the name of the study
        with the suffix of the form.
    licence, authors
        Of a crate: an SPDX identifier, and who is to be cited, as in "Ada Lovelace <ORCID>".
    partial
        Export a study that is not finished.
    progress
        Whether to follow the work on stderr or in the notebook.

    Raises
    ------
    UserError
        The study is not finished, a crate has no licence, or the form needs a package that is missing.
    """
    if to not in SUFFIXES:
        raise UserError(f"found the form '{to}'; expected one of {', '.join(SUFFIXES)}")
    if to != "crate" and (licence or authors):
        raise UserError(f"--license and --author go with --to crate, not with --to {to}")
    selection = selected_runs(study, settings, override_file, results)
    if not partial:
        _refuse_unfinished(selection)
    target = Path(out) if out else Path(f"{selection.name}{SUFFIXES[to]}")
    shown = Progress.of(progress)
    tell_notes(selection, shown)
    with shown.status("writing"):
        if to == "crate":
            written = _write_crate(selection, target, licence, authors)
        else:
            written = write_table(selection, to, target)
    return Exported(written, len(selection.stored))


def _refuse_unfinished(selection: Selection) -> None:
    planned = selection.outcome.planned
    left = planned - selection.outcome.completed - selection.outcome.diverged
    if left:
        raise UserError(
            f"{left} of the {planned} runs of {selection.name} are missing or have failed; "
            "finish them with 'ptychosuite run STUDY --retry-failed', or export what there is with --partial"
        )


def _write_crate(selection: Selection, out: Path, licence: str | None, authors: Sequence[str]) -> Path:
    if licence is None:
        raise UserError(
            "--to crate needs a licence, without which nobody may use what you publish; say "
            "--license CC-BY-4.0, or another SPDX identifier"
        )
    return write_bundle(selection, out, checked_licence(licence), [author_of(a) for a in authors])
