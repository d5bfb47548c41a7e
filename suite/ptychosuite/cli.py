"""The command line: the group of commands and the way out of it."""

from __future__ import annotations

import sys

import click

from ptychosuite import __version__
from ptychosuite.commands.about import doctor, schema, solvers
from ptychosuite.commands.baseline import baseline
from ptychosuite.commands.check import check
from ptychosuite.commands.export import export
from ptychosuite.commands.plan import plan
from ptychosuite.commands.report import report
from ptychosuite.commands.reproduce import reproduce
from ptychosuite.commands.run import run
from ptychosuite.commands.show import show
from ptychosuite.commands.train import train
from ptychosuite.commands.trend import trend
from ptychosuite.errors import UserError


class Commands(click.Group):
    """Commands in the order in which they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ptychosuite")
def ptychosuite() -> None:
    """Benchmark ptychographic reconstruction, reproducibly.

    A study file says what to reconstruct and what to vary. Results land in results/STUDY, reports in
    reports/STUDY. A run that is done is never computed again.

    \b
        ptychosuite plan studies/quickstart.yaml
        ptychosuite run studies/quickstart.yaml --cluster local
        ptychosuite report studies/quickstart.yaml
    """


for command in (
    plan, run, train, report, show, check, trend, baseline, reproduce, export, schema, solvers, doctor,
):  # fmt: skip
    ptychosuite.add_command(command)


def main() -> None:
    """Entry point of the command ``ptychosuite``."""
    try:
        ptychosuite()
    except UserError as error:
        click.echo(f"ptychosuite: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
