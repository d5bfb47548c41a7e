"""``ptychosuite fine-tune``: the fast-forward network for one instrument."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

import ptychosuite
from ptychosuite.commands.followups import answer
from ptychosuite.commands.options import followed, json_option, stoppable


@click.command("fine-tune")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="FILE",
    help="The .safetensors file that gets the network, if it is better.",
)  # fmt: skip
@click.option(
    "--minutes", type=click.FloatRange(min=0, min_open=True), default=15, show_default=True,
    help="Wall time in all, about.",
)  # fmt: skip
@click.option(
    "--latest", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.2, show_default=True,
    metavar="SHARE", help="Share of the scans that judge and are not learned from: those that came last.",
)  # fmt: skip
@click.option(
    "--start", default="default", show_default=True, metavar="FILE", help="The checkpoint to start from."
)
@json_option
def fine_tune(as_json: bool, **asked: Any) -> None:
    """Fine-tune the fast-forward operator to one instrument, on past reconstructions.

    FOLDER is a results folder, or one that holds several. States on the way come from the runs' snapshots;
    where there are none the first 25 iterations are done again. Where no truth is known, the end of a run
    stands for it. The latest scans judge: FILE is written only where the network is better on them.

    \b
        ptychosuite fine-tune results --out my-beamline.safetensors --minutes 15

    Leaves with 0 where it is better, with 1 where it is not.
    """
    with stoppable("nothing was replaced."):
        found = ptychosuite.fine_tune(**asked, progress=followed(quiet=as_json))
    answer(found.to_dict() if as_json else str(found))
    sys.exit(0 if found.is_better else 1)
