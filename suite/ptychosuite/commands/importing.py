"""``ptychosuite import-result``: results that were computed elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import ptychosuite
from ptychosuite.commands.followups import answer
from ptychosuite.commands.options import json_option, study_options, where_option


@click.command("import-result")
@study_options
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--label", required=True, metavar="NAME", help="What figures and tables call it.")
@where_option
@click.option("--package", default="", metavar="NAME", help="The program that has computed it.")
@click.option("--version", default="", metavar="VERSION", help="Of that program.")
@click.option("--who", default="", metavar="NAME", help="Whose result it is.")
@click.option("--note", default="", metavar="TEXT", help="What else there is to say: settings, where it ran.")
@click.option("--object-key", default="", metavar="KEY", help="Name of the object's array in its file.")
@click.option("--probe-key", default="", metavar="KEY", help="Name of the probe's array in its file.")
@json_option
def import_result(files: tuple[Path, ...], as_json: bool, **asked: Any) -> None:
    """Judge what another program has reconstructed, and keep it beside the runs of STUDY.

    FILE is one file with object and probe, or the object's, the probe's and that of the positions, in this
    order: .npy, .npz, .mat, HDF5, or a format of measured data, such as a product of ptychodus. The metrics
    are those of a run of the study's problem; --where leaves the runs of that problem, one with one seed. No
    time is kept, and nothing that counts seconds or iterations has it. The same numbers are imported once.

    \b
        ptychosuite import-result studies/quickstart.yaml recon.npz --label theirs \\
            --where 'noise == 0.05 and seed == 0' --package pty-chi --version 2.2
    """
    found = ptychosuite.import_result(files=files, **asked)
    answer(found.to_dict() if as_json else str(found))
