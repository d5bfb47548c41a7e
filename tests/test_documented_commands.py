"""Commands that scripts and documents tell people to run exist, with the options that are named."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from ptychosuite.cli import ptychosuite

from tests.conftest import REPOSITORY
from tests.study.small import AXES, HEAD, study_file

FILES = [
    ".ci/nightly",
    "README.md",
    *(
        f"docs/{name}.md"
        for name in (
            "bisect",
            "clusters",
            "compare",
            "data",
            "fast-forward",
            "install",
            "nightly",
            "papers",
            "publish",
            "regression",
            "study",
            "tutorial",
        )
    ),
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


def documented(file: str) -> list[list[str]]:
    return list(calls(REPOSITORY / file))


@pytest.mark.parametrize("file", ["docs/nightly.md", "docs/regression.md"])
def test_commands_come_in_the_order_in_which_they_work(file):
    """What judges a study's runs, or keeps their figures, comes after they have been carried out."""
    done: set[str] = set()
    for command, *arguments in documented(file):
        if command == "run":
            done.add(arguments[0])
        study = next((each for each in arguments if each.startswith("studies/")), "")
        if study and command in ("check", "baseline", "trend"):
            assert study in done, f"{file}: {command} {study} before its run"


@pytest.mark.parametrize("file", FILES)
def test_no_command_replaces_a_baseline_that_comes_with_the_code(file):
    committed = {each.stem for each in (REPOSITORY / "results/baselines").glob("*.json")}
    saved = {call[2] for call in documented(file) if call[:2] == ["baseline", "save"]}
    assert not saved & committed


def test_the_page_on_checks_begins_with_commands_that_run_as_written(tmp_path, monkeypatch, command):
    """On a small study in the nightly's place, beside a baseline that comes with the code."""
    text = (REPOSITORY / "docs" / "regression.md").read_text(encoding="utf-8")
    (tmp_path / "first.md").write_text(text.split("| what |")[0])
    monkeypatch.chdir(tmp_path)
    Path("studies").mkdir()
    study = study_file(tmp_path, AXES, HEAD.replace("study: tiny", "study: nightly"), "studies/nightly.yaml")
    assert command("run", study, "--cluster", "none", "--results", "elsewhere")[0] == 0
    assert command("baseline", "save", "nightly", study, "--results", "elsewhere")[0] == 0
    baseline = Path("results/baselines/nightly.json").read_bytes()
    found = list(calls(Path("first.md")))
    assert [call[0] for call in found] == ["run", "check", "trend"]
    for call in found:
        few = call[: call.index("--time-against")] if "--time-against" in call else call
        code, out, err = command(*few, *(["--cluster", "none"] if call[0] == "run" else []))
        assert code == 0, (call, out, err)
    assert Path("results/baselines/nightly.json").read_bytes() == baseline


def taken(arguments: list[str]) -> click.Command:
    """The command that takes these arguments."""
    command: click.Command | None = ptychosuite
    while isinstance(command, click.Group):
        command = command.get_command(click.Context(command), arguments.pop(0))
    assert command is not None
    command.make_context(command.name, arguments)
    return command


@pytest.mark.parametrize("file", FILES)
def test_commands_exist(file):
    """Click takes their arguments."""
    found = list(calls(REPOSITORY / file))
    assert found
    for arguments in found:
        taken(arguments)


def commands(group: click.Group = ptychosuite) -> Iterator[click.Command]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        yield from commands(command) if isinstance(command, click.Group) else [command]


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.name)
def test_help_has_an_example(command, tmp_path, monkeypatch):
    """One of this command at least; all are taken."""
    monkeypatch.chdir(REPOSITORY)
    text = tmp_path / "help.txt"
    text.write_text(inspect.cleandoc(command.help).replace("\\\n", ""))
    assert command in [taken(arguments) for arguments in calls(text)]
