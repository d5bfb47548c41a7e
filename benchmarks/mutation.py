"""Whether the nightly study and the tests feel every term: the arithmetic is changed, one place at a time.

    python benchmarks/mutation.py [--files physics/forward.py ...] [--sample N] [--minutes M] [--no-tests]

A mutant differs from the code in one operator, factor, constant or conjugation inside a function. Each gets
a process of its own, forked from one that has loaded everything, in which the function's code is exchanged.
There the runs of the nightly study that come past the place are carried out, six iterations of each, up to
the first figure that ``check`` would not call good on this machine: the mutant is killed. One that no run
kills is left to the tests of its module. What survives both is listed in benchmarks/results/mutation.json;
what need not be killed has its reason in benchmarks/survivors.yaml. A mutant that is known there already is
not tried again.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import gc
import io
import json
import math
import os
import pickle
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import numpy as np
from ptychosuite.analysis.baseline import RunFigures, figures_of
from ptychosuite.analysis.quality import Compared, run_findings
from ptychosuite.analysis.verdict import Judgement
from ptychosuite.backends.arrays import backend
from ptychosuite.core.plan import FIRST_ITERATIONS, Plan
from ptychosuite.core.runs import RunSpec, digest
from ptychosuite.execute import one_run
from ptychosuite.execute.loop import reconstruct
from ptychosuite.problems.build import build_problem
from ptychosuite.registry.fingerprint import package_fingerprint
from ptychosuite.registry.lookup import build
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import load_study
from ruamel.yaml import YAML
from timing import RESULTS, write

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "suite/ptychosuite"
FILES = (
    "physics/forward.py", "physics/likelihood.py", "physics/likelihood_kernels.py", "physics/shift.py",
    "solvers/pie.py", "solvers/pie_kernels.py", "solvers/mpie.py", "solvers/magpie.py",
    "solvers/multigrid.py", "solvers/multigrid_kernels.py", "solvers/emagpie.py",
    "solvers/emagpie_kernels.py", "solvers/sweep.py",
    "solvers/lsqml.py", "solvers/variations.py", "solvers/probe_modes.py", "solvers/positions.py",
    "solvers/adam.py", "solvers/adam_kernels.py", "solvers/gradients.py", "solvers/lbfgs.py",
    "fastforward/pull.py", "fastforward/features.py", "problems/detector.py", "problems/exposure.py",
    "problems/recording.py",
)  # fmt: skip
TESTS: Mapping[str, Sequence[str]] = {
    "physics/forward.py": ("physics/test_forward.py", "physics/test_patches.py"),
    "physics/likelihood.py": (
        "physics/test_likelihood.py",
        "physics/test_likelihood_kernels.py",
        "problems/measured/test_measured_problem.py",
    ),
    "physics/likelihood_kernels.py": ("physics/test_likelihood_kernels.py", "physics/test_likelihood.py"),
    "physics/shift.py": ("physics/test_shift.py",),
    "solvers/pie.py": ("solvers/test_pie.py", "solvers/test_kernels.py"),
    "solvers/pie_kernels.py": ("solvers/test_kernels.py",),
    "solvers/mpie.py": ("solvers/test_pie.py",),
    "solvers/magpie.py": ("solvers/test_magpie.py",),
    "solvers/multigrid.py": ("solvers/test_magpie.py", "solvers/test_kernels.py"),
    "solvers/multigrid_kernels.py": ("solvers/test_kernels.py",),
    "solvers/emagpie.py": ("solvers/test_emagpie.py", "solvers/test_kernels.py"),
    "solvers/emagpie_kernels.py": ("solvers/test_kernels.py",),
    "solvers/sweep.py": ("solvers/test_sweep.py", "solvers/test_shapes.py"),
    "solvers/lsqml.py": ("solvers/test_lsqml.py",),
    "solvers/variations.py": ("solvers/test_variations.py",),
    "solvers/probe_modes.py": ("solvers/test_probe_modes.py", "solvers/test_modes_and_positions.py"),
    "solvers/positions.py": ("solvers/test_positions.py", "solvers/test_modes_and_positions.py"),
    "solvers/adam.py": ("solvers/test_adam.py",),
    "solvers/adam_kernels.py": ("solvers/test_adam.py", "solvers/test_kernels.py"),
    "solvers/gradients.py": ("solvers/test_gradients.py",),
    "solvers/lbfgs.py": ("solvers/test_lbfgs.py",),
    "fastforward/pull.py": ("fastforward/test_features.py",),
    "fastforward/features.py": ("fastforward/test_features.py",),
    "problems/detector.py": ("problems/test_beam_and_detector.py",),
    "problems/exposure.py": ("problems/test_beam_and_detector.py", "problems/test_coherence.py"),
    "problems/recording.py": ("problems/test_beam_and_detector.py", "problems/test_synthetic.py"),
}
BEGINNING = 2  # iterations, which tell most
TELLING = ("residual", "error", "poisson_nll")
AT_ONCE = 4  # runs whose beginnings are tried before any is carried further
SHORT = 6  # iterations: solvers begin to correct positions and variations at the fifth
SECONDS = 60  # of the processor that a mutant may take before it counts as killed: it goes on for ever
SEES_NOTHING = ("axis", "axes", "keepdims", "dtype", "minlength", "maxsize")
OTHER: Mapping[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.MatMult: ast.Mult,
    ast.Lt: ast.GtE, ast.LtE: ast.Gt, ast.Gt: ast.LtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip
SWAPPED = {
    "maximum": "minimum",
    "minimum": "maximum",
    "max": "min",
    "min": "max",
    "real": "imag",
    "imag": "real",
}


# What is changed


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    file: str
    line: int
    function: str  # the outermost one, as its code object calls itself
    before: str
    after: str
    occurrence: int  # of such a change in the function, from 0

    @property
    def key(self) -> str:
        """Says which it is after lines have moved."""
        again = f" ({self.occurrence + 1})" if self.occurrence else ""
        return f"{self.file}:{self.function}: {self.before} -> {self.after}{again}"


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of ``node``."""
    if isinstance(node, ast.BinOp) and type(node.op) in OTHER:
        yield ast.BinOp(node.left, OTHER[type(node.op)](), node.right)
        yield node.left
        if isinstance(node.op, ast.Mult | ast.Add):
            yield node.right
    elif isinstance(node, ast.AugAssign) and type(node.op) in OTHER:
        yield ast.AugAssign(node.target, OTHER[type(node.op)](), node.value)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in OTHER:
        yield ast.Compare(node.left, [OTHER[type(node.ops[0])]()], node.comparators)
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield ast.Constant(node.value + 1 if isinstance(node.value, int) else 1.1 * node.value + 0.01)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr == "conj":
            yield node.args[0] if node.args else node.func.value
        if node.func.attr in SWAPPED:
            yield ast.Call(_renamed(node.func), node.args, node.keywords)
    elif isinstance(node, ast.Attribute) and node.attr in ("real", "imag") and isinstance(node.ctx, ast.Load):
        yield _renamed(node)


def _renamed(node: ast.Attribute) -> ast.Attribute:
    return ast.Attribute(node.value, SWAPPED[node.attr], node.ctx)


def mutants(file: str, tree: ast.Module) -> Iterator[tuple[Mutant, Callable[[], ast.Module]]]:
    """Every change of ``file``, and what makes the changed tree."""
    seen: Counter[tuple[str, ...]] = Counter()
    for name, function in _functions(tree):
        for parent, field, index, node in _places(function):
            for new in changes(node):
                said = (name, ast.unparse(node), ast.unparse(new))
                mutant = Mutant(file, getattr(node, "lineno", 0), *said, seen[said])
                yield mutant, lambda place=(parent, field, index), new=new: _changed(tree, place, new)
                seen[said] += 1


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from (
                (f"{node.name}.{each.name}", each) for each in node.body if isinstance(each, ast.FunctionDef)
            )


def _places(function: ast.FunctionDef) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Every node of the body with where it hangs, without what is for types and shapes alone."""
    waiting: list[ast.AST] = list(function.body)
    for i, statement in enumerate(function.body):
        yield function, "body", i, statement
    while waiting:
        parent = waiting.pop()
        if isinstance(parent, ast.Call) and ast.unparse(parent.func).endswith("_like"):
            continue  # its arguments say of what shape and precision
        for field, value in ast.iter_fields(parent):
            if field in ("annotation", "returns", "decorator_list", "args") and not isinstance(
                parent, ast.Call
            ):
                continue
            for i, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if not isinstance(node, ast.AST) or (
                    isinstance(node, ast.keyword) and node.arg in SEES_NOTHING
                ):
                    continue
                yield parent, field, i, node
                waiting.append(node)


def _changed(tree: ast.Module, place: tuple[ast.AST, str, int | None], new: ast.AST) -> ast.Module:
    parent, field, index = place
    memo: dict[int, Any] = {}
    result = copy.deepcopy(tree, memo)
    twin = memo[id(parent)]
    new = copy.deepcopy(new)
    if index is None:
        setattr(twin, field, new)
    else:
        getattr(twin, field)[index] = new
    return ast.fix_missing_locations(result)


# How it gets into a process


def exchange(mutant: Mutant, tree: ast.Module) -> bool:
    """Give the living function the changed code; False where there is none of it in this process."""
    path = str(PACKAGE / mutant.file)
    code = next(_named(compile(tree, path, "exec"), mutant.function), None)
    living = [each for each in living_functions(path) if each.__code__.co_qualname == mutant.function]
    if code is None or not living:
        return False
    for function in living:
        if len(function.__code__.co_freevars) != len(code.co_freevars):
            return False
        function.__code__ = code
    _compile_anew(mutant.file)
    return True


@cache
def living_functions(path: str) -> list[FunctionType]:
    """The functions of a source file that are in this process."""
    everything = gc.get_objects()
    return [
        each for each in everything if isinstance(each, FunctionType) and each.__code__.co_filename == path
    ]


def _named(code: CodeType, name: str) -> Iterator[CodeType]:
    for each in code.co_consts:
        if isinstance(each, CodeType):
            if each.co_qualname == name:
                yield each
            yield from _named(each, name)


def _compile_anew(file: str) -> None:
    """Let Numba forget what it has compiled of ``file``, and keep nothing of the mutant."""
    if not file.endswith("_kernels.py"):
        return
    from numba.core.caching import NullCache

    module = sys.modules[f"ptychosuite.{file[:-3].replace('/', '.')}"]
    compiled = [each for each in vars(module).values() if hasattr(each, "py_func")]
    for dispatcher in compiled:
        dispatcher._cache = NullCache()
    for dispatcher in compiled:
        dispatcher.recompile()


# Who kills it


@dataclass(frozen=True)
class Watched:
    """A run of the study, cut short, its figures by the code as it is, and the lines that it comes past."""

    spec: RunSpec
    beginning: Mapping[str, np.ndarray]  # the curves of the first iterations
    figures: RunFigures
    lines: frozenset[tuple[str, int]]
    seconds: float


def carried_out(spec: RunSpec) -> RunFigures:
    one_run._cached_problem.cache_clear()
    record, _ = one_run.execute(spec)
    return figures_of(record, str(spec.solver["name"]))


def beginning(spec: RunSpec) -> Mapping[str, np.ndarray]:
    """The curves of the first iterations, without what is computed at the end."""
    chosen = backend(spec.backend)
    with np.errstate(all="ignore"):
        problem, solver = build_problem(spec, chosen), build("solvers", spec.solver)
        stop = {**spec.stop, "iterations": BEGINNING}
        curves = reconstruct(problem, solver, stop, spec.rng("order"), chosen).curves
    return {name: curves[name] for name in TELLING if name in curves}


def watched(plan: Plan, files: Sequence[str]) -> list[Watched]:
    """The runs of ``plan``, the quickest first; kept beside other temporary files until the code changes."""
    key = digest(
        [package_fingerprint(), [spec.spec_id for spec in plan.runs], sorted(files), SHORT, BEGINNING]
    )
    file = Path(tempfile.gettempdir()) / f"ptychosuite-mutation-{os.getuid()}-{key}.pickle"
    if not file.is_file():
        found = [watch(spec, files) for spec in plan.runs]
        file.write_bytes(pickle.dumps(sorted(found, key=lambda run: run.seconds)))
    runs: list[Watched] = pickle.loads(file.read_bytes())
    for run in (min(same, key=lambda run: run.seconds) for same in _alike(runs)):
        carried_out(run.spec)  # so that every library is loaded before there are children
    return runs


def watch(spec: RunSpec, files: Sequence[str]) -> Watched:
    """A run whose fast-forward judges itself later than ``SHORT`` is left as long as it is."""
    stop = dict(spec.stop) if spec.fast_forward else {**spec.stop, "iterations": SHORT}
    short, begin, lines = replace(spec, stop=stop), time.process_time(), set[tuple[str, int]]()
    with traced(lines, files):
        figures = carried_out(short)
    return Watched(short, beginning(spec), figures, frozenset(lines), time.process_time() - begin)


def _alike(runs: Sequence[Watched]) -> list[list[Watched]]:
    found: dict[tuple[Any, ...], list[Watched]] = defaultdict(list)
    for run in runs:
        found[run.spec.solver["name"], run.spec.backend, run.spec.dtype].append(run)
    return list(found.values())


@contextlib.contextmanager
def traced(lines: set[tuple[str, int]], files: Sequence[str]) -> Iterator[None]:
    """Note which lines of ``files`` are carried out."""
    wanted = {str(PACKAGE / file): file for file in files}

    def inside(frame: Any, event: str, _: Any) -> Any:
        lines.add((wanted[frame.f_code.co_filename], frame.f_lineno))
        return inside

    def entered(frame: Any, event: str, _: Any) -> Any:
        return inside(frame, event, _) if frame.f_code.co_filename in wanted else None

    sys.settrace(entered)
    try:
        yield
    finally:
        sys.settrace(None)


def killed_by_a_run(runs: Sequence[Watched], plan: Plan) -> str:
    """Which run tells the mutant, and by which figure; empty if none does."""
    for run in runs[:AT_ONCE]:
        tolerance = plan.tolerances.of(FIRST_ITERATIONS, run.spec.dtype) or math.inf
        for name, now in beginning(run.spec).items():
            before = run.beginning[name]
            if now.shape != before.shape or not np.allclose(
                now, before, rtol=tolerance, atol=0, equal_nan=True
            ):
                return f"{run.spec.spec_id} {run.figures.label} {name}"
    for run in runs:
        findings = run_findings(Compared(run.figures, carried_out(run.spec), run.spec, True, plan.tolerances))
        told = [
            f for f in findings if f.judgement is not Judgement.GOOD and not f.quantity.startswith("peak")
        ]
        if told:
            return f"{run.spec.spec_id} {told[0].subject} {told[0].quantity}"
    return ""


def killed_by_a_test(mutant: Mutant) -> str:
    import pytest

    files = [str(ROOT / "tests" / name) for name in TESTS.get(mutant.file, ())]
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = pytest.main(["-x", "-q", "--no-header", "--assert=plain", "-p", "no:cacheprovider", *files])
    failed = [line for line in out.getvalue().splitlines() if line.startswith(("FAILED", "ERROR"))]
    return (failed[0][:160] if failed else f"pytest left with {code}") if code else ""


def in_a_child(tell: Callable[[], str], seconds: float) -> str:
    """What ``tell`` returns in a forked process; one that dies or takes too long says so itself."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        with open(os.devnull, "w") as nothing:
            os.dup2(nothing.fileno(), 2)
        try:
            signal.setitimer(signal.ITIMER_PROF, seconds)
            text = tell()
        except BaseException as error:
            text = f"{type(error).__name__}: {str(error)[:100]}"
        os.write(writing, text.encode()[:4000])
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    return said if os.WIFEXITED(status) else f"signal {os.WTERMSIG(status)}"


def tried(
    mutant: Mutant, tree: ast.Module, runs: Sequence[Watched], plan: Plan, tests: bool
) -> dict[str, Any]:
    """What became of a mutant."""

    def by(judge: Callable[[], str]) -> str:
        return judge() if exchange(mutant, tree) else "NOT THERE"

    passing = [
        run for run in runs if (mutant.file, mutant.line) in run.lines or mutant.file.endswith("_kernels.py")
    ]
    found = {**asdict(mutant), "runs": len(passing), "nightly": "", "tests": ""}
    if passing:
        found["nightly"] = in_a_child(lambda: by(lambda: killed_by_a_run(passing, plan)), SECONDS)
    if not found["nightly"] and tests:
        found["tests"] = in_a_child(lambda: by(lambda: killed_by_a_test(mutant)), 2 * SECONDS)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", nargs="+", default=list(FILES))
    parser.add_argument("--sample", type=int, help="so many mutants of each file, drawn by chance")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--no-tests", action="store_true", help="leave what the nightly does not kill")
    parser.add_argument("--again", action="store_true", help="try survivors again")
    parser.add_argument("--study", type=Path, default=ROOT / "studies/nightly.yaml")
    parser.add_argument("--name", default="mutation", help="of the file in benchmarks/results")
    options = parser.parse_args()
    file = RESULTS / f"{options.name}.json"
    known: dict[str, Any] = json.loads(file.read_text())["mutants"] if file.is_file() else {}
    if options.again:
        known = {key: each for key, each in known.items() if each["nightly"] or each["tests"]}
    plan, end = make_plan(load_study(options.study, [])), time.monotonic() + 60 * options.minutes
    runs = watched(plan, FILES)
    print(f"{len(runs)} runs, {sum(run.seconds for run in runs):.0f} s", flush=True)
    for name in options.files:
        living_functions(str(PACKAGE / name))
        tree = ast.parse((PACKAGE / name).read_text(encoding="utf-8"))
        all_of = list(mutants(name, tree))
        if options.sample is not None and options.sample < len(all_of):
            all_of = random.Random(0).sample(all_of, options.sample)
        kills: Counter[str] = Counter()
        for mutant, change in all_of:
            if mutant.key in known or time.monotonic() > end:
                continue
            ordered = sorted(runs, key=lambda run: (-kills[run.spec.spec_id], run.seconds))
            found = tried(mutant, change(), ordered, plan, not options.no_tests)
            known[mutant.key] = found
            kills[found["nightly"].split(" ")[0]] += 1
            if not found["nightly"]:
                end_of_it = found["tests"] or "SURVIVES"
                print(f"{found['runs']} runs: {mutant.key} | {end_of_it}", flush=True)
        kept(options.name, known)
        print(name, *summary([each for each in known.values() if each["file"] == name]).items(), flush=True)
    print(kept(options.name, known))


def summary(found: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {
        "mutants": len(found),
        "nightly": sum(bool(each["nightly"]) for each in found),
        "tests": sum(bool(each["tests"]) and not each["nightly"] for each in found),
        "survive": sum(not each["nightly"] and not each["tests"] for each in found),
    }


def kept(name: str, known: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write what is known, with the reasons for what survives."""
    place = Path(__file__).with_name("survivors.yaml")
    reasons = YAML(typ="safe").load(place) if place.is_file() else {}
    of: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for each in known.values():
        of[each["file"]].append(each)
    alive = [key for key, each in known.items() if not each["nightly"] and not each["tests"]]
    survivors = {key: (reasons or {}).get(key, "") for key in alive}
    files = {file: summary(found) for file, found in sorted(of.items())}
    return write(name, {"files": files, "survivors": survivors, "mutants": known})


if __name__ == "__main__":
    main()
