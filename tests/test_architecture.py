"""docs/architecture.md is true: its rooms, nouns, files, functions and walks are those of the code."""

from __future__ import annotations

import ast
import re
import sys
from types import FrameType
from typing import Any, NamedTuple

import ptychosuite
import pytest
from ptychosuite.backends.arrays import backend
from ptychosuite.cli import COMMANDS
from ptychosuite.core.runs import RunSpec
from ptychosuite.problems.build import build_problem
from ptychosuite.registry.lookup import GROUPS
from ptychosuite.solvers.pie import RPIE

from tests.conftest import REPOSITORY
from tests.test_imports import ALLOWED, MODULES, PACKAGE, imported_modules, tree_of

PAGE = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^##+ (.*)\n((?:(?!##).*\n)*)", PAGE, re.MULTILINE))
MENTION = re.compile(r"`([\w/]+\.py)(?:: ([\w., ]+))?`")
STEP_OF_A_WALK = re.compile(r"^(\d+)\. `([\w/]+\.py): ([\w., ]+)`: .*\.$", re.MULTILINE)


class Step(NamedTuple):
    """One line of a walk: a file, and what is called in it."""

    number: str
    file: str
    names: str


WALKS = {
    title: [Step(*found) for found in STEP_OF_A_WALK.findall(text)]
    for title, text in SECTIONS.items()
    if text.lstrip().startswith("1. `") or "\n1. `" in text
}
OF_DATA = "A metric, from its class to the figure"
ONE_STEP = "The problem, through one step of rPIE, to the next state"


def path_of(module: str) -> str:
    path = module.removeprefix("ptychosuite.").replace(".", "/")
    return f"{path}.py" if f"{path}.py" in MODULES else f"{path}/__init__.py"


def found_by_name() -> set[str]:
    """Files that a table of names leads to: of commands, of public functions, of the registry."""
    modules = [f"commands.{listed.module}" for listed in COMMANDS.values()]
    modules += [f"api.{where.partition(':')[0]}" for where in vars(ptychosuite)["_WHERE"].values()]
    modules += [where.partition(":")[0] for group in GROUPS.values() for where in group.built_in.values()]
    files = set(map(path_of, modules))
    return files.union(*(imported_modules(file) for file in files if file.endswith("__init__.py")))


def defined(body: list[ast.stmt], prefix: str = "") -> set[str]:
    """Names that a module binds at its top, and those in its classes: "function", "Class", "Class.method"."""
    found = set()
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(prefix + node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {prefix + target.id for target in targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.ClassDef):
            found |= defined(node.body, f"{prefix}{node.name}.")
    return found


@pytest.mark.parametrize(("file", "names"), sorted(set(MENTION.findall(PAGE))))
def test_what_is_named_exists(file, names):
    if file.startswith("tests/"):
        assert (REPOSITORY / file).is_file()
        return
    assert file in MODULES
    missing = set(filter(None, names.split(", "))) - defined(tree_of(file).body)
    assert not missing, f"{file} has no {missing}"


def test_every_room_is_named():
    """In the order in which they import each other; ``ptychosuite`` itself holds names alone."""
    rooms = re.findall(r"^\| `(\w+)` \|", SECTIONS["Rooms"], re.MULTILINE)
    assert rooms == [room for room in ALLOWED if room != "__init__"]


def test_every_noun_is_named():
    rows = re.findall(r"^\| (\w+) \| `(.*?): (\w+)` \| (.*?) \| `(.*?)` \| `(.*?)` \|$", PAGE, re.MULTILINE)
    named = {entry: (noun, file, base, brings) for noun, file, base, brings, entry, _ in rows}
    groups = {}
    for name, group in GROUPS.items():
        module, _, base = group.base.partition(":")
        brings = ", ".join(f"`{attribute}`" for attribute in group.required)
        groups[f"ptychosuite.{name}"] = (group.singular, path_of(module), base, brings)
    assert named == groups
    assert all((PACKAGE / folder).is_dir() for *_, folder in rows)


def test_there_are_walks():
    """Numbered without a gap, each line a file, what is called in it, and a sentence."""
    assert len(WALKS) == 5
    for title, steps in WALKS.items():
        assert [step.number for step in steps] == [str(n) for n in range(1, len(steps) + 1)], title
        assert len(steps) == len(re.findall(r"^\d+\. ", SECTIONS[title], re.MULTILINE)), title


@pytest.mark.parametrize("title", WALKS)
def test_no_walk_comes_back(title):
    """A file stands in a walk once. That none imports one before it follows: there are no import circles."""
    files = [step.file for step in WALKS[title]]
    assert len(files) == len(set(files))


@pytest.mark.parametrize("title", [title for title in WALKS if title != OF_DATA])
def test_calls_follow_imports(title):
    """Each file of a walk is imported by one before it, or found by its name."""
    first, *rest = (step.file for step in WALKS[title])
    reached = found_by_name() | imported_modules(first)
    for file in rest:
        assert file in reached, f"{file} is imported by none before it"
        reached |= imported_modules(file)


def test_data_follow_the_rooms():
    """A metric's values go from room to room in the order of the table, and never back."""
    rooms = list(ALLOWED)
    ranks = [rooms.index(step.file.split("/")[0]) for step in WALKS[OF_DATA]]
    assert ranks == sorted(ranks)


def test_one_step_goes_through_five_files():
    """Those of the walk, beside the array library and the compiled forms, and none else."""
    settings: dict[str, Any] = {
        "object": {"kind": "texture", "size": 32},
        "probe": {"kind": "gaussian", "size": 16, "fwhm_px": 6},
        "scan": {"kind": "raster"},
    }
    problem = build_problem(RunSpec(problem=settings, solver={}, stop={}), backend("numpy"))
    solver, spec = RPIE(), RunSpec(problem=settings, solver={}, stop={})
    state = solver.step(problem, solver.init(problem), spec.rng("order"))  # compiles
    rng, called = spec.rng("order"), set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        called.add(frame.f_code.co_filename)

    sys.setprofile(note)
    try:
        solver.step(problem, state, rng)
    finally:
        sys.setprofile(None)
    ours = {file.removeprefix(f"{PACKAGE}/") for file in called if file.startswith(f"{PACKAGE}/")}
    plain = {file for file in ours if not file.startswith("backends/") and not file.endswith("_kernels.py")}
    _, *walk = WALKS[ONE_STEP]
    assert plain - {"core/problem.py"} == {step.file for step in walk}  # the contract: what a problem is
    assert len(walk) <= 5
