"""Which code computes a run: the files that it depends on, and their fingerprint.

A run depends on the module that carries runs out, on the classes that its specification names, and on all
that these import, at the top of a file or inside a function. A fingerprint over these files changes when the
run's numbers might, and stays where a file is changed that has no part in them. Of plug-ins the sources
within their own package count, and their version; of peers, whose sources are not followed, the version.

Imports are read from the sources, nothing is imported for it. A name that is looked up in the registry is no
import, so the registry, which knows all of them, ties a run only to those that it names.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ptychosuite.core.runs import ID_LENGTH, RunSpec, by_identity, digest
from ptychosuite.core.stages import stages_of
from ptychosuite.errors import StudyError
from ptychosuite.registry.lookup import CLASS_PATH, GROUPS, class_of, classes, names, plugins
from ptychosuite.registry.other_python import python_of, version_there

PACKAGE = "ptychosuite"
CARRIES_OUT = f"{PACKAGE}.execute.one_run"
COMPILER_OF = {"numpy": "kernels", "torch-cuda": "triton"}  # of a backend's fused forms: backends.compiled
EVERY_RUN = frozenset(where.partition(":")[0] for where in GROUPS["metrics"].built_in.values())
"""Modules of the metrics that every run has."""

COMPUTES_NOTHING: Mapping[str, str] = {
    PACKAGE: "the version, and the names of the Python interface",
    f"{PACKAGE}.errors": "words for the user",
    f"{PACKAGE}.registry": "its docstring",
    f"{PACKAGE}.registry.lookup": "lists all names; the classes behind those that a run names count",
    f"{PACKAGE}.registry.validation": "refuses settings before there is a run",
    f"{PACKAGE}.registry.fingerprint": "names the code, and is none of it",
    **{
        f"{PACKAGE}.problems.measured.{module}": "writes measurements for other programs"
        for module in ("writing", "formats.ptyd_writer", "formats.ptychodus_writer")
    },
    f"{PACKAGE}.registry.other_python": "finds another Python; the versions there count",
    f"{PACKAGE}.problems.guard": "refuses files that crash or hang the HDF5 library",
    f"{PACKAGE}.problems.guard_child": "goes over such files in another process",
    f"{PACKAGE}.execute.provenance": "says where a run was computed and how much memory it took",
}
"""Modules that a run imports and that cannot change its numbers, with the reason; nor are their imports
followed."""

PARTS = {
    "object": "objects",
    "probe": "probes",
    "scan": "scans",
    "start_object": "objects",
    "start_probe": "probes",
    "start_positions": "scans",
}
"""Part of a problem -> the group that its kind is of."""


@dataclass(frozen=True)
class Code:
    """What computes a run."""

    files: Mapping[
        str, str
    ]  # path in ptychosuite, or "distribution/path" of a plug-in -> hash of the content
    packages: Mapping[str, str]  # distributions of plug-ins and peers -> version; "" where it is not here
    fingerprint: str


class Sources:
    """The source files of ptychosuite and of plug-ins, each read once, and what they make of a run's code.

    Parameters
    ----------
    read
        The content of a file.
    """

    def __init__(self, read: Callable[[Path], bytes] = Path.read_bytes) -> None:
        self._read = read
        self._contents: dict[Path, bytes] = {}
        self._codes: dict[tuple[Any, ...], Code] = {}

    def closure(self, modules: Iterable[str], compiler: str | None = None) -> frozenset[str]:
        """``modules`` and all that they import, within their own packages and ptychosuite.

        A package counts when one of its modules does. So do the fused forms of one compiler: beside a module
        ``X`` its ``X_kernels``, or ``X_triton``, in a package its ``kernels`` or ``triton``.
        """
        waiting = list(modules)
        followed = {PACKAGE, *(module.partition(".")[0] for module in waiting)}
        seen, found = set(COMPUTES_NOTHING), set()
        while waiting:
            module = waiting.pop()
            package, _, _ = module.rpartition(".")
            if module in seen or module.partition(".")[0] not in followed:
                continue
            seen.add(module)
            if package:  # of "module.attribute" it is the module
                waiting.append(package)
            file = _file(module)
            if file is not None:
                found.add(module)
                waiting += _imported(self._content(file), module, file.name == "__init__.py")
                waiting += [f"{module}_{compiler}", f"{module}.{compiler}"] if compiler else []
        return frozenset(found)

    def code(self, spec: RunSpec) -> Code:
        """What computes ``spec``; looked up once for all runs that name the same classes."""
        solvers = _solver_classes(spec.solver)
        found = (
            *solvers,
            _named("operators", spec.fast_forward),
            *_problem_classes(spec.problem),
            *(_named("metrics", {"name": name}) for name in spec.metrics),
        )
        compiler = COMPILER_OF.get(spec.backend)
        key = (found, compiler)
        if key not in self._codes:
            peers = [name for solver in solvers if solver for name in solver.packages]
            self._codes[key] = self._code([cls for cls in found if cls], peers, compiler)
        return self._codes[key]

    def _code(self, classes: Iterable[type[Any]], peers: Iterable[str], compiler: str | None) -> Code:
        own = {cls.__module__.partition(".")[0] for cls in classes}
        bases = {base.__module__ for cls in classes for base in cls.__mro__}
        roots = {module for module in bases if module.partition(".")[0] in own} | {CARRIES_OUT, *EVERY_RUN}
        files = {
            _name(module, file): _hash(self._content(file))
            for module in sorted(self.closure(roots, compiler))
            if (file := _file(module)) is not None
        }
        others = {module.partition(".")[0] for module in bases} - {PACKAGE} - sys.stdlib_module_names
        distributions = {*map(_distribution, others)} - {""}
        found = {name: _version(name) for name in distributions}
        found |= {name: _peer_version(name) for name in peers}
        packages = dict(sorted(found.items()))
        return Code(files, packages, digest({"files": files, "packages": packages}))

    def _content(self, file: Path) -> bytes:
        if file not in self._contents:
            self._contents[file] = self._read(file)
        return self._contents[file]

    def forget(self) -> None:
        """Read the files again."""
        self._contents.clear()
        self._codes.clear()
        for remembered in (_file, _places, _distribution):
            remembered.cache_clear()


SOURCES = Sources()


def code_of(spec: RunSpec) -> Code:
    """What computes ``spec``, in this process."""
    return SOURCES.code(spec)


def fingerprint_of(spec: RunSpec) -> str:
    """The fingerprint of what computes ``spec``, in this process."""
    return code_of(spec).fingerprint


def run_id_of(spec: RunSpec) -> str:
    """The id of ``spec`` carried out by the present code."""
    return spec.run_id(fingerprint_of(spec))


@cache
def package_fingerprint() -> str:
    """Hash over all sources of ptychosuite: it says which ptychosuite this is, not what a run depends on."""
    (folder,) = _places(PACKAGE)
    sources = sorted(folder.rglob("*.py"))
    return digest({file.relative_to(folder).as_posix(): _hash(file.read_bytes()) for file in sources})


def _named(group: str, settings: Mapping[str, Any] | None) -> type[Any] | None:
    """The class that ``settings`` name; None where they name none, or it is not to be had here."""
    name = (settings or {}).get(GROUPS[group].key) if group in GROUPS else None
    if name is None or (name not in names(group) and not CLASS_PATH.fullmatch(name)):
        return None
    try:
        return class_of(group, name)
    except StudyError:  # a run of it fails with this error
        return None


@by_identity
def _solver_classes(settings: Mapping[str, Any]) -> tuple[type[Any] | None, ...]:
    """The class of a solver, and those of its stages."""
    return tuple(_named("solvers", each) for each in (settings, *stages_of(settings)))


@by_identity
def _problem_classes(problem: Mapping[str, Any]) -> tuple[type[Any] | None, ...]:
    """The classes of a problem, its parts and its file's format; of all formats where the file decides."""
    kind = _named("problems", {"kind": "simulated", **problem})
    parts = [
        _named(group, settings)
        for part, group in PARTS.items()
        if isinstance(settings := problem.get(part), Mapping)  # a measured probe is the name of an array
    ]
    name = problem.get("format") if "formats" in GROUPS else None
    decided = (
        name == "auto"
        or any(isinstance(problem.get(part), Mapping) for part in (kind.in_files if kind else ()))
        or any(part.reads_formats for part in parts if part)
    )
    formats = classes("formats").values() if decided else (_named("formats", {"kind": name}),)
    return (kind, *parts, *formats)


@cache
def _imported(source: bytes, module: str, is_package: bool) -> tuple[str, ...]:
    """Dotted names that a module imports, but for those that only its annotations need."""
    try:
        return tuple(_imports_below(ast.parse(source), module.split("."), is_package))
    except (SyntaxError, ValueError):  # it cannot be imported either, or is compiled
        return ()


def _imports_below(node: ast.AST, module: list[str], is_package: bool) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            above = module[: len(module) + is_package - child.level] if child.level else []
            source = ".".join([*above, *([child.module] if child.module else [])])
            yield from (f"{source}.{alias.name}" for alias in child.names)
        elif isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            yield from _imports_below(ast.Module(child.orelse, []), module, is_package)
        elif isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield from _imports_below(child, module, is_package)


@cache
def _file(module: str) -> Path | None:
    """The file of a module, source or compiled; None where there is none."""
    top, *below = module.split(".")
    for place in _places(top):
        path = place.joinpath(*below)
        if below:
            candidates = [
                path / "__init__.py",
                *(Path(f"{path}{end}") for end in (".py", *EXTENSION_SUFFIXES)),
            ]
        else:
            candidates = [path / "__init__.py", path]
        found = next((file for file in candidates if file.is_file()), None)
        if found is not None:
            return found
    return None


@cache
def _places(top: str) -> tuple[Path, ...]:
    """Folders of a package, or the one file of a module that is in none."""
    if top == PACKAGE:
        return (Path(__file__).resolve().parents[1],)
    if top == "__main__" or (spec := find_spec(top)) is None:
        return ()
    if spec.submodule_search_locations is not None:
        return tuple(map(Path, spec.submodule_search_locations))
    return (Path(spec.origin),) if spec.origin else ()


def _name(module: str, file: Path) -> str:
    """What a file is called wherever it lies: by its module, below ptychosuite or the distribution."""
    top, *below = module.split(".")
    path = "/".join([*below, "__init__.py"] if file.name == "__init__.py" else [*below[:-1], file.name])
    if top == PACKAGE:
        return path
    inside = path if file in _places(top) else f"{top}/{path}"
    return "/".join(filter(None, (_distribution(top), inside)))


@cache
def _distribution(top: str) -> str:
    """The distribution that brings a package; empty where none does, as in the current folder."""
    entries = (entry for group in GROUPS for entry in plugins(group))
    brought = next((e.dist.name for e in entries if e.dist and re.split("[.:]", e.value)[0] == top), None)
    return brought or min(packages_distributions().get(top, [""]))


def _peer_version(distribution: str) -> str:
    """Version of a peer, in the environment in which it runs."""
    python = python_of(distribution)
    return _version(distribution) if python == sys.executable else version_there(python, distribution)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:ID_LENGTH]
