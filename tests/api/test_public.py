"""``import ptychosuite``: light, and complete."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import pkgutil
import re
import subprocess
import sys
from functools import cached_property

import ptychosuite
import pytest
from ptychosuite.cli import COMMANDS
from ptychosuite.cli import ptychosuite as program
from ptychosuite.study.meanings import meanings

from tests.study.small import REPOSITORY

PACKAGE = REPOSITORY / "suite" / "ptychosuite"


def test_importing_it_imports_nothing_else():
    code = "import ptychosuite, sys; dir(ptychosuite); print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"numpy", "torch", "dask", "zarr", "xarray", "rich", "click"}


@pytest.mark.parametrize("name", ptychosuite.__all__)
def test_every_name_is_there_and_says_what_it_is(name):
    """In words of its own: a dataclass without a docstring has its signature instead."""
    text = inspect.getdoc(getattr(ptychosuite, name)) or ""
    assert len(text.split()) > 3
    assert not text.startswith(f"{name}(")
    assert name in dir(ptychosuite)


@pytest.mark.parametrize("name", [name for name in ptychosuite.__all__ if name[0].isupper()])
def test_every_class_tells_its_fields_and_members(name):
    cls = getattr(ptychosuite, name)
    told = meanings(cls)
    fields = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
    assert [field.name for field in fields if field.name not in told] == []
    members = {member: value for member, value in vars(cls).items() if not member.startswith("_")}
    silent = [member for member, value in members.items() if callable(value) and not value.__doc__]
    silent += [
        member
        for member, value in members.items()
        if isinstance(value, property | cached_property | classmethod) and not value.__doc__
    ]
    assert not silent


@pytest.mark.parametrize("name", [name for name in ptychosuite.__all__ if name[0].islower()])
def test_every_function_tells_its_parameters(name):
    """Itself, or by the function whose parameters they are."""
    function = getattr(ptychosuite, name)
    text = inspect.getdoc(function) or ""
    if re.search(r"parameters are\s+those of", text, re.IGNORECASE):
        return
    silent = [each for each in inspect.signature(function).parameters if not re.search(rf"\b{each}\b", text)]
    assert not silent


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match="no attribute 'pln'"):
        ptychosuite.pln  # noqa: B018 - the access is what is tested


def test_no_subpackage_hides_a_public_name():
    """Importing a subpackage sets its name on the package, over any function of that name."""
    below = {module.name for module in pkgutil.iter_modules(ptychosuite.__path__)}
    assert not below & set(ptychosuite.__all__)


def test_type_checkers_see_the_same_names():
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text())
    seen = {
        alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names
    } | {node.targets[0].id for node in stub.body if isinstance(node, ast.Assign)}
    assert seen - {None} == set(ptychosuite.__all__)


def test_api_knows_no_command_line():
    """It neither parses nor ends the program."""
    for file in (PACKAGE / "api").glob("*.py"):
        text = file.read_text()
        assert "import click" not in text, file
        assert "sys.exit" not in text, file


def test_list_of_commands_says_what_they_say():
    """Each line begins as the command's own help does; the modules are loaded one by one."""
    for name, listed in COMMANDS.items():
        command = program.get_command(None, name)
        assert command is not None
        assert (command.help or "").split()[:3] == listed.line.split()[:3], name
