"""What there is, read and never changed: results (``report``, ``figures``, ``compare``, ``show``, ``export``,
``trend``), data files (``show``, ``convert``) and this installation (``schema``, ``solvers``, ``doctor``)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

import ptychosuite
from ptychosuite.api.display import tree_text
from ptychosuite.commands.followups import answer, echo, quoted
from ptychosuite.commands.options import (
    Duration,
    StudyPath,
    followed,
    json_option,
    results_option,
    study_argument,
    study_options,
)
from ptychosuite.errors import DataFileError

STUDY_SUFFIXES = (".yaml", ".yml", ".zip")


def pages_option(page: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Where ``page`` is written."""
    return click.option(
        "--out", type=click.Path(path_type=Path), default=Path("reports"), show_default=True, metavar="DIR",
        help=f"Folder that gets the page, {page}.",
    )  # fmt: skip


@click.command()
@study_options
@pages_option("STUDY/index.html")
@click.option(
    "--watch", "every_s", type=Duration(), is_flag=False, flag_value="10", metavar="[SECONDS]",
    help="Draw again whenever there are new results, until all runs are there or Ctrl-C; it looks every 10 s "
    "unless SECONDS says otherwise. To be written behind STUDY.",
)  # fmt: skip
def report(every_s: float | None, **asked: Any) -> None:
    """Draw the figures of STUDY and write its report.

    STUDY is a study file, a results folder or a bundle; from a results folder the latest session is reported,
    and no study file is needed. A bundle is checked and drawn from what it holds.

    \b
        ptychosuite report studies/quickstart.yaml
        ptychosuite report results/quickstart --watch 30
    """
    if every_s is None:
        echo(f"report: {ptychosuite.report(**asked, progress=followed())}")
        return
    try:
        for drawn in ptychosuite.watch(**asked, every_s=every_s, progress=followed()):
            echo(str(drawn))
    except KeyboardInterrupt:
        echo("\nstopped; the last page that was drawn stays", err=True)


@click.command()
@study_options
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("figures"), show_default=True, metavar="DIR",
    help="Folder that gets STUDY/figures and STUDY/numbers.",
)  # fmt: skip
def figures(**asked: Any) -> None:
    """Draw the figures of STUDY alone, for a paper: PDF, PNG and SVG, with their numbers as CSV and LaTeX.

    STUDY is a study file, a results folder or a bundle, as for the command report. Files are called by the
    figures' keys, and the same results give the same files, byte by byte.

    \b
        ptychosuite figures studies/paper/levels.yaml --out paper
    """
    echo(f"figures: {ptychosuite.figures(**asked, progress=followed())}")


@click.command()
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path), required=False)
@click.option(
    "--results", multiple=True, default=["results"], show_default=True, metavar="DIR",
    help="Folder that holds a results folder for each study. Twice: one for A and one for B.",
)  # fmt: skip
@pages_option("compare-A-B/index.html")
@json_option
def compare(a: Path, b: Path | None, results: tuple[str, ...], out: Path, as_json: bool) -> None:
    """Draw two stores side by side.

    A and B are results folders, bundles or study files; one study file will do where --results is given
    twice. Runs are paired by their specification, or where none is the same in both by the factors that
    vary. The page, compare-A-B/index.html, has medians, ratios, what differs beyond rounding and where both
    come from; times are compared where hardware and lane are the same. 'check' judges; this does not.

    \b
        ptychosuite compare results/quickstart elsewhere/quickstart
    """
    if len(results) > 2:
        raise click.UsageError("--results names one folder, or two, one for A and one for B")
    if b is None and len(results) < 2:
        raise click.UsageError("name a second store, or say --results twice")
    folders = (results[0], results[-1])
    compared = ptychosuite.compare(a, b, results=folders, out=out, progress=followed(quiet=as_json))
    answer(compared.to_dict() if as_json else str(compared))


data_set_option = click.option(
    "--set", "settings", multiple=True, metavar="PATH=VALUE",
    help="Of a data file: a setting of its problem, as in --set crop=256. Of a study: an override, as in "
    "--set problem.noise=0.1. Repeatable.",
)  # fmt: skip


@click.command()
@study_argument
@click.argument("run_id", required=False)
@data_set_option
@results_option
@click.option(
    "--data", is_flag=True, help="Of a study: say what its data file holds, read as the study says."
)
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="PNG",
    help="Of a data file: draw scan, mean pattern, mask and probe into this picture.",
)  # fmt: skip
@json_option
def show(
    study: Path,
    run_id: str | None,
    settings: tuple[str, ...],
    results: str,
    data: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Show how the runs of STUDY (a study file, a results folder, a bundle) ended, or all about one run.

    RUN_ID may be shortened to its first digits. Where STUDY is a data file (CXI, NeXus, ptyd, HDF5, NPZ,
    MAT), say what it holds, from where, which arrays are not used, and what is odd about it:

    \b
        ptychosuite show scan.cxi --set crop=256 --set positions_unit=um --out scan.png

    A file that cannot be read as it stands has its arrays listed, and ends with code 2.
    """
    if study.exists() and not study.is_file() and not study.is_dir():
        raise DataFileError(f"{study} is neither a file nor a folder; name one")
    if data or (study.is_file() and study.suffix not in STUDY_SUFFIXES):
        _show_data(study, run_id, settings, out, as_json)
        return
    if settings:
        raise click.UsageError("--set goes with a data file, or with --data")
    with ptychosuite.open(study, results=results) as opened:
        if run_id is not None:
            described = opened.describe(run_id)
            answer(described if as_json else tree_text(described))
        elif as_json:
            answer(opened.table.to_dict("records"))
            if opened.note:
                echo(f"note: {opened.note}", err=True)
        else:
            echo(str(opened))


def _show_data(
    file: Path, run_id: str | None, settings: Sequence[str], out: Path | None, as_json: bool
) -> None:
    content = ptychosuite.describe_data(file, settings, run=run_id, picture=out)
    if as_json:
        answer(content)
    refused = content.pop("not read", None)
    if not as_json:
        echo(tree_text(content))
    if refused:
        raise DataFileError(refused)
    if out:
        echo(f"picture: {out}", err=as_json)


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--to", required=True, metavar="FORM",
    help="cxi, ptyd (of ptypy), ptychodus (OUT.npz or OUT.h5, and OUT-product beside it), or a plug-in's.",
)  # fmt: skip
@data_set_option
@click.option("--run", metavar="ID", help="Of a study: which run's problem, by the first digits of its id.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def convert(**asked: Any) -> None:
    """Write measured data, or the problem of a study, for another program.

    SOURCE is a data file, or a study file, of which the problem of one run is taken: what solvers are told,
    with the probe that they begin from, and nothing of the truth. Simulated data have no lengths, so they
    take a wavelength, a distance and a detector pixel:

    \b
        ptychosuite convert scan.nxs scan.cxi --to cxi --set crop=256
        ptychosuite convert studies/quickstart.yaml simulated.cxi --to cxi --set energy_kev=8 \\
            --set distance_m=2 --set detector_pixel_m=75e-6

    What ptychodus gets in two files is read back with path: OUT, positions: {path: PRODUCT} and
    probe: {path: PRODUCT}.
    """
    echo(str(ptychosuite.convert(**asked)))


@click.command()
@study_options
@click.option(
    "--to", type=click.Choice(["crate", "csv", "parquet", "netcdf"]), required=True,
    help="crate: an RO-Crate to publish. csv, parquet: one row a run. netcdf: the dataset with its curves.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE",
    help="File to write; for a crate one that ends in .zip, or a new folder.  "
    "[default: STUDY with the form's suffix]",
)  # fmt: skip
@click.option("--license", "licence", metavar="SPDX", help="Of a crate: its licence, as in CC-BY-4.0.")
@click.option(
    "--author", "authors", multiple=True, metavar="'NAME <ORCID>'",
    help="Of a crate: who is to be cited. Repeatable; the ORCID may be left out.",
)  # fmt: skip
@click.option("--partial", is_flag=True, help="Export a study that is not finished.")
def export(**asked: Any) -> None:
    """Write the results of STUDY for others.

    STUDY is a study file or a results folder, of which the latest session counts. A crate holds study,
    results, figures, environment and provenance; the commands report, show and reproduce read it back.

    \b
        ptychosuite export studies/quickstart.yaml --to csv --out quickstart.csv
        ptychosuite export studies/quickstart.yaml --to crate --license CC-BY-4.0 --author 'Ada Lovelace'
    """
    echo(str(ptychosuite.export(**asked, progress=followed())))


@click.command()
@study_argument
@results_option
@pages_option("STUDY-trend.html")
def trend(**asked: Any) -> None:
    """Draw the history of the checks of STUDY (a study file or a results folder) as a page.

    It shows the latest verdict, how each figure has moved over the checks, and where a level has changed the
    commits to look at.

    \b
        ptychosuite trend studies/nightly.yaml
    """
    echo(f"trend: {ptychosuite.trend(**asked, progress=followed())}")


@click.command()
def schema() -> None:
    """Print the JSON Schema of study files, for editors.

    \b
        ptychosuite schema > study.schema.json
    """
    click.echo(json.dumps(ptychosuite.schema(), indent=1))


@click.command()
@json_option
def solvers(as_json: bool) -> None:
    """List the solvers with their settings and defaults.

    \b
        ptychosuite solvers --json
    """
    listing = ptychosuite.available("solvers")
    faults = ptychosuite.faults()
    if as_json:
        answer({**listing, "faults": faults}, default=str)
        return
    for name, entry in listing.items():
        given = ", ".join(f"{key}: {value}" for key, value in entry["settings"].items())
        echo(f"{name:8} {entry['summary']}\n{'':8} {{name: {name}{', ' + given if given else ''}}}")
    _print_faults(faults)


@click.command()
@click.argument("study", type=StudyPath(), required=False)
@results_option
@json_option
def doctor(study: Path | None, results: str, as_json: bool) -> None:
    """Say what this machine and this installation can do, what is wrong with plug-ins, and what would help.

    Of STUDY (a study file or a results folder) every file of the results is read as well, and those are named
    that are damaged or do not belong there. Leaves with 1 where there are any.

    \b
        ptychosuite doctor
        ptychosuite doctor studies/quickstart.yaml
    """
    content = ptychosuite.doctor(study, results=results)
    found = content.get("results", {})
    if as_json:
        answer(content)
    else:
        _print_doctor(content)
    if found.get("damaged"):
        hint = f"ptychosuite clean {quoted(found['folder'])} --only damaged"
        echo(f"what to do: see what would be set aside with: {hint}; add --yes to do it", err=as_json)
        sys.exit(1)


def _print_doctor(content: dict[str, Any]) -> None:
    faults, advice = content.pop("faults"), content.pop("advice")
    nouns = {
        group: ", ".join(f"{name} ({package})" if package else name for name, package in found.items())
        for group, found in content["nouns"].items()
    }
    results = content.pop("results", {})
    echo(tree_text({**content, "nouns": nouns}))
    _print_faults(faults)
    for sentence in (*advice, "a first study: ptychosuite run quickstart && ptychosuite report quickstart"):
        echo(f"what to do: {sentence}")
    if results:
        echo(f"results in {results['folder']}: {results['runs']} runs that have ended")
        for message in results["damaged"].values():
            echo(f"  {message}")
        if results["not writable"]:
            echo(f"  {results['not writable']}")


def _print_faults(faults: Sequence[Mapping[str, Any]]) -> None:
    """What is wrong with plug-ins; they disturb nothing else."""
    for fault in faults:
        echo(f"fault of {fault['package']}: {fault['group']}, '{fault['name']}': {fault['message']}")
