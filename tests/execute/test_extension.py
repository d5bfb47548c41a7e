"""A run that goes on from a stored one that stopped sooner has the bits of one from the start."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ptychosuite.core.runs import Lane, RunRecord, RunSpec, Status
from ptychosuite.execute.extension import refusal
from ptychosuite.execute.one_run import execute
from ptychosuite.registry import lookup as registry
from ptychosuite.store.layout import Store
from ptychosuite.store.read import read_run
from ptychosuite.store.write import write_run
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import study_of

PROBLEM = {
    "object": {"kind": "texture", "size": 48},
    "probe": {"kind": "gaussian", "size": 16, "fwhm_px": 6},
    "scan": {"kind": "raster", "overlap": 0.6},
    "noise": 0.05,
}
BLIND = {**PROBLEM, "start_probe": {"kind": "gaussian", "size": 16, "fwhm_px": 7}}
SHAKEN = {**BLIND, "margin_px": 3, "position_errors": {"random_px": 0.4}}
CASES = {
    "epie": (PROBLEM, {"name": "epie"}, {}),
    "epie, colour groups": (PROBLEM, {"name": "epie", "sweep": "colour-groups", "batch": 4}, {}),
    "rpie": (PROBLEM, {"name": "rpie"}, {"half_scans": True, "snapshots": [2, 6]}),
    "rpie, minibatch": (BLIND, {"name": "rpie", "sweep": "minibatch", "batch": 5}, {}),
    "rpie, modes and positions": (
        SHAKEN,
        {"name": "rpie", "probe_modes": 2, "positions": "gradient", "positions_start": 1, "probe_start": 6},
        {},
    ),
    "rpie, modes that move": (BLIND, {"name": "rpie", "probe_modes": 3, "sweep": "minibatch"}, {}),
    "magpie": (PROBLEM | {"hold_out": 0.05}, {"name": "magpie", "levels": 3}, {}),
    "emagpie": (BLIND, {"name": "emagpie", "levels": 2}, {}),
    "lsqml": (BLIND, {"name": "lsqml", "likelihood": "poisson"}, {}),
    "lsqml, variations": (
        SHAKEN,
        {"name": "lsqml", "probe_variations": 2, "probe_modes": 2, "intensity": True, "variation_start": 1,
         "batch": 6,         "positions": "cross-correlation", "positions_start": 2},
        {},
    ),
}  # fmt: skip
OF_THE_CLOCK = ("seconds", "seconds_per_iteration", "peak_host_bytes", "peak_device_bytes")


def spec_of(problem, solver, iterations=7, dtype="complex64", stop=None, **fields) -> RunSpec:
    study = {"study": "t", "problem": problem, "solver": solver, "dtype": dtype, "figures": [], **fields}
    return make_plan(study_of({**study, "stop": {"iterations": iterations, **(stop or {})}})).runs[0]


def stored(spec: RunSpec, folder, earlier: RunRecord | None = None) -> RunRecord:
    """The run as its file has it."""
    record, problem = execute(spec, earlier=earlier)
    assert record.status is Status.COMPLETED, record.message
    return read_run(write_run(Store.create(folder), record, problem.reference))


def assert_same_bits(one: RunRecord, other: RunRecord) -> None:
    """All but what clocks and memory say."""
    for name in ("object", "probe", "probe_modes", "probe_variations", "pattern_weights", "pattern_misfit",
                 "scan_positions_px", "given_positions_px"):  # fmt: skip
        a, b = getattr(one, name), getattr(other, name)
        assert (a is None) == (b is None), name
        assert a is None or a.tobytes() == b.tobytes(), name
    for name in ("curves", "rings"):
        a, b = getattr(one, name), getattr(other, name)
        assert list(a) == list(b)
        for quantity in a:
            assert quantity in OF_THE_CLOCK or a[quantity].tobytes() == b[quantity].tobytes(), quantity
    assert list(one.metrics) == list(other.metrics)
    for name, value in one.metrics.items():
        assert name in OF_THE_CLOCK or np.array_equal(value, other.metrics[name], equal_nan=True), name
    assert list(one.snapshots) == list(other.snapshots)
    for iteration, images in one.snapshots.items():
        assert all(np.array_equal(*pair) for pair in zip(images, other.snapshots[iteration], strict=True))
    assert (one.message, one.status, one.state, one.run_id) == (
        other.message, other.status, other.state, other.run_id,
    )  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_extended_run_has_the_bits_of_one_from_the_start(case, tmp_path):
    """Extended twice, the second time beyond what the first was measured at."""
    problem, solver, fields = CASES[case]
    specs = [spec_of(problem, solver, iterations, **fields) for iterations in (3, 4, 8)]
    first = stored(specs[0], tmp_path / "parts")
    assert refusal(specs[1], first) == ""
    second = stored(specs[1], tmp_path / "parts", first)
    third = stored(specs[2], tmp_path / "parts", second)
    assert_same_bits(third, stored(specs[2], tmp_path / "whole"))
    assert third.provenance["extended"]["run_id"] == second.run_id
    assert third.provenance["extended"]["extended"]["iterations"] == 3
    assert third.curves["seconds"][:4].tobytes() == first.curves["seconds"].tobytes()
    assert (np.diff(third.curves["seconds"]) > 0).all()
    assert third.metrics["seconds"] == third.curves["seconds"][-1]


def test_every_solver_that_keeps_its_state_is_among_these(tmp_path):
    """No solver promises more than these tests show; the others say what they remember."""
    tested = {solver["name"] for _, solver, _ in CASES.values()}
    for name, cls in registry.classes("solvers").items():
        if cls.packages or name == "staged":
            continue  # of packages that may not be here, and one that needs settings
        settings = {"levels": 2} if "levels" in {field.name for field in dataclasses.fields(cls)} else {}
        spec = spec_of(PROBLEM, {"name": name, **settings}, 2)
        record = stored(spec, tmp_path / name)
        assert bool(record.state) == (name in tested), name
        if not record.state:
            assert cls.remembers in refusal(
                dataclasses.replace(spec, stop={**spec.stop, "iterations": 4}), record
            )


def test_tolerance_that_is_lowered(tmp_path):
    """The crossing of the new tolerance is that of a run from the start."""
    solver = {"name": "rpie"}
    curve = execute(spec_of(PROBLEM, solver, 12))[0].curves["residual"]
    middle, low = float(curve[[2, 5]].mean()), float(np.nanmin(curve[:11])) * 1.001
    then, now = (spec_of(PROBLEM, solver, 30, stop={"residual": value}) for value in (middle, low))
    first = stored(then, tmp_path / "parts")
    assert first.metrics["iterations"] < 12
    assert refusal(now, first) == ""
    assert_same_bits(stored(now, tmp_path / "parts", first), stored(now, tmp_path / "whole"))


def test_tolerance_that_is_met_already_asks_for_no_iteration(tmp_path):
    then, now = (spec_of(PROBLEM, {"name": "rpie"}, n, stop={"residual": 1e9}) for n in (3, 8))
    first = stored(then, tmp_path / "parts")
    extended = stored(now, tmp_path / "parts", first)
    assert extended.metrics["iterations"] == 1
    assert_same_bits(extended, stored(now, tmp_path / "whole"))


@pytest.mark.parametrize(
    ("then", "now", "why"),
    [
        ({"iterations": 8}, {"iterations": 4}, "ends sooner than the stored one, after iteration 4"),
        (
            {"iterations": 4, "check_every": 4},
            {"iterations": 8, "check_every": 3},
            "not measured after iteration 3",
        ),
        ({"iterations": 4}, {"iterations": 8, "residual": 1e-9}, "not measured after iteration 3"),
        ({"iterations": 4, "residual": 1e-9}, {"iterations": 8, "residual": 1e9}, "after iteration 1"),
    ],
)
def test_what_is_no_extension_is_refused(then, now, why, tmp_path):
    first = stored(spec_of(PROBLEM, {"name": "rpie"}, stop=then), tmp_path)
    assert why in refusal(spec_of(PROBLEM, {"name": "rpie"}, stop=now), first)


def test_what_is_not_stored_is_said(tmp_path):
    double = stored(spec_of(PROBLEM, {"name": "rpie"}, 2, dtype="complex128"), tmp_path)
    assert "single precision" in refusal(double.spec, double)
    settings = {"kind": "identity", "warm_up": 2, "jumps": 1, "look_ahead": 1}
    jump = stored(spec_of(PROBLEM, {"name": "rpie"}, 5, fast_forward=settings), tmp_path)
    assert "fast-forward" in refusal(jump.spec, jump)
    staged = stored(spec_of(PROBLEM, [{"name": "rpie", "iterations": 1}, {"name": "epie"}], 2), tmp_path)
    assert "what its stages have begun with" in refusal(staged.spec, staged)


def test_times_of_two_lanes_are_no_times(tmp_path):
    then, now = (spec_of(PROBLEM, {"name": "rpie"}, n) for n in (2, 3))
    first, _ = execute(then, lane=Lane.THROUGHPUT)
    assert execute(now, lane=Lane.TIMING, earlier=first)[0].provenance["lane"] == Lane.THROUGHPUT
