"""``import ptychosuite``: light, and complete."""

from __future__ import annotations

import ast
import pkgutil
import subprocess
import sys

import ptychosuite
import pytest
from ptychosuite.cli import COMMANDS
from ptychosuite.cli import ptychosuite as program

from tests.study.small import REPOSITORY

PACKAGE = REPOSITORY / "suite" / "ptychosuite"


def test_importing_it_imports_nothing_else():
    code = "import ptychosuite, sys; dir(ptychosuite); print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"numpy", "torch", "dask", "zarr", "xarray", "rich", "click"}


@pytest.mark.parametrize("name", ptychosuite.__all__)
def test_every_name_is_there_and_says_what_it_is(name):
    assert getattr(ptychosuite, name).__doc__
    assert name in dir(ptychosuite)


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
