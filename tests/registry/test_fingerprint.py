"""What a run's code is: which change of which file makes which runs to do."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import pytest
from ptychosuite.backends.arrays import BACKENDS
from ptychosuite.backends.compiled import NUMBA, TRITON
from ptychosuite.core.runs import RunSpec
from ptychosuite.registry import fingerprint
from ptychosuite.registry.fingerprint import (
    COMPILER_OF,
    COMPUTES_NOTHING,
    SOURCES,
    Sources,
    code_of,
    run_id_of,
)
from ptychosuite.registry.lookup import forget
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import load_study

from tests.study.test_measured_study import write_star

PACKAGE = Path(fingerprint.__file__).parents[1]
FILES = sorted(file.relative_to(PACKAGE).as_posix() for file in PACKAGE.rglob("*.py"))
NOT_OF_A_RUN = ("study", "store", "cluster", "analysis", "report", "reporting", "testing", "timing", "api",
                 "commands")  # fmt: skip
"""Rooms of which no file is part of a run."""
HEAD = """\
study: code
problem:
  object: {kind: texture, size: 32}
  probe: {kind: gaussian, size: 16, fwhm_px: 6}
stop: {iterations: 2}
"""
EXAMPLES = {
    "rpie": "solver: rpie",
    "magpie": "solver: {name: magpie, levels: 2}",
    "torch": "solver: lbfgs\nbackend: torch",
    "network": "solver: emagpie\nfast_forward: {kind: network, warm_up: 1, jumps: 1, look_ahead: 1}\n"
    "problem: {object: {kind: texture, size: 48}, probe: {kind: gaussian, size: 32, fwhm_px: 9},\n"
    "  start_probe: {kind: disk, size: 32}}",
    "measured": "solver: rpie\nproblem: {kind: file, path: star.npz}",
}


@pytest.fixture(scope="module")
def specs(tmp_path_factory) -> dict[str, RunSpec]:
    """One run of each example, planned from a study."""
    folder = tmp_path_factory.mktemp("examples")
    write_star(folder / "star.npz")
    made = {}
    for name, text in EXAMPLES.items():
        head = HEAD if "problem:" not in text else HEAD.splitlines()[0] + "\nstop: {iterations: 4}\n"
        (folder / f"{name}.yaml").write_text(head + text)
        (made[name],) = make_plan(load_study(folder / f"{name}.yaml")).runs
    return made


def changed_by(specs: dict[str, RunSpec], file: str) -> set[str]:
    """The examples to whose run ids a comment in ``file`` makes a difference."""

    def read(path: Path) -> bytes:
        return path.read_bytes() + (b"# a comment\n" if path == PACKAGE / file else b"")

    sources = Sources(read)
    return {
        name for name, spec in specs.items() if spec.run_id(sources.code(spec).fingerprint) != run_id_of(spec)
    }


@pytest.mark.parametrize("file", FILES)
def test_comment_in_any_file(specs, file):
    """It makes those runs to do that depend on the file, and no other."""
    found = changed_by(specs, file)
    assert found == {name for name, spec in specs.items() if file in code_of(spec).files}
    module = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    if file.split("/")[0] in NOT_OF_A_RUN or module in COMPUTES_NOTHING or "/" not in file:
        assert not found


@pytest.mark.parametrize(("file", "expected"), [
    ("execute/loop.py", set(EXAMPLES)),
    ("solvers/pie.py", {"rpie", "magpie", "measured", "network"}),
    ("solvers/multigrid.py", {"magpie", "network"}),  # eMAGPIE is built on it as well
    ("solvers/lbfgs.py", {"torch"}),
    ("fastforward/unet.py", {"network"}),
    ("problems/measured/formats/cxi.py", {"measured"}),
    ("problems/objects.py", set(EXAMPLES) - {"measured"}),
    ("fastforward/train.py", set()),
    ("registry/lookup.py", set()),
    ("core/plan.py", set()),
    ("reporting/figures/heatmap.py", set()),
])  # fmt: skip
def test_files_of_which_it_is_known(specs, file, expected):
    """What the closures are is said here once more, by hand."""
    assert changed_by(specs, file) == expected


def test_a_file_to_start_from_is_read_by_any_format(tmp_path):
    """As that of a measurement whose format is not named."""
    write_star(tmp_path / "star.npz")
    start = "  start_probe: {kind: file, path: star.npz, key: probe}\nstop:"
    (tmp_path / "a.yaml").write_text(HEAD.replace("stop:", start) + "solver: rpie\n")
    (spec,) = make_plan(load_study(tmp_path / "a.yaml")).runs
    files = code_of(spec).files
    assert {f"problems/measured/formats/{name}.py" for name in ("cxi", "ptychodus", "ptyr")} <= files.keys()


@pytest.mark.parametrize(("backend", "compiler"), [("numpy", NUMBA), ("torch-cuda", TRITON)])
def test_fused_forms_belong_to_the_runs_that_call_them(specs, backend, compiler):
    """Those of Numba to runs on NumPy arrays, those of Triton to runs of torch on a GPU."""
    assert COMPILER_OF[backend] == compiler
    fused = {file for file in FILES if file.endswith(f"_{compiler}.py")}
    assert fused
    for name in BACKENDS:
        files = set(code_of(replace(specs["rpie"], backend=name)).files)
        assert bool(fused & files) == (name == backend)


def test_a_new_file_changes_nothing(specs, tmp_path, monkeypatch):
    """A solver that is added makes no stored run to do."""
    before = {name: run_id_of(spec) for name, spec in specs.items()}
    (tmp_path / "ptychosuite").symlink_to(PACKAGE)  # the same files elsewhere: the ids say nothing of where
    monkeypatch.setattr(fingerprint, "_places", lambda top: (tmp_path / "ptychosuite",))
    assert {name: spec.run_id(Sources().code(spec).fingerprint) for name, spec in specs.items()} == before


@pytest.mark.parametrize("module", COMPUTES_NOTHING)
def test_what_is_left_out_is_there(module):
    """No name on the list is a left-over."""
    path = PACKAGE.parent / module.replace(".", "/")
    assert path.with_suffix(".py").exists() or (path / "__init__.py").exists()


@pytest.mark.parametrize("name", ["rpie", "measured"])
def test_nothing_is_computed_by_other_files(specs, name):
    """What a process imports that carries out a run is part of the run's code: no import is overlooked."""
    program = """
        import json, sys
        from ptychosuite.core.runs import RunSpec
        from ptychosuite.execute.one_run import execute
        record, _ = execute(RunSpec.from_dict(json.loads(sys.argv[1])))
        assert record.status == "completed", record.message
        print(json.dumps([name for name in sys.modules if name.startswith("ptychosuite")]))
    """
    spec = json.dumps(specs[name].to_dict())
    done = subprocess.run([sys.executable, "-c", dedent(program), spec], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout)) - set(COMPUTES_NOTHING)
    files = {f"ptychosuite/{file}".removesuffix(".py") for file in code_of(specs[name]).files}
    assert loaded <= {file.removesuffix("/__init__").replace("/", ".") for file in files}


# Imports


def closure_of(folder: Path, monkeypatch, **files: str) -> set[str]:
    """The closure of ``toys.solver`` in a package of ``files``, without what is ours."""
    (folder / "toys").mkdir()
    for name, text in {"__init__": "", **files}.items():
        (folder / f"toys/{name}.py").write_text(dedent(text))
    monkeypatch.syspath_prepend(str(folder))
    SOURCES.forget()
    return {name.partition(".")[2] for name in Sources().closure(["toys.solver"]) if name.startswith("toys.")}


@pytest.mark.parametrize(("text", "expected"), [
    ("import toys.a", {"a"}),
    ("from toys import a", {"a"}),
    ("from toys.a import f", {"a"}),
    ("from . import a", {"a"}),
    ("from .a import f", {"a"}),
    ("from .a import *", {"a"}),
    ("def f():\n    from toys import a", {"a"}),
    ("try:\n    import toys.a\nexcept ImportError:\n    import toys.b", {"a", "b"}),
    ("if TYPE_CHECKING:\n    import toys.a\nelse:\n    import toys.b", {"b"}),
    ("if t.TYPE_CHECKING:\n    import toys.a", set()),
    ('"""Words: import toys.a"""', set()),
    ("from toys import c", {"c", "b"}),
    ("import numpy, toys_of_others", set()),
])  # fmt: skip
def test_imports(tmp_path, monkeypatch, text, expected):
    """Of every form that Python has; those that serve annotations alone do not count."""
    found = closure_of(tmp_path, monkeypatch, solver=text, a="", b="", c="from toys import b", d="")
    assert found == expected | {"solver"}


# Plug-ins

STEP = """
from dataclasses import dataclass
from ptychosuite.solvers.solver import SweepState
from toys.rule import GAIN

@dataclass(frozen=True)
class Toy:
    gain: float = 1.0

    def init(self, problem):
        return SweepState(problem.start_object, problem.probe)

    def step(self, problem, state, rng):
        return SweepState(state.object * GAIN, state.probe, state.data_passes + 1)
"""


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """An installed package with a solver; called with a file's name and text, that is changed in it."""
    (tmp_path / "toys").mkdir()
    info = tmp_path / "toy_solvers-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[ptychosuite.solvers]\ntoy = toys.solver:Toy\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(version: str = "1.0", **files: str) -> None:
        metadata = f"Metadata-Version: 2.1\nName: toy-solvers\nVersion: {version}\n"
        (info / "METADATA").write_text(metadata)
        for name, text in files.items():
            (tmp_path / f"toys/{name}.py").write_text(text)
        for name in [name for name in sys.modules if name.partition(".")[0] in ("toys", "lone")]:
            del sys.modules[name]
        forget()
        SOURCES.forget()

    write(__init__="", solver=STEP, rule="GAIN = 1.0\n", other="")
    yield write
    monkeypatch.undo()
    write()


@pytest.mark.parametrize("solver", ["toy", "toys.solver:Toy"])
def test_plugin(specs, toys, solver):
    """Its sources and its version are part of a run's code, and what it does not import is not."""
    spec = replace(specs["rpie"], solver={"name": solver, "gain": 1.0})
    before, other = code_of(spec), code_of(specs["rpie"]).fingerprint
    assert before.packages == {"toy-solvers": "1.0"}
    assert {name for name in before.files if name.startswith("toy-")} == {
        "toy-solvers/toys/__init__.py", "toy-solvers/toys/rule.py", "toy-solvers/toys/solver.py",
    }  # fmt: skip
    assert "solvers/pie.py" not in before.files
    seen = {before.fingerprint}
    toys(other="# nobody imports this\n")
    assert code_of(spec).fingerprint in seen
    for change in (
        {"rule": "GAIN = 0.9\n"},
        {"solver": STEP.replace("* GAIN", "* GAIN * 1")},
        {"version": "1.1"},
    ):
        toys(**change)
        assert code_of(spec).fingerprint not in seen
        seen.add(code_of(spec).fingerprint)
    assert code_of(specs["rpie"]).fingerprint == other


def test_module_in_a_folder(specs, toys, tmp_path):
    """A solver in a file of its own, which no distribution brings."""
    spec = replace(specs["rpie"], solver={"name": "lone:Toy", "gain": 1.0})
    (tmp_path / "lone.py").write_text(STEP.replace("from toys.rule import GAIN", "GAIN = 1.0"))
    before = code_of(spec)
    assert before.packages == {}
    assert "lone.py" in before.files
    (tmp_path / "lone.py").write_text(STEP.replace("from toys.rule import GAIN", "GAIN = 2.0"))
    toys()
    assert code_of(spec).fingerprint != before.fingerprint


def test_peer(specs, monkeypatch):
    """A solver of another package is computed by that package, in its version."""
    spec = replace(specs["rpie"], solver={"name": "ptychi"})
    SOURCES.forget()
    monkeypatch.setattr(fingerprint, "version", lambda name: "1.0")
    before = code_of(spec)
    assert before.packages == {"ptychi": "1.0"}
    SOURCES.forget()
    monkeypatch.setattr(fingerprint, "version", lambda name: "1.1")
    assert code_of(spec).fingerprint != before.fingerprint
    SOURCES.forget()


def test_name_that_is_not_here(specs):
    """A run of what cannot be loaded has an id all the same: under it, it is recorded as failed."""
    assert run_id_of(replace(specs["rpie"], solver={"name": "no-such"}))
    assert run_id_of(replace(specs["rpie"], solver={"name": "no.such:Solver"}))


def test_many_runs_are_quick(specs):
    """Runs that name the same classes share their code."""
    codes = {id(code_of(replace(specs["rpie"], seed=seed))) for seed in range(100)}
    assert len(codes) == 1


# From the command line


def test_changed_plugin_is_to_do_and_said_why(toys, tmp_path, command):
    """Run, change the step, plan: to do, and --why names the file; run again, plan: done."""
    study = tmp_path / "study.yaml"
    study.write_text(f"{HEAD}axes: {{solver: [rpie, toy]}}\n")

    def why() -> set[str]:
        code, out, _ = command("plan", study, "--why", "--json")
        assert code == 0
        return {run["why"] for run in json.loads(out)["runs"] if run["state"] != "done"}

    assert why() == {"new"}
    assert command("run", study, "--cluster", "none")[0] == 0
    assert why() == set()
    provenance = json.loads(command("show", study, "--json")[1])
    assert provenance
    toys(solver=STEP.replace("* GAIN", "* GAIN * 1"))
    assert why() == {"code changed: toy-solvers/toys/solver.py changed"}
    assert "1 to do: code changed: toy-solvers/toys/solver.py changed" in command("plan", study, "--why")[1]
    assert command("run", study, "--cluster", "none")[0] == 0
    toys("1.1", rule="GAIN = 1.0\nMORE = 1\n", solver=STEP.replace("* GAIN", "* GAIN * 1"))
    assert why() == {"code changed: toy-solvers/toys/rule.py changed; toy-solvers 1.0 -> 1.1"}
