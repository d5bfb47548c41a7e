"""Commands that are printed mean the same as the call that prints them: they are parsed again, and run."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import click
import ptychosuite
import pytest
from ptychosuite.cli import COMMANDS, Commands
from ptychosuite.cli import ptychosuite as program
from ptychosuite.commands import followups
from ptychosuite.commands.followups import Call, command_line, filled_in

from tests.study.small import AXES, run_files, study_file

AWKWARD = ("a b", "it's", '"x"', "$HOME", "a;b", "*")


def parsed(words: list[str], parent: click.Context | None = None) -> click.Context:
    """The context of a typed command, as the program makes it."""
    root = click.Context(program, info_name="ptychosuite")
    name, *rest = words
    command = program.get_command(root, name)
    assert command is not None, name
    if isinstance(command, click.Group):
        return parsed_below(command, rest, click.Context(command, parent=root, info_name=name))
    return command.make_context(name, rest, parent=root)


def parsed_below(group: click.Group, words: list[str], context: click.Context) -> click.Context:
    name, *rest = words
    command = group.get_command(context, name)
    assert command is not None, name
    return command.make_context(name, rest, parent=context)


def printed(text: str) -> list[list[str]]:
    """The commands in a text, as words."""
    found = re.findall(r"ptychosuite ((?:[^\n;]|(?<=')[;])*)", text)
    return [shlex.split(line) for line in found]


@pytest.mark.parametrize("awkward", AWKWARD)
def test_every_option_that_says_what_is_meant_is_repeated(tmp_path, awkward):
    """Shell-quoted, of all commands; what only says what to print is not."""
    study = tmp_path / f"{awkward} s.yaml".replace("/", "")
    study.write_text("study: x\n")
    given = [
        "run", str(study), "--set", f"problem.noise={awkward}", "--set", "seed=1", "--override", awkward,
        "--results", awkward, "--cluster", awkward, "--workers", "3", "--where", f"solver == {awkward}",
        "--first", "7", "--sample", "8", "--shard", "1/2", "--lane", "throughput", "--stack", "4",
        "--timeout", "90s", "--retries", "2", "--fail-fast", "5", "--wait-for-workers", "2h", "--json",
    ]  # fmt: skip
    context = parsed(given)
    with context:
        line = command_line("run", "--retry-failed")
    again = parsed(shlex.split(line)[1:])
    different = {name for name in context.params if context.params[name] != again.params[name]}
    assert different == {"retry_failed", "as_json"}
    with context:
        planned = parsed(shlex.split(command_line("plan", "--why"))[1:])
    for name in ("study", "settings", "override_file", "results", "where", "first", "sample", "shard"):
        assert planned.params[name] == context.params[name], name


def test_messages_from_below_are_filled_in(tmp_path):
    """With what the command takes; one that would not take the call's study stays general."""
    study = tmp_path / "s.yaml"
    study.write_text("study: x\n")
    told = "ptychosuite run STUDY --retry-failed; ptychosuite baseline save n STUDY --force"
    context = parsed(["check", str(study), "--results", "a b", "--baseline", "n", "--set", "seed=1"])
    with context:
        text = filled_in(told)
    run, save = printed(text)
    assert run == ["run", str(study), "--set", "seed=1", "--results", "a b", "--retry-failed"]
    assert save == ["baseline", "save", "n", str(study), "--set", "seed=1", "--results", "a b", "--force"]
    assert parsed(run).params["retry_failed"]
    assert parsed(save).params["force"]
    with parsed(["report", str(tmp_path)]):
        assert filled_in("ptychosuite run STUDY") == "ptychosuite run STUDY", "a folder cannot be run"
        assert filled_in("ptychosuite show STUDY") == f"ptychosuite show {tmp_path}"
    assert filled_in("ptychosuite run STUDY") == "ptychosuite run STUDY", "outside of any command"


def test_errors_too(command, tmp_path):
    study = study_file(tmp_path, AXES)
    code, _, err = command("show", study, "--results", "a b")
    assert code == 2
    (run,) = printed(err.partition("run the study first: ")[2])
    assert run == ["run", str(study), "--results", "a b"]
    assert "4 to do" in command(*run, "--dry-run")[1]


def test_every_command_has_the_context_that_fills_in():
    root = click.Context(program)
    for name in COMMANDS:
        command = Commands.get_command(program, root, name)
        assert command is not None
        assert command.context_class is Call
        assert all(each.context_class is Call for each in getattr(command, "commands", {}).values())


def test_text_is_printed_in_one_place():
    """Nothing but JSON, and a study file as it is, goes around the function that fills in commands."""
    for file in Path(followups.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("click.echo", "print"):
                said = ast.unparse(node)
                as_it_is = "json.dumps" in said or said == "click.echo(str(found.named(name)), nl=False)"
                assert as_it_is or file.name == "followups.py", f"{file.name}: {said}"


def test_printed_commands_name_commands_that_there_are():
    """In the whole package: the command is one, and the options are its own."""
    package = Path(ptychosuite.__file__).parent
    root = click.Context(program)
    for file in package.rglob("*.py"):
        strings = (
            n.value
            for n in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(n, ast.Constant)
        )
        for text in filter(lambda value: isinstance(value, str), strings):
            for found in followups.PRINTED.finditer(text):
                command = followups._command(root, found[1])
                assert command is not None, f"{file}: {found[0]}"
                options = {name for option in command.params for name in option.opts}
                assert {*found[2].split()} <= options, f"{file}: {found[0]}"


def test_what_a_run_prints_can_be_typed(command, tmp_path, monkeypatch):
    """The commands after a failure resolve to the same folder and runs, and do what they say."""
    monkeypatch.setattr("ptychosuite.execute.one_run.reconstruct", lambda *args: 1 / 0)
    study = study_file(tmp_path, AXES)
    options = ("--set", "seed={range: 3}", "--where", "solver == rpie", "--results", "a b")
    code, _, err = command("run", study, *options, "--cluster", "none", "--first", "2")
    assert code == 1
    show, again = printed("\n".join(line for line in err.splitlines() if "with: ptychosuite" in line))
    assert "ZeroDivisionError" in command(*show)[1]
    planned = command("plan", study, *options, "--first", "2")[1]
    assert "0 done, 2 failed, 0 to do" in planned
    (from_plan,) = printed(planned)
    assert "0 done, 2 to do (2 of them again)" in command(*from_plan, "--dry-run")[1]
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    code, out, _ = command(*again)
    assert code == 0
    assert "2 of 6 runs (--where 'solver == rpie' --first 2), 0 done, 2 to do (2 of them again)" in out
    assert len([name for name in run_files(tmp_path / "a b/tiny") if "failed" not in name]) == 2
