"""The nightly study leaves out nothing that ships."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

import pytest
from ptychosuite.core.plan import Plan
from ptychosuite.problems.objects import BUNDLED
from ptychosuite.problems.simulated import Simulated
from ptychosuite.registry.lookup import GROUPS
from ptychosuite.solvers.sweep import Sweep

from tests.conftest import REPOSITORY
from tests.study.small import plan_of

STUDY = REPOSITORY / "studies" / "nightly.yaml"
ON_A_CPU = {"numpy", "torch"}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of(STUDY)


def ours(group: str) -> set[str]:
    """What is registered, without files, adapters of other packages, and what begins or is made of others."""
    names = {
        name
        for name, place in GROUPS[group].built_in.items()
        if not place.startswith("ptychosuite.solvers.peers")
    }
    return names - {"file", "staged", "run", "guess"}


def problems(plan: Plan, part: str) -> set[str]:
    return {run.problem[part]["kind"] for run in plan.runs}


def test_every_solver_on_every_backend(plan):
    """Of each solver the nightly has a run on NumPy and one on torch."""
    found = {(run.solver["name"], run.backend) for run in plan.runs} - {("staged", "numpy")}
    assert found == {(solver, backend) for solver in ours("solvers") for backend in ON_A_CPU}


def test_every_operator(plan):
    """Each fast-forward operator is there, and the network with a known and an unknown probe."""
    jumps = [run for run in plan.runs if run.fast_forward]
    assert {run.fast_forward["kind"] for run in jumps} == ours("operators")
    starts = {run.problem["start_probe"] is None for run in jumps if run.fast_forward["kind"] == "network"}
    assert starts == {True, False}


def test_every_object_probe_and_scan(plan):
    """Each simulated kind is there, whole pixels and fractions, with and without half scans."""
    for part, group in {"object": "objects", "probe": "probes", "scan": "scans"}.items():
        assert problems(plan, part) == ours(group)
    assert {run.problem["scan"].get("subpixel", False) for run in plan.runs} == {True, False}
    assert {run.half_scans for run in plan.runs} == {True, False}


def test_depths_precisions_sweeps_and_unknown_probes(plan):
    """Multigrid at several depths, both precisions, every order of a sweep; joint solvers blind as well."""
    depths = {run.solver["levels"] for run in plan.runs if run.solver["name"] == "magpie"}
    assert len(depths) >= 3
    assert {run.dtype for run in plan.runs} == {"complex64", "complex128"}
    assert {run.solver["sweep"] for run in plan.runs if "sweep" in run.solver} == set(get_args(Sweep))
    blind = {run.solver["name"] for run in plan.runs if run.problem["start_probe"]}
    assert blind == {run.solver["name"] for run in plan.runs if "update_probe" in run.solver}


def test_solvers_that_ignore_an_unknown_probe_are_not_given_one(plan):
    """No run starts from a wrong probe that its solver could not correct."""
    for run in plan.runs:
        assert run.problem["start_probe"] is None or "update_probe" in run.solver


def test_pixels_that_do_not_count(plan):
    """Masked pixels of the detector and pixels held out, for every likelihood, backend, and for modes."""
    for masked in (lambda run: run.problem["detector"]["dead_pixels"], lambda run: run.problem["hold_out"]):
        runs = [run for run in plan.runs if masked(run)]
        assert {run.backend for run in runs} == ON_A_CPU
        assert {run.solver.get("likelihood") for run in runs} >= {"poisson", "gaussian", None}
        assert {run.solver["name"] for run in runs} >= {"rpie", "lsqml", "lbfgs", "adam"}
        assert any(run.solver.get("probe_modes") for run in runs)
    assert any(run.fast_forward and run.problem["hold_out"] for run in plan.runs)


def test_every_setting_of_the_forward_model(plan):
    """Of each group of what experiments suffer, every setting has a run in which it does something."""
    for group, kind in Simulated.groups.items():
        for each in fields(kind):
            values = [run.problem[group].get(each.name, each.default) for run in plan.runs]
            left_out = (group, each.name) in {("fly_scan", "samples")}  # as many as a study says
            assert left_out or any(value != each.default for value in values), f"{group}.{each.name}"
    for name in ("margin_px", "rotation_deg", "photons", "hold_out"):
        assert any(run.problem.get(name) for run in plan.runs), name


def test_needs_no_file(plan):
    """A fresh clone has all there is to it."""
    for run in plan.runs:
        images = [run.problem["object"].get(name, "camera") for name in ("magnitude", "phase")]
        assert all(image in BUNDLED for image in images if isinstance(image, str))


def test_stays_small(plan):
    """There is room for new solvers, not for large problems."""
    assert len(plan.runs) <= 80
    assert max(run.stop["iterations"] for run in plan.runs) <= 40
    assert max(run.problem["object"]["size"] for run in plan.runs) <= 256


def test_a_gpu_adds_runs_and_keeps_the_others(plan):
    """The override of the file's head is understood; baselines of both machines share the CPU's runs."""
    more = plan_of(STUDY, "backend=[numpy, torch, torch-cuda]")
    assert {run.spec_id for run in plan.runs} < {run.spec_id for run in more.runs}
    assert {run.backend for run in more.runs} == {*ON_A_CPU, "torch-cuda"}
