"""The setting ``hold_out`` of every problem."""

from __future__ import annotations

import json

import jsonschema
import numpy as np
import pytest
from ptychosuite.backends.arrays import backend
from ptychosuite.execute.one_run import execute, execute_stack
from ptychosuite.problems.build import build_problem
from ptychosuite.registry.validation import SettingError
from ptychosuite.study.estimate import footprint
from ptychosuite.study.json_schema import study_schema
from ptychosuite.study.schema import _check_can_hold_out

from tests.study.small import plan_text, study_file
from tests.study.test_bad_input import refusal

HELD = "problem.hold_out=0.1"


def one(folder, *settings, extra=""):
    return plan_text(folder, extra, *settings).runs[0]


def test_nothing_held_out_is_the_run_that_always_was(tmp_path):
    """Zero, or nothing said: one id. A share is another run on the same counts and scan orders."""
    plain, zero, held, more = (
        one(tmp_path, *settings)
        for settings in ((), ("problem.hold_out=0",), (HELD,), ("problem.hold_out=0.2",))
    )
    assert plain.spec_id == zero.spec_id
    assert len({plain.spec_id, held.spec_id, more.spec_id}) == 3
    assert plain.problem_id == zero.problem_id == held.problem_id
    problems = [build_problem(spec, backend("numpy")) for spec in (plain, held)]
    np.testing.assert_array_equal(*(problem.diffraction_amplitude[:] for problem in problems))
    assert problems[0].fitted_pixels is None


def test_solvers_see_the_same_pixels_and_seeds_others(tmp_path):
    first, solver, again, seed = (
        build_problem(one(tmp_path, HELD, *settings), backend("numpy")).fitted_pixels
        for settings in ((), ("solver=epie",), ("backend=torch",), ("seed=1",))
    )
    assert (~first).mean() == pytest.approx(0.1, abs=0.005)
    np.testing.assert_array_equal(first, solver)
    np.testing.assert_array_equal(first, again)
    assert (first != seed).any()


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_a_run_with_pixels_held_out(tmp_path, name):
    """Alone and in a stack it has one curve of what it has not seen, above that of what it fits."""
    spec = one(
        tmp_path, HELD, f"backend={name}", "dtype=complex128", "problem.noise=0.1", "stop.iterations=20"
    )
    record, _ = execute(spec)
    (stacked, _), _ = execute_stack(
        [spec, one(tmp_path, HELD, "seed=1", f"backend={name}", "dtype=complex128")]
    )
    curve = record.curves["held_out_deviance"]
    assert curve[1] < curve[0]
    assert record.metrics["held_out_deviance"] == curve[-1] > record.metrics["poisson_deviance"]
    np.testing.assert_allclose(stacked.curves["held_out_deviance"], curve, rtol=1e-6)


def test_nothing_held_out_has_no_such_metric(tmp_path):
    record, _ = execute(one(tmp_path))
    assert "held_out_deviance" not in {*record.metrics, *record.curves}


@pytest.mark.parametrize(
    ("share", "fragment"),
    [("1", "less than 1"), ("-0.1", "greater than or equal to 0"), ("half", "number"), ("0.001", "none")],
)
def test_refused(tmp_path, share, fragment):
    message = refusal(study_file(tmp_path, f"axes: {{problem.hold_out: [{share}]}}\n"))
    assert "problem.hold_out" in message
    assert fragment in message


def test_a_peer_that_has_no_masks_is_refused():
    with pytest.raises(SettingError, match="cannot hold pixels out"):
        _check_can_hold_out({"name": "ptylab"})
    for name in ("ptychi", "cdtools", "rpie"):
        _check_can_hold_out({"name": name})


def test_memory_is_counted(tmp_path):
    """A byte a detector pixel."""
    big = "problem.object.size=4096", "problem.probe.size=256", "problem.probe.fwhm_px=80"
    plain, held = (footprint(one(tmp_path, *big, *more)) for more in ((), (HELD,)))
    problem = one(tmp_path, *big).problem
    from ptychosuite.study.schema import problem_size

    assert held.host_bytes - plain.host_bytes == problem_size(problem).n_positions * 256**2


def test_the_schema_offers_it(tmp_path):
    study = {"study": "x", "problem": {"hold_out": 0.05}}
    jsonschema.validate(study, study_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"study": "x", "problem": {"hold_out": 1.5}}, study_schema())
    assert "hold_out" in json.dumps(study_schema())
