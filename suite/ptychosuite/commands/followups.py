"""Commands that commands print: they mean the same study, folder and runs as the call that prints them.

Messages from below the command line name commands with placeholders, ``ptychosuite plan STUDY --why``: they
do not know what was typed. All text that is printed, errors too, goes through :func:`filled_in`.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from math import isfinite
from types import TracebackType
from typing import Any

import click
from click.core import ParameterSource

from ptychosuite.api.study_names import is_study_file
from ptychosuite.errors import UserError

STDOUT = "ptychosuite.stdout"
"""What a context calls the stream that its answer is printed to."""
NOT_REPEATED = {
    "as_json", "show_all", "why", "yes", "delete", "dry_run", "retry_failed", "retry_diverged", "out",
    "every_s",
}  # fmt: skip
"""Options that say what to do or to print, not what is meant."""
OF_FOLDERS = {"report", "figures", "show", "clean", "export", "reproduce", "trend"}
"""Commands whose STUDY may be a results folder."""
PRINTED = re.compile(r"\bptychosuite ([a-z]+(?: (?!STUDY\b)[\w.-]+)*) STUDY\b((?: --[\w-]+)*)")
"""A command with a placeholder, what stands before it, and the options after it."""


def command_line(name: str, *more: str) -> str:
    """``ptychosuite NAME STUDY`` with all options of this call that NAME has too, then ``more``."""
    return _command_line(click.get_current_context(), name, more)


def filled_in(text: str, context: click.Context | None = None) -> str:
    """``text`` with the study of this call and its options in the commands that it names.

    Those stay as they are that would not take what this call was given.
    """
    context = context or click.get_current_context(silent=True)
    study = str(context.params.get("study") or "") if context else ""
    if not context or not study:
        return text

    def fill(found: re.Match[str]) -> str:
        name, more = found[1], found[2].split()
        of_folder = name.split()[0] in OF_FOLDERS
        if _command(context, name) is None or not (of_folder or is_study_file(study)):
            return found[0]
        return _command_line(context, name, more)

    return PRINTED.sub(fill, text)


@contextmanager
def answering_alone() -> Iterator[None]:
    """Stdout gets the :func:`answer` alone; what else is printed, by plug-ins too, goes to stderr."""
    click.get_current_context().meta[STDOUT] = sys.stdout
    with redirect_stdout(sys.stderr):
        yield


def answer(
    what: Mapping[str, Any] | Sequence[Any] | str, indent: int | None = 1, default: Any = None
) -> None:
    """Print text for people, or data as JSON for machines; ``indent`` and ``default`` are those of json."""
    if isinstance(what, str):
        echo(what)
    else:
        text = json.dumps(_known_to_json(what), indent=indent, default=default, allow_nan=False)
        click.echo(text, file=click.get_current_context().meta.get(STDOUT))


def _known_to_json(value: Any) -> Any:
    """``value`` with None in the place of NaN and of infinite numbers, for which JSON has no words."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _known_to_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [*map(_known_to_json, value)]
    return value


def echo(text: str, err: bool = False) -> None:
    """Print text for people; the commands that it names can be typed as they are."""
    click.echo(filled_in(text), err=err)


class Call(click.Context):
    """The context of a command, which fills in the commands that its errors name."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if isinstance(error, UserError) and error.args:
            error.args = (filled_in(str(error), self), *error.args[1:])
        return super().__exit__(kind, error, trace)


def _command_line(context: click.Context, name: str, more: Sequence[str]) -> str:
    study = str(context.params["study"])
    study = f"./{study}" if study.startswith("-") else study
    words = ["ptychosuite", *name.split(), study, *_given(context, name, more), *more]
    return " ".join(map(quoted, words))


def quoted(word: str) -> str:
    """``word`` as a shell takes it; what would steer a terminal is written out, as bash and zsh read it."""
    return shlex.quote(word) if word.isprintable() else f"$'{''.join(map(_written_out, word))}'"


def _written_out(character: str) -> str:
    code = ord(character)
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a name that is no text
        return f"\\x{code - 0xDC00:02x}"
    return f"\\U{code:08x}"


def _given(context: click.Context, name: str, but: Collection[str]) -> list[str]:
    """The options of a call, ``but`` for some, that the command ``name`` has as well: as words."""
    other = _command(context, name)
    known = {_kind(option) for option in other.params} if other else set()
    words: list[str] = []
    for option in context.command.params:
        is_given = context.get_parameter_source(str(option.name)) is not ParameterSource.DEFAULT
        is_meant = option.name not in NOT_REPEATED and option.opts[0] not in but
        if is_given and is_meant and isinstance(option, click.Option) and _kind(option) in known:
            if (name, option.name) == ("show", "settings"):  # there of data files alone
                continue
            value = context.params[str(option.name)]
            for each in value if isinstance(value, tuple) else (value,):
                words += [option.opts[0]] if option.is_flag else [option.opts[0], _typed(each)]
    return words


def _kind(option: click.Parameter) -> tuple[str | None, str, bool, bool]:
    """Equal for options that mean the same."""
    return option.name, option.opts[0], option.multiple, bool(getattr(option, "is_flag", False))


def _typed(value: object) -> str:
    """A value as it was typed, or as it might have been."""
    if isinstance(value, float):
        return f"{value:f}".rstrip("0").rstrip(".")
    return "auto" if value is None else str(value)


def _command(context: click.Context, name: str) -> click.Command | None:
    """The command that is called so, as in "run" or "baseline save NAME"."""
    found: click.Command | None = context.find_root().command
    for word in name.split():
        if not isinstance(found, click.Group):
            break
        found = found.get_command(context, word)
    return found
