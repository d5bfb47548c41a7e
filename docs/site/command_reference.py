"""The commands, from the command line's own help."""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc

import click
from field_tables import code, prose, stacked, table
from ptychosuite.cli import ptychosuite

EXIT_CODES = (
    ("0", "done"),
    (
        "1",
        "runs or figures have failed; of `check` and `reproduce`: something is worse or different; of "
        "`fine-tune`: not better; of `doctor` and `merge`: files are damaged",
    ),
    ("2", "what is asked for cannot be: a mistake in a study, an option or a file"),
    ("3", "could not judge, which is neither good nor bad"),
    ("129, 130, 143", "ended from outside: terminal closed, Ctrl-C, SIGTERM"),
)


def commands_page() -> str:
    """Every command with its options, in the order in which they are used."""
    parts = [
        "# Commands",
        "As `ptychosuite COMMAND --help` prints them. STUDY is the path of a study file. What the commands "
        "do is there [from Python](python.md) too.",
        table(("exit code", "meaning"), EXIT_CODES),
    ]
    context = click.Context(ptychosuite, info_name="ptychosuite")
    for name in ptychosuite.list_commands(context):
        command = ptychosuite.get_command(context, name)
        assert command is not None
        parts += _command(command, click.Context(command, info_name=name, parent=context))
    return "\n\n".join(filter(None, parts)) + "\n"


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    path = context.command_path.removeprefix("ptychosuite ")
    yield f"{'##' if ' ' not in path else '###'} {path}"
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    yield f"    {usage}"
    yield _help(command.help or "")
    if options := [row for option in command.get_params(context) for row in _option(option, context)]:
        yield stacked(table(("option", "meaning"), options))
    for name, inner in getattr(command, "commands", {}).items():
        yield from _command(inner, click.Context(inner, info_name=name, parent=context))


def _help(text: str) -> str:
    """Paragraphs as click shows them: those after a backspace stand as they are, as examples do."""
    return re.sub(r"^\x08\n", "", cleandoc(text), flags=re.MULTILINE)


def _option(option: click.Parameter, context: click.Context) -> Iterator[tuple[str, str]]:
    record = option.get_help_record(context)
    if record is not None and record[1] and "--help" not in option.opts:
        yield code(record[0]), prose(record[1])
