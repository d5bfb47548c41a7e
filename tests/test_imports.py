"""The rules of who may import whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import ptychosuite
import pytest

from tests.conftest import REPOSITORY

PACKAGE = Path(ptychosuite.__file__).parent

# package or module below ptychosuite -> what it may import of it, always rooms that stand before it here;
# ptychosuite.errors may be imported by all. docs/architecture.md says what each is for.
ALLOWED = {
    "errors": set(),
    "backends": set(),
    "core": {"backends"},
    "registry": {"core"},
    "physics": {"backends", "core"},
    "metrics": {"registry", "physics", "backends", "core"},
    "problems": {"physics", "registry", "backends", "core"},
    "solvers": {"physics", "registry", "backends", "core"},
    "fastforward": {"solvers", "problems", "metrics", "physics", "registry", "backends", "core"},
    "execute": {"core", "backends", "registry", "physics", "problems", "solvers", "metrics"},
    "store": {"core", "registry"},
    "warmstart": {"store", "problems", "registry", "core"},
    "study": {"store", "registry", "backends", "core", "metrics", "problems", "fastforward"},
    "cluster": {"execute", "store", "registry", "backends", "core"},
    "analysis": {"store", "metrics", "problems", "registry", "core"},
    "reporting": {"analysis", "store", "metrics", "registry", "core"},
    "timing": {"analysis", "cluster", "study", "fastforward", "problems", "registry", "backends", "core"},
    "api": {"core", "backends", "registry", "metrics", "problems", "fastforward", "study", "execute", "store",
            "cluster", "analysis", "reporting", "timing"},
    "__init__": set(),
    "commands": {"api"},
    "cli": {"commands"},
    "testing": {"backends", "core", "registry", "physics", "metrics", "problems", "solvers", "fastforward"},
}  # fmt: skip

# library -> the only modules that may import it
RESERVED = {
    "cupy": {"backends/arrays.py"},
    "torch": {
        "backends/arrays.py",
        "backends/recorded.py",
        "execute/one_run.py",
        "solvers/peers/torch_loader.py",
        "solvers/peers/drive_ptychi.py",
        "solvers/peers/drive_cdtools.py",
        "fastforward/unet.py",
        "fastforward/network.py",
        "fastforward/loss.py",
        "fastforward/train.py",
        "timing/side.py",
    },
    "ptychi": {"solvers/peers/drive_ptychi.py"},
    "cdtools": {"solvers/peers/drive_cdtools.py", "solvers/peers/own_cdtools.py"},
    "PtyLab": {"solvers/peers/drive_ptylab.py"},
    "array_api_compat.torch": {"backends/arrays.py"},
    "array_api_compat.cupy": {"backends/arrays.py"},
}

LONGEST = 60  # lines of a function

MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse((PACKAGE / module).read_text(encoding="utf-8"))


@cache
def imports(module: str) -> tuple[tuple[int, str], ...]:
    """Line and full dotted name of every import, also of those inside functions."""
    return tuple(_imports(module))


def _imports(module: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: relative import; write it out"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def imported_modules(module: str) -> set[str]:
    """The modules of ptychosuite that ``module`` imports, as paths below it."""
    found = set()
    for _, name in imports(module):
        parts = name.split(".")[1:] if name.startswith("ptychosuite.") else []
        paths = ("/".join(parts), "/".join(parts[:-1]))  # "package.module", or "module.what is in it"
        candidates = [f"{path}{end}" for path in paths for end in (".py", "/__init__.py")]
        found |= {*[path for path in candidates if path in MODULES][:1]}
    return found - {module}


def test_table_has_no_way_back():
    """What a room may import stands before it."""
    before: set[str] = set()
    for room, allowed in ALLOWED.items():
        assert allowed <= before, f"{room} may import {sorted(allowed - before)}, which stand behind it"
        before.add(room)


def test_no_import_circles():
    """Not inside a package either; imports in functions and those for annotations alone count as well."""
    try:
        TopologicalSorter({module: imported_modules(module) for module in MODULES}).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize("module", MODULES)
def test_functions_are_short(module):
    """A long one has a seam."""
    functions = [
        node for node in ast.walk(tree_of(module)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert not {name: length for name, length in lengths.items() if length > LONGEST}


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module):
    """A module imports only from its own package and from those below it."""
    package = module.split("/")[0].removesuffix(".py")
    assert package in ALLOWED, f"{module}: '{package}' has no entry in the table of this test"
    wrong = []
    for line, name in imports(module):
        if name.startswith("ptychosuite."):
            target = name.split(".")[1]
            if target not in {package, "errors", "__version__", *ALLOWED[package]}:
                wrong.append(f"{module}:{line} imports {name}")
    allowed = ", ".join(sorted(ALLOWED[package])) or "nothing of ours"
    assert not wrong, "\n".join([*wrong, f"{package} may import ptychosuite.errors and {allowed}"])


def test_study_takes_only_files_from_problems():
    """Reading a study hashes files and asks classes by their base; it does not simulate."""
    wrong = [
        f"{module}:{line} imports {name}"
        for module in MODULES
        if module.startswith("study/")
        for line, name in imports(module)
        if name.startswith("ptychosuite.problems")
        and name.split(".")[2] not in ("files", "problem_kind", "starts")
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("library", RESERVED)
def test_only_some_modules_know_array_libraries(library):
    """Numerical code takes its namespace from its arrays and names no library."""
    wrong = [
        f"{module}:{line} imports {name}"
        for module in MODULES
        if module not in RESERVED[library]
        for line, name in imports(module)
        if f"{name}.".startswith(f"{library}.")
    ]
    assert not wrong, "\n".join([*wrong, f"{library} is imported in {sorted(RESERVED[library])} only"])


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_what_it_is(module):
    """Every module begins with a docstring."""
    assert ast.get_docstring(tree_of(module)), f"{module} has no docstring"


@pytest.mark.parametrize(
    "script", sorted((REPOSITORY / "benchmarks").glob("*.py")), ids=lambda path: path.name
)
def test_benchmarks_import_what_is_there(script):
    """No other test runs them."""
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("ptychosuite"):
            module = import_module(str(node.module))
            missing = [
                alias.name
                for alias in node.names
                if not hasattr(module, alias.name) and find_spec(f"{node.module}.{alias.name}") is None
            ]
            assert not missing, f"{script.name}:{node.lineno}: {node.module} has no {missing}"
