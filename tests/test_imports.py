"""The rules of who may import whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import ptychosuite
import pytest

PACKAGE = Path(ptychosuite.__file__).parent

# package or module below suite -> what it may import from suite; ptychosuite.errors may be imported by all
ALLOWED = {
    "backends": set(),
    "core": {"backends"},
    "registry": {"core"},
    "physics": {"backends", "core"},
    "metrics": {"registry", "physics", "backends", "core"},
    "problems": {"physics", "registry", "backends", "core"},
    "solvers": {"physics", "backends", "core"},
    "fastforward": {"solvers", "problems", "metrics", "physics", "registry", "backends", "core"},
    "study": {"registry", "backends", "core", "metrics", "problems", "fastforward"},
    "execute": {"core", "backends", "registry", "physics", "problems", "solvers", "metrics"},
    "store": {"core", "registry"},
    "cluster": {"execute", "store", "registry", "backends", "core"},
    "analysis": {"store", "metrics", "problems", "registry", "core"},
    "reporting": {"analysis", "store", "metrics", "registry", "core"},
    "timing": {"analysis", "cluster", "study", "fastforward", "problems", "registry", "backends", "core"},
    "testing": {"fastforward", "solvers", "problems", "metrics", "physics", "registry", "backends", "core"},
    "errors": set(),
    "__init__": set(),
    "api": {"core", "backends", "registry", "metrics", "problems", "fastforward", "study", "execute", "store",
            "cluster", "analysis", "reporting", "timing"},
    "commands": {"api"},
    "cli": {"commands"},
}  # fmt: skip

# library -> the only modules that may import it
RESERVED = {
    "cupy": {"backends/arrays.py"},
    "torch": {
        "backends/arrays.py",
        "execute/one_run.py",
        "solvers/peers/session.py",
        "fastforward/unet.py",
        "fastforward/network.py",
        "fastforward/loss.py",
        "fastforward/train.py",
        "timing/side.py",
    },
    "ptychi": {"solvers/peers/ptychi.py"},
    "cdtools": {"solvers/peers/cdtools.py"},
    "array_api_compat.torch": {"backends/arrays.py"},
    "array_api_compat.cupy": {"backends/arrays.py"},
}

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
            assert node.level == 0, f"suite/{module}:{node.lineno}: relative import; write it out"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module):
    """A module imports only from its own package and from those below it."""
    package = module.split("/")[0].removesuffix(".py")
    assert package in ALLOWED, f"suite/{module}: '{package}' has no entry in the table of this test"
    wrong = []
    for line, name in imports(module):
        if name.startswith("ptychosuite."):
            target = name.split(".")[1]
            if target not in {package, "errors", "__version__", *ALLOWED[package]}:
                wrong.append(f"suite/{module}:{line} imports {name}")
    allowed = ", ".join(sorted(ALLOWED[package])) or "nothing of ours"
    assert not wrong, "\n".join([*wrong, f"{package} may import ptychosuite.errors and {allowed}"])


def test_study_takes_only_files_from_problems():
    """Reading a study hashes files and asks classes by their base; it does not simulate."""
    wrong = [
        f"suite/{module}:{line} imports {name}"
        for module in MODULES
        if module.startswith("study/")
        for line, name in imports(module)
        if name.startswith("ptychosuite.problems") and name.split(".")[2] not in ("files", "problem_kind")
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("library", RESERVED)
def test_only_some_modules_know_array_libraries(library):
    """Numerical code takes its namespace from its arrays and names no library."""
    wrong = [
        f"suite/{module}:{line} imports {name}"
        for module in MODULES
        if module not in RESERVED[library]
        for line, name in imports(module)
        if f"{name}.".startswith(f"{library}.")
    ]
    assert not wrong, "\n".join([*wrong, f"{library} is imported in {sorted(RESERVED[library])} only"])


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_what_it_is(module):
    """Every module begins with a docstring."""
    assert ast.get_docstring(tree_of(module)), f"suite/{module} has no docstring"
