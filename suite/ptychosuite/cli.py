"""The command line: the group of commands and the way out of it."""

from __future__ import annotations

import errno
import sys
from importlib import import_module
from io import TextIOWrapper
from typing import NamedTuple

import click

from ptychosuite import __version__
from ptychosuite.errors import UserError, printable


class Listed(NamedTuple):
    """A command: its module below ptychosuite.commands, and its line in the list of commands."""

    module: str
    line: str


COMMANDS = {  # in the order in which they are used
    "studies": Listed("beginning", "List the studies that come with ptychosuite, or print one."),
    "new": Listed("beginning", "Write a first study with comments into FILE."),
    "plan": Listed("sweeps", "Check STUDY and show its runs, what is done and what the rest will cost."),
    "run": Listed("sweeps", "Carry out the runs of STUDY that are not done yet."),
    "train": Listed("sweeps", "Train the fast-forward operator on the runs of STUDY."),
    "fine-tune": Listed("fine_tuning", "Fine-tune the fast-forward operator to one instrument."),
    "report": Listed("views", "Draw the figures of STUDY and write its report."),
    "figures": Listed("views", "Draw the figures of STUDY alone, for a paper."),
    "compare": Listed("views", "Draw two stores side by side."),
    "show": Listed("views", "Show how the runs of STUDY ended, or what a data file holds."),
    "check": Listed("checks", "Say whether the runs of STUDY are as good as they were."),
    "trend": Listed("views", "Draw the history of the checks of STUDY as a page."),
    "baseline": Listed("checks", "Save and list baselines, for 'check' to compare with."),
    "import-result": Listed("importing", "Judge what another program has made of a problem of STUDY."),
    "reproduce": Listed("checks", "Run what is stored of STUDY again, and compare."),
    "clean": Listed("folders", "Say what the results of STUDY need not keep, and set it aside."),
    "merge": Listed("folders", "Copy results of other folders into one."),
    "export": Listed("views", "Write the results of STUDY for others."),
    "convert": Listed("views", "Write measured data, or the problem of a study, for another program."),
    "schema": Listed("views", "Print the JSON Schema of study files, for editors."),
    "solvers": Listed("views", "List the solvers with their settings and defaults."),
    "doctor": Listed("views", "Say what this machine and this installation can do."),
}


NAMES_AND_RIGHTS = (errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP)
"""What the user has to put right of files that no command had a word for."""


class Commands(click.Group):
    """Commands whose modules are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        from ptychosuite.commands.followups import Call

        module = import_module(f"ptychosuite.commands.{COMMANDS[cmd_name].module}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        for each in (command, *getattr(command, "commands", {}).values()):
            each.context_class = Call
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, listed.line) for name, listed in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ptychosuite")
def ptychosuite() -> None:
    """Benchmark ptychographic reconstruction, reproducibly.

    A study file says what to reconstruct and what to vary. Results land in results/STUDY, reports in
    reports/STUDY. A run that is done is never computed again. STUDY is a file, or the name of a study that
    comes with ptychosuite.

    \b
        ptychosuite plan quickstart
        ptychosuite run quickstart --cluster local
        ptychosuite report quickstart
    """


def main() -> None:
    """Entry point of the command ``ptychosuite``."""
    if isinstance(sys.stdout, TextIOWrapper):  # a path need not be text
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        ptychosuite()
    except UserError as error:
        click.echo(f"ptychosuite: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in NAMES_AND_RIGHTS:
            raise
        told = f"{error.filename or 'a file'} cannot be used: {error.strerror}"
        click.echo(f"ptychosuite: {printable(told, kept='')}", err=True)
        sys.exit(UserError.exit_code)


if __name__ == "__main__":
    main()
