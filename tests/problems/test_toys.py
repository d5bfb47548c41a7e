"""A newcomer's object, probe, scan and problem: each one class that a study names, nothing else touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

import numpy as np
import pytest
from annotated_types import Ge
from ptychosuite.backends.arrays import backend
from ptychosuite.core.problem import Problem
from ptychosuite.core.runs import Status
from ptychosuite.errors import StudyError
from ptychosuite.execute.one_run import execute
from ptychosuite.problems.build import build_problem
from ptychosuite.problems.problem_kind import (
    FileSettings,
    ObjectKind,
    ProbeKind,
    ProblemKind,
    Rng,
    ScanKind,
    Size,
    Square,
    knows_probe,
)
from ptychosuite.problems.scans import Raster
from ptychosuite.registry.lookup import GROUPS, build, classes, forget
from ptychosuite.study.estimate import estimate
from ptychosuite.study.inputs import with_files_here
from ptychosuite.study.json_schema import study_schema

from tests.study.small import plan_of, study_file

HERE = "tests.problems.test_toys"


@dataclass(frozen=True)
class Stripes(Square):
    """An object of stripes; as one that derives from a base."""

    size: Annotated[int, Ge(8)] = 32
    width: int = 4

    def make(self) -> np.ndarray:
        stripes = (np.arange(self.size) // self.width % 2) * np.ones((self.size, 1))
        return np.exp(0.5j * stripes)


@dataclass(frozen=True)
class Box:
    """A probe that derives from nothing."""

    size: int = 16

    def make(self) -> np.ndarray:
        probe = np.zeros((self.size, self.size), complex)
        probe[4:-4, 4:-4] = 1
        return probe


@dataclass(frozen=True)
class Diagonal:
    """A scan that derives from nothing."""

    step: int = 4

    def positions(self, object_shape, probe_size, rng):
        along = np.arange(0, min(object_shape) - probe_size + 1, self.step)
        return np.stack([along, along], axis=1)


@dataclass(frozen=True)
class Mirror(ProblemKind):
    """Noiseless patterns of an empty object, lit by a probe of the study's: a problem with its own part."""

    label: ClassVar[str] = "mirror"
    parts: ClassVar[Mapping[str, str]] = {"lamp": "probes"}
    knows_probe: ClassVar[bool] = True

    lamp: Mapping[str, Any] = field(default_factory=lambda: {"kind": "gaussian", "size": 16, "fwhm_px": 6.0})
    rows: Annotated[int, Ge(1)] = 2

    def size(self) -> Size:
        m = build("probes", self.lamp).size
        return Size((m + self.rows, m), m, self.rows)

    def make(self, rng: Rng, dtype: str, start_probe: np.ndarray | None) -> Problem:
        probe = build("probes", self.lamp).make()
        amplitude = np.abs(np.fft.fft2(probe)) * np.ones((self.rows, 1, 1))
        return Problem(
            diffraction_amplitude=amplitude,
            scan_positions_px=np.stack([np.arange(self.rows), np.zeros(self.rows, int)], axis=1),
            probe=probe if start_probe is None else start_probe,
            start_object=np.ones(self.size().object_shape),
            noise=0.0,
            probe_known=start_probe is None,
        )


TOYS = f"""\
study: toys
problem:
  object: {{kind: '{HERE}:Stripes', width: 8}}
  probe: {HERE}:Box
  scan: {{kind: '{HERE}:Diagonal', step: 2}}
stop: {{iterations: 2}}
"""
MIRROR = f"study: mirror\nproblem: {{kind: '{HERE}:Mirror', rows: 3}}\nstop: {{iterations: 2}}\n"


def test_object_probe_and_scan(tmp_path):
    """Named by their classes, planned with their defaults, estimated, run."""
    plan = plan_of(study_file(tmp_path, head=TOYS))
    (spec,) = plan.runs
    assert spec.problem["object"] == {"kind": f"{HERE}:Stripes", "size": 32, "width": 8}
    assert spec.problem["probe"] == {"kind": f"{HERE}:Box", "size": 16}
    assert estimate(plan.runs).memory_bytes > 0
    assert with_files_here(spec).spec_id == spec.spec_id
    record, problem = execute(spec)
    assert record.status is Status.COMPLETED
    assert problem is not None
    assert problem.n_positions == 9


def test_settings_of_a_toy_are_checked(tmp_path):
    """Misspelt and impossible settings of a toy are refused with their place, as ours are."""
    path = study_file(tmp_path, head=TOYS, name="toys.yaml")
    with pytest.raises(StudyError, match=r":3:\d+: problem\.object\.size: found 4; expected greater"):
        plan_of(study_file(tmp_path, head=TOYS.replace("width: 8", "size: 4")))
    with pytest.raises(StudyError, match=r"problem\.scan\.stepp: unknown key 'stepp'; did you mean 'step'"):
        plan_of(path, "problem.scan.stepp=3")
    with pytest.raises(StudyError, match="no_such"):
        plan_of(path, f"problem.probe={HERE}:no_such")


def test_problem_of_another_kind(tmp_path):
    """A kind with a part of its own: shortened, completed, varied, started from another probe, run."""
    path = study_file(tmp_path, "axes: {problem.lamp.fwhm_px: [4, 6.0]}\n", head=MIRROR)
    plan = plan_of(path)
    assert [spec.problem["lamp"]["fwhm_px"] for spec in plan.runs] == [4.0, 6.0]
    assert plan.factors == {"problem.lamp.fwhm_px": True}
    assert [knows_probe(spec.problem) for spec in plan.runs] == [True, True]
    record, problem = execute(plan.runs[1])
    assert record.status is Status.COMPLETED
    assert record.curves["residual"][-1] < 1e-5
    assert problem is not None
    assert problem.reference is None
    (disk,) = plan_of(study_file(tmp_path, head=MIRROR), "problem.lamp=disk", "problem.lamp.size=16").runs
    assert disk.problem["lamp"]["diameter_px"] == 64.0
    (blind,) = plan_of(
        study_file(tmp_path, head=MIRROR), "problem.start_probe=gaussian", "problem.start_probe.size=16"
    ).runs
    assert not knows_probe(blind.problem)
    assert not build_problem(blind, backend("numpy")).probe_known
    for wrong, said in (
        ("rows=0", "greater"),
        ("row=2", "did you mean 'rows'"),
        ("lamp=gausian", "gaussian"),
    ):
        with pytest.raises(StudyError, match=rf"problem\.\w+(\.kind)?: .*{said}"):
            plan_of(path, f"problem.{wrong}")


def test_problem_from_a_package(tmp_path, monkeypatch):
    """A kind of another package has a name, a place in the schema, and is what an error offers."""
    info = tmp_path / "mirrors-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mirrors\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[ptychosuite.problems]\nmirror = mirrors:Plane\nbroken = no_such_module:X\n"
    )
    (tmp_path / "mirrors.py").write_text(
        f"from dataclasses import dataclass\nfrom {HERE} import Mirror\n\n"
        '@dataclass(frozen=True)\nclass Plane(Mirror):\n    "One of a package."\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    try:
        head = MIRROR.replace(f"'{HERE}:Mirror'", "mirror")
        (spec,) = plan_of(study_file(tmp_path, head=head)).runs
        assert execute(spec)[0].status is Status.COMPLETED
        kinds = study_schema()["properties"]["problem"]["oneOf"]
        assert [kind["properties"]["kind"].get("const") for kind in kinds] == [
            "simulated",
            "file",
            "mirror",
            None,
        ]
        with pytest.raises(StudyError, match="unknown problem 'miror'; did you mean 'mirror'"):
            plan_of(study_file(tmp_path, head=head.replace("mirror,", "miror,")))
        with pytest.raises(StudyError, match="no_such_module"):
            plan_of(study_file(tmp_path, head=head.replace("mirror,", "broken,")))
    finally:
        monkeypatch.undo()
        forget()
    assert not knows_probe({"kind": "mirror"})  # it is not installed any more


@pytest.mark.parametrize(
    ("group", "base"),
    [("objects", ObjectKind), ("probes", ProbeKind), ("scans", ScanKind), ("problems", ProblemKind)],
)
def test_ours_derive_from_their_bases(group, base):
    """Every class of ours has its base, and with it what a study asks of the files it names."""
    assert all(issubclass(cls, base) and issubclass(cls, FileSettings) for cls in classes(group).values())
    assert GROUPS[group].base == f"{base.__module__}:{base.__name__}"
    assert not Raster().from_file
