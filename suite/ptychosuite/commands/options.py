"""What several commands share: arguments, options, progress on a terminal, an end on Ctrl-C.

An option is called like the argument of the function in Python that it is for: commands pass on by name what
they do not look at themselves.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import partial, wraps
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar, NoReturn

import click
from click.shell_completion import CompletionItem

from ptychosuite.api.following import Progress
from ptychosuite.api.study_names import names_beginning
from ptychosuite.commands.followups import answering_alone, echo


class StudyPath(click.Path):
    """A file or folder, or the name of what comes with ptychosuite; shells complete both."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        named = [CompletionItem(name) for name in names_beginning(incomplete)]
        return [*named, *super().shell_complete(ctx, param, incomplete)]


study_argument = click.argument("study", type=StudyPath())
set_option = click.option(
    "--set", "settings", multiple=True, metavar="PATH=VALUE",
    help="Override a field or an axis, as in --set problem.noise=0.1 or --set 'seed={range: 2}'. Repeatable.",
)  # fmt: skip
override_option = click.option(
    "--override", "override_file", type=StudyPath(), metavar="FILE",
    help="A YAML file of overrides: dotted paths and values, as for --set.",
)  # fmt: skip
results_option = click.option(
    "--results", default="results", show_default=True, metavar="DIR",
    help="Folder that holds a results folder for each study, or s3://BUCKET/PREFIX.",
)  # fmt: skip
baselines_option = click.option(
    "--baselines", type=click.Path(path_type=Path), default=Path("results/baselines"), show_default=True,
    metavar="DIR", help="Folder of the baselines.",
)  # fmt: skip
cluster_option = click.option(
    "--cluster", default="local", show_default=True, metavar="CLUSTER",
    help="none (this process), local (worker processes here), cuda (the GPUs here), slurm, pbs, lsf, sge, "
    "a cluster file FILE.yaml, a Dask scheduler file FILE.json, tcp://HOST:PORT or tls://HOST:PORT.",
)  # fmt: skip
workers_option = click.option(
    "--workers", type=click.IntRange(min=1),
    help="Workers on this machine, or in all jobs of a batch system.  [default: one for each core here]",
)  # fmt: skip


def json_option(command: Any) -> Any:
    """``--json``, with which stdout has the answer and nothing else: see docs/json.md."""

    @wraps(command)
    def called(*arguments: Any, as_json: bool, **asked: Any) -> Any:
        with answering_alone() if as_json else nullcontext():
            return command(*arguments, as_json=as_json, **asked)

    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")(called)


def study_options(command: Any) -> Any:
    """What all commands take that plan a study."""
    for decorate in (results_option, override_option, set_option, study_argument):
        command = decorate(command)
    return command


def _refuse_blank(context: click.Context, parameter: click.Parameter, text: str) -> str:
    """An unset variable of a shell would choose all runs."""
    source = context.get_parameter_source(parameter.name or "")
    if source is not click.core.ParameterSource.DEFAULT and not text.strip():
        raise click.BadParameter("found nothing; expected a condition, as in 'noise < 0.2'")
    return text


where_option = click.option(
    "--where", default="", metavar="CONDITION", callback=_refuse_blank,
    help="Only runs that meet a condition, as in --where 'noise < 0.2 and solver in (rpie, magpie)': "
    "settings by the names that 'plan' shows, or by their dotted paths.",
)  # fmt: skip
first_option = click.option(
    "--first", type=click.IntRange(min=1), metavar="N", help="Only the first N runs, as in --first 3."
)
sample_option = click.option(
    "--sample", type=click.IntRange(min=1), metavar="K",
    help="Only K runs, as in --sample 10: drawn at random, always the same, and among those of a larger K.",
)  # fmt: skip
shard_option = click.option(
    "--shard", metavar="I/N",
    help="Only the I-th of N equal shares, as in --shard 2/8. In a job array of a batch system, --shard auto "
    "is that of the task; PBS does not say how many there are, so --shard auto/8.",
)  # fmt: skip


def choice_options(command: Any) -> Any:
    """What chooses among the runs of a study."""
    for decorate in (shard_option, first_option, sample_option, where_option):
        command = decorate(command)
    return command


class Duration(click.ParamType):  # type: ignore[type-arg]
    """Seconds from "90", "30s", "10m" or "2h"."""

    name = "duration"
    units: ClassVar = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = re.fullmatch(r"(\d+\.?\d*)\s*([smh]?)", str(value).strip())
        seconds = float(match[1]) * self.units[match[2]] if match else 0.0
        if seconds == 0.0:
            self.fail(f"found '{value}'; expected a time such as 90, 30s, 10m or 2h", param, ctx)
        return seconds


class StackSize(click.ParamType):  # type: ignore[type-arg]
    """A number of runs, or None for "auto"."""

    name = "runs"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value in (None, "auto"):
            return None
        if not str(value).isdigit() or int(value) == 0:
            self.fail(f"found '{value}'; expected a number of runs, or auto", param, ctx)
        return int(value)


wait_option = click.option(
    "--wait-for-workers", "wait_for_workers_s", type=Duration(), metavar="TIME",
    help="How long to wait while no worker can take a run: 90, 10m, 2h.  [default: 10m; of a batch system, "
    "for as long as it takes]",
)  # fmt: skip
ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN_S = 0.5  # what comes sooner is the same request: a terminal and a parent process both pass it on
SHOW_CURSOR = "\x1b[?25h"


def followed(quiet: bool = False) -> Progress:
    """Progress whose lines go to stdout, or to stderr where ``quiet`` keeps stdout for a machine."""
    return Progress(say=partial(echo, err=quiet))


@contextmanager
def stoppable(stopped: str) -> Iterator[None]:
    """Ctrl-C, a batch system's polite request and a terminal that closes end the program and say ``stopped``.

    The exit code is 128 and the number of the signal. The first request lets everything end in good order; a
    second one ends the program where it is. Signals that were ignored stay so (``nohup``).
    """
    requests: list[tuple[int, float]] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        requests.append((number, time.monotonic()))
        if len(requests) == 1:
            raise KeyboardInterrupt
        if requests[-1][1] - requests[0][1] > AGAIN_S:
            _end_at_once(number)

    for number in ASKING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    usual = sys.unraisablehook
    sys.unraisablehook = partial(_say_nothing_of_interrupts, usual)
    try:
        yield
    except KeyboardInterrupt:
        with suppress(OSError):  # the terminal is gone
            echo(f"\nstopped; {stopped}", err=True)
        sys.exit(128 + (requests[0][0] if requests else signal.SIGINT))
    finally:
        sys.unraisablehook = usual


def _say_nothing_of_interrupts(usual: Callable[[Any], Any], lost: Any) -> None:
    """A request that Python drops, in a destructor or a callback from C, has left its mark: no error."""
    if not isinstance(lost.exc_value, KeyboardInterrupt):
        usual(lost)


def _end_at_once(number: int) -> NoReturn:
    """Leave everything where it is, but the terminal's cursor."""
    if sys.stderr is not None and sys.stderr.isatty():
        os.write(2, SHOW_CURSOR.encode())
    os._exit(128 + number)
