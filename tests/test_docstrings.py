"""What CONTRIBUTING.md asks of docstrings: shapes, and what is raised. Sources are read, not imported.

That modules have one is told by ``test_imports.py``, that public names say what their parameters are by
``api/test_public.py``; whether a shape in an annotation is right, by ``solvers/test_shapes.py``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import ptychosuite
import pytest

from tests.test_imports import MODULES, tree_of

ROOMS = ("physics", "metrics", "solvers", "problems", "backends", "core", "fastforward", "analysis")
FUSED = ("_kernels.py", "_triton.py")  # each function has its shapes in the plain form of its name beside it
OF_ROOMS = [file for file in MODULES if file.startswith(ROOMS) and not file.endswith(FUSED)]

# What holds arrays, less those whose shape stands with them: Complex[Array, "H W"]
NAMED_SHAPE = re.compile(r"\b[A-Z]\w*\[(?:Array|np\.ndarray|torch\.Tensor), '[^']*'\]")
ARRAY = re.compile(r"\b(?:Array|ndarray|Tensor)\b")
# (N, 2), (n,), (..., m, m), "of any shape", "in its shape", and what another function has said
SHAPE_IN_WORDS = re.compile(r"\((?:[\w.*+ /]+,)+[\w.*+ /]*\)|\bshapes?\b|\bAs :(?:func|meth):`")

RAISES_NOTHING = {"faults", "schema", "studies"}
"""Public functions that tell what is installed, and what is wrong with it."""
OF_ANOTHER = re.compile(r"Parameters are\s+those of :func:`\w+`(?P<errors>, and errors too)?\.")
OF_THE_PROTOCOL = {"load", "begin"}
"""What each driver of a peer has: ``solvers/peers/peer_task.py: Driver`` says what they do."""


class Function(NamedTuple):
    """A public function or method, and the classes that it is in, outermost first."""

    file: str
    classes: tuple[ast.ClassDef, ...]
    node: ast.FunctionDef

    @property
    def where(self) -> str:
        names = [each.name for each in (*self.classes, self.node)]
        return f"{self.file}:{self.node.lineno} {'.'.join(names)}"


def functions_below(node: ast.AST, file: str, classes: tuple[ast.ClassDef, ...] = ()) -> Iterator[Function]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef) and child.name.startswith("_"):
            continue
        if isinstance(child, ast.ClassDef):
            yield from functions_below(child, file, (*classes, child))
        elif isinstance(child, ast.FunctionDef):
            yield Function(file, classes, child)


@cache
def classes_by_name() -> dict[str, list[ast.ClassDef]]:
    found: dict[str, list[ast.ClassDef]] = {}
    for file in MODULES:
        for node in ast.walk(tree_of(file)):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(node)
    return found


def with_bases(name: str) -> Iterator[ast.ClassDef]:
    """The classes of this name, as a protocol and what keeps to it have, and those that they come from."""
    waiting, seen = [name], set[str]()
    while waiting:
        here = waiting.pop()
        for cls in [] if here in seen else classes_by_name().get(here, []):
            yield cls
            waiting += [ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in cls.bases]
        seen.add(here)


def words_of(function: Function) -> str:
    """Its docstring; of a method without one those of the methods that it stands for."""
    own = ast.get_docstring(function.node)
    if own or not function.classes:
        return own or ""
    others = [node for cls in with_bases(function.classes[-1].name) for node in cls.body]
    named = (each for each in others if isinstance(each, ast.FunctionDef) and each.name == function.node.name)
    return "\n".join(ast.get_docstring(each) or "" for each in named)


def bare_arrays(node: ast.FunctionDef) -> list[str]:
    """Parameters, and "return", whose annotations have an array without its shape."""
    every = node.args
    listed = [*every.posonlyargs, *every.args, *every.kwonlyargs, every.vararg, every.kwarg]
    annotations = {each.arg: each.annotation for each in listed if each} | {"return": node.returns}
    texts = {name: NAMED_SHAPE.sub("", ast.unparse(each)) for name, each in annotations.items() if each}
    return [name for name, text in texts.items() if ARRAY.search(text)]


@pytest.mark.parametrize("room", ROOMS)
def test_arrays_have_shapes(room):
    """In the annotation, or else in words."""
    found = [
        each
        for file in OF_ROOMS
        if file.startswith(f"{room}/")
        for each in functions_below(tree_of(file), file)
    ]
    assert found
    silent = [
        f"{each.where}: {', '.join(bare)}"
        for each in found
        if (bare := bare_arrays(each.node)) and not SHAPE_IN_WORDS.search(words_of(each))
    ]
    assert not silent


def test_shapes_are_text():
    """``Float[Array, ...]`` cannot be read: the function is then not checked, and nobody is told."""
    wrong = []
    for file in MODULES:
        nodes = list(ast.walk(tree_of(file)))
        imports = (node for node in nodes if isinstance(node, ast.ImportFrom) and node.module == "jaxtyping")
        kinds = {alias.name for node in imports for alias in node.names}
        for node in nodes:
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) in kinds:
                shape = node.slice.elts[-1] if isinstance(node.slice, ast.Tuple) else node.slice
                if not (isinstance(shape, ast.Constant) and isinstance(shape.value, str)):
                    wrong.append(f"{file}:{node.lineno} {ast.unparse(node)}")
    assert not wrong


@pytest.mark.parametrize("room", ROOMS)
def test_classes_and_functions_say_what_they_are(room):
    """Those at the top of a module; a method may leave it to its name, or to its base."""
    silent = [
        f"{file}:{node.lineno} {node.name}"
        for file in OF_ROOMS
        if file.startswith(f"{room}/")
        for node in tree_of(file).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
        and not (file.startswith("solvers/peers/drive_") and node.name in OF_THE_PROTOCOL)
    ]
    assert not silent


@pytest.mark.parametrize("name", [name for name in ptychosuite.__all__ if name.islower()])
def test_public_functions_have_sections(name):
    """Parameters where there are any, and Raises; or whose both are."""
    module, _, called = vars(ptychosuite)["_WHERE"][name].partition(":")
    nodes = tree_of(f"api/{module}.py").body
    (node,) = (each for each in nodes if isinstance(each, ast.FunctionDef) and each.name == called)
    text = ast.get_docstring(node) or ""
    told = OF_ANOTHER.search(text)
    assert told or not ast.unparse(node.args) or "Parameters\n----------\n" in text
    assert ("Raises\n------\n" in text or bool(told and told["errors"])) != (name in RAISES_NOTHING)
