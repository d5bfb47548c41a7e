"""A newcomer's operator, named in a study, and what its faults come to."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext

import numpy as np
import pytest
from ptychosuite.core.runs import Status
from ptychosuite.errors import StudyError
from ptychosuite.execute import loop
from ptychosuite.execute.one_run import execute
from ptychosuite.fastforward import verdict

from tests.study.small import plan_of, plan_text, study_file
from tests.study.test_measured_study import write_star

SCHEDULE = "warm_up: 1, jumps: 1, look_ahead: 1"
TOY = f"{{kind: tests.fastforward.toy:Damped, factor: 0.5, safeguard: off, {SCHEDULE}}}"


def planned(tmp_path, jump=TOY):
    (spec,) = plan_text(tmp_path, f"solver: rpie\nfast_forward: {jump}\n").runs
    return spec


def carried_out(spec):
    return execute(spec)[0]


def test_a_toy_operator(tmp_path):
    """Planned with the settings of every operator beside its own, carried out, and in the record."""
    spec = planned(tmp_path)
    expected = {"kind": "tests.fastforward.toy:Damped", "factor": 0.5, "probe_factor": 1.0, "spacing": 12}
    assert expected.items() <= spec.fast_forward.items()
    record = carried_out(spec)
    assert record.status is Status.COMPLETED
    assert (record.metrics["ff_jumps"], record.metrics["ff_rejected"]) == (1, 0)
    still = {**spec.fast_forward, "factor": 1.0}
    plain = carried_out(dataclasses.replace(spec, fast_forward=still))
    np.testing.assert_array_equal(record.curves["residual"][:2], plain.curves["residual"][:2])
    assert record.curves["residual"][2] != plain.curves["residual"][2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (f"{{kind: tests.fastforward.toy:Damped, {SCHEDULE}}}", "'factor' is missing"),
        ("{kind: tests.fastforward.toy:Damped, factor: 1.0, warmup: 1}", "'warm_up'"),
        ("{kind: tests.fastforward.toy:Damped, factor: x}", "factor|number"),
        ("{kind: tests.fastforward.toy:Damped, factor: 1.0}", "ends at 3"),
        ("{kind: tests.fastforward.toy:Gone}", "Gone"),
    ],
)
def test_its_settings_are_checked_as_ours(tmp_path, settings, message):
    with pytest.raises(StudyError, match=message):
        planned(tmp_path, settings)


def test_its_faults_fail_the_run(tmp_path):
    """The traceback names the operator's own line; a rejection leaves the run completed."""
    jump = f"{{kind: tests.fastforward.operators:%s, {SCHEDULE}}}"
    record = carried_out(planned(tmp_path, jump % "Misspelt"))
    assert record.status is Status.FAILED
    assert "return now.objekt, now.probe" in record.message
    record = carried_out(planned(tmp_path, jump % "GivesUp"))
    assert record.status is Status.COMPLETED
    assert record.message.endswith("; jump after 1 rejected: CannotAdvance: no way ahead")


@pytest.mark.parametrize("error", [TypeError, AttributeError, KeyError, ZeroDivisionError])
def test_errors_elsewhere_fail_the_run(tmp_path, monkeypatch, error):
    """One in the stopping rule or in the deviance of the run's own state is no verdict on it."""

    def broken(*arguments):
        raise error("broken")

    for module, name in ((loop, "verdict"), (verdict, "pattern_deviances")):
        with monkeypatch.context() as patched:
            patched.setattr(module, name, broken)
            record = carried_out(planned(tmp_path, f"{{kind: identity, {SCHEDULE}}}"))
        assert record.status is Status.FAILED
        assert f"{error.__name__}: " in record.message


@pytest.mark.parametrize("kind", ["truth", "identity"])
def test_no_truth_of_measured_data(tmp_path, kind):
    """An operator that needs the truth is refused where data are measured, before anything runs."""
    path = write_star(tmp_path / "star.npz")
    jump = f"fast_forward: {{kind: {kind}, {SCHEDULE}}}\n"
    head = f"study: tiny\nproblem: {{kind: file, path: {path}}}\nstop: {{iterations: 2}}\nsolver: epie\n"
    study = study_file(tmp_path, jump, head=head)
    refused = pytest.raises(StudyError, match=r"5:.*'truth' needs the truth.*say 'off'")
    with refused if kind == "truth" else nullcontext():
        assert len(plan_of(study).runs) == 1
