"""Commands that scripts and documents tell people to run exist, with the options that are named."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from ptychosuite.cli import ptychosuite

from tests.conftest import REPOSITORY

FILES = [
    ".ci/nightly",
    "README.md",
    *(f"docs/{name}.md" for name in ("bisect", "clusters", "data", "fast-forward", "papers", "regression")),
    "studies/nightly.yaml",
    "studies/fast-forward/train.yaml",
    "studies/measured/siemens-star.yaml",
]
CALL = re.compile(r"^[\s#]*(?:echo \" *)?(ptychosuite .*)")
AFTER = re.compile(r" \|\|| &&|\"? >| {2,}# ")  # where a shell's command ends


def calls(file: Path) -> Iterator[list[str]]:
    """Arguments of every call of ptychosuite in ``file``, also of those in one line."""
    for line in file.read_text(encoding="utf-8").splitlines():
        if match := CALL.match(line):
            for call in re.split(r" && (?=ptychosuite )", match[1]):
                yield [word for word in shlex.split(AFTER.split(call)[0])[1:] if "@" not in word]


@pytest.mark.parametrize("file", FILES)
def test_commands_exist(file):
    """Click takes their arguments."""
    found = list(calls(REPOSITORY / file))
    assert found
    for arguments in found:
        command: click.Command | None = ptychosuite
        while isinstance(command, click.Group):
            command = command.get_command(click.Context(command), arguments.pop(0))
        assert command is not None
        command.make_context(command.name, arguments)
