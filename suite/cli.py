"""The command line: the group of commands and the way out of it."""

from __future__ import annotations

import sys

import click

from suite import __version__
from suite.commands.about import doctor, schema, solvers
from suite.commands.baseline import baseline
from suite.commands.check import check
from suite.commands.export import export
from suite.commands.plan import plan
from suite.commands.report import report
from suite.commands.reproduce import reproduce
from suite.commands.run import run
from suite.commands.show import show
from suite.commands.train import train
from suite.commands.trend import trend
from suite.errors import UserError


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
