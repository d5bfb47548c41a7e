"""What jumps are judged by: the middle of a long scan, its noise, the solver's pace. None does harm."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
import scipy.stats
from ptychosuite.core.jumps import Snapshot, rejections_of
from ptychosuite.core.runs import Status
from ptychosuite.errors import CannotAdvance
from ptychosuite.execute.loop import reconstruct
from ptychosuite.execute.one_run import execute
from ptychosuite.fastforward.verdict import (
    Branch,
    Court,
    Pace,
    gain_of,
    middle_of,
    pace_of,
    refuse_far,
    why_flat,
)
from ptychosuite.metrics.misfit import poisson_deviance
from ptychosuite.registry.lookup import build
from ptychosuite.solvers.pie import EPIE, RPIE
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import study_of
from ptychosuite.testing import small_problem

from tests.execute.test_loop import STOP
from tests.fastforward.test_apply import NUMPY, run, same, toy
from tests.solvers.experiment import suffering_problem
from tests.solvers.test_contract import SOLVERS

PLAN = {"warm_up": 4, "jumps": 2, "spacing": 5, "look_ahead": 3, "judged_on": 9}
SEVERAL = {
    name: SOLVERS[name]
    for name in ("rpie", "epie-blind", "mpie", "magpie-2", "emagpie", "lbfgs", "lsqml", "adam", "staged")
}
MOMENTS = {"name": "adam", "learning_rate": 0.02, "batch": 4, "update_probe": True}
FOUND = {
    "name": "lsqml",
    "sweep": "sequential",
    "update_probe": True,
    "intensity": True,
    "variation_start": 1,
}


def long_scan(noise=0.2, **settings):
    """64 patterns: long enough to be judged on 9 in the middle."""
    return small_problem(noise=noise, object_size=44, step=4, **settings)


def blind(problem):
    return dataclasses.replace(problem, probe=abs(problem.probe) + 0.05 + 0j, probe_known=False)


def test_the_middle_of_a_scan():
    """Of 5 x 5 positions the inner 3 x 3, in the order of the scan."""
    positions = np.stack(np.meshgrid(np.arange(5.0), np.arange(5.0), indexing="ij"), axis=-1).reshape(-1, 2)
    np.testing.assert_array_equal(middle_of(positions, 9), [6, 7, 8, 11, 12, 13, 16, 17, 18])
    np.testing.assert_array_equal(middle_of(positions[::-1], 1), [12])


@pytest.mark.parametrize(
    ("judged_on", "patterns"),
    [(None, None), (17, None), (16, 16), (2, 2)],
    ids=["off", "short", "long", "two"],
)
def test_a_long_scan_is_judged_in_its_middle(judged_on, patterns):
    """From four times as many patterns on; a pass over them is a part of one over all."""
    problem, solver = long_scan(), RPIE()
    court = Court.of(solver, problem, solver.init(problem), judged_on)
    assert (None if court.which is None else court.problem.n_positions) == patterns
    assert court.share == (1 if patterns is None else patterns / 64)
    assert court.problem.start_object.shape == (44, 44)


def test_solvers_that_do_not_say_are_judged_on_all():
    """Another package, or a class of somebody's own, may not go on with some of its patterns."""
    problem, bare = long_scan(), build("solvers", {"name": "tests.fastforward.test_apply:Bare"})
    assert Court.of(bare, problem, bare.init(problem), 9).which is None
    assert build("solvers", {"name": "cdtools"}).narrowed(problem, None) is None


def test_a_minibatch_of_a_part_is_a_part():
    """A minibatch is a step: an iteration in the middle has as many as one over all patterns."""
    problem, adam = long_scan(), build("solvers", {**MOMENTS, "batch": 32})
    court = Court.of(adam, problem, adam.init(problem), 16)
    assert (court.problem.n_positions, court.solver.batch) == (16, 8)
    assert dataclasses.replace(court.solver, batch=32) == adam
    staged = build("solvers", {"name": "staged", "stages": [{**MOMENTS, "iterations": 3}, {"name": "epie"}]})
    assert Court.of(staged, problem, staged.init(problem), 16).which is None


def test_what_was_found_is_judged_in_the_middle_too():
    """Positions of the middle patterns are those that the solver has found, and go on from there."""
    problem = suffering_problem(error_px=0.8, noise=1.0)
    solver = EPIE(positions="gradient", positions_start=1)
    state, rng = solver.init(problem), np.random.default_rng(0)
    for _ in range(4):
        state = solver.step(problem, state, rng)
    few = problem.n_positions // 4
    court = Court.of(solver, problem, state, few)
    np.testing.assert_allclose(court.problem.positions_px, state.found.positions_px[court.which])
    seen = state.found.applied_to(problem).part(court.which)
    expected = poisson_deviance(seen, state.object, state.probe)
    assert court.deviance(court.state, court.state) == pytest.approx(expected)
    after = solver.step(court.problem, court.state, rng)
    assert after.found.positions_px.shape == (few, 2)
    np.testing.assert_allclose(
        (after.found.positions_px - court.problem.positions_px).mean(axis=0), 0, atol=1e-9
    )


def shots(deviances):
    """States whose deviance is known beforehand: a court that looks it up."""

    class Known(Court):
        def deviance(self, image, state):
            return deviances[image.iteration]

    now = max(deviances)
    past = [Snapshot(None, None, iteration) for iteration in deviances if iteration != now]
    return Known, Snapshot(None, None, now), past


def test_pace_on_all_patterns():
    """From two deviances, five iterations apart."""
    known, now, past = shots({8: 2.0, 9: 7.0, 13: 1.5})
    pace = pace_of(known(None, None, now), 13, past)
    assert (pace.deviance, pace.fall, pace.error, pace.passes) == (1.5, pytest.approx(0.25), 0, 2)
    assert not pace.is_flat
    assert pace.supposed(10) == pytest.approx(1.5 * 0.75**2)
    assert pace_of(known(None, None, now), 13, past[1:]) == Pace(1.5)


def test_pace_in_the_middle():
    """From a line through the logarithms, with its error; scipy's is the oracle."""
    values = {3: 2.5, 5: 2.2, 7: 2.35, 9: 2.1, 11: 2.2, 13: 1.9}
    known, now, past = shots({**values, 12: 99.0})
    now = dataclasses.replace(now, iteration=13)
    pace = pace_of(known(None, None, now, np.arange(9)), 13, past)
    fit = scipy.stats.linregress(list(values), np.log(list(values.values())))
    assert pace.fall == pytest.approx(1 - np.exp(5 * fit.slope))
    assert pace.error == pytest.approx(5 * fit.stderr)
    assert pace.passes == 6
    assert pace_of(known(None, None, now, np.arange(9)), 13, past[:2]).fall is None


@pytest.mark.parametrize(
    ("fall", "error", "flat"),
    [(0.051, 0, False), (0.049, 0, True), (0.08, 0.04, True), (0.08, 0.02, False), (-0.1, 0, True),
     (float("nan"), 0, True), (None, 0, False)],
)  # fmt: skip
def test_a_plateau(fall, error, flat):
    """Less than five per cent, beyond the error; what is not known is none."""
    assert Pace(2.0, fall, error).is_flat is flat


def test_a_gain_is_one_beyond_its_noise():
    """Each pattern is compared with itself: what differs from pattern to pattern for both is no noise."""
    plain = Branch((), np.array([1.0, 20.0, 300.0, 4.0]))
    gain, error = gain_of(Branch((), plain.deviances - [0.1, 0.3, 0.1, 0.3]), plain)
    assert gain == pytest.approx(0.2)
    assert error == pytest.approx(np.std([0.1, 0.3, 0.1, 0.3], ddof=1) / 2)
    assert gain_of(plain, plain) == (0, 0)
    assert gain_of(Branch((), np.array([1.0])), Branch((), np.array([3.0]))) == (2, 0)


def test_far_proposals_are_out_of_range():
    """A change of twice the norm turns every phase round: more is none that a state needs."""
    state = Snapshot(np.ones((4, 4), complex), np.full((2, 2), 0.1j), 0)
    refuse_far(-state.object, 2.9 * state.probe, state)
    with pytest.raises(CannotAdvance, match=r"changes the probe, of norm 0\.2, by 0\.42$"):
        refuse_far(state.object, 3.1 * state.probe, state)


@pytest.mark.parametrize("solver", [*SEVERAL.values(), MOMENTS, FOUND], ids=[*SEVERAL, "moments", "found"])
@pytest.mark.parametrize("operator", ["Stale", "Noise", "GivesUp", "NotANumber", "Huge"])
def test_a_rejected_jump_leaves_the_plain_run(solver, operator):
    """To the last bit: it was tried on a copy, in the middle alone, and in an order of its own."""
    solver, problem = build("solvers", solver), blind(long_scan())
    problem = dataclasses.replace(problem, probe_known=solver.label in ("mPIE", "MAGPIE", "L-BFGS"))
    plain, found = (run(solver, each, problem, 12) for each in (None, toy(operator)(**PLAN)))
    kept = [jump for jump in found.state.jumps if jump.step]
    if operator == "Stale" and kept:  # steps that lead away: half of the way back to the start is better
        assert all(jump.deviance_jumped < jump.deviance_plain for jump in kept)
        return
    assert not kept
    same(found, plain)
    assert found.metrics["data_passes"] > plain.metrics["data_passes"]


SETTLING = {name: settings for name, settings in SEVERAL.items() if name != "staged"} | {
    "adam": {**MOMENTS, "learning_rate": 0.005, "batch": 32}  # longer steps lead away from the truth again
}


@pytest.mark.parametrize("solver", SETTLING.values(), ids=SETTLING)
def test_a_good_jump_is_kept_in_the_middle(solver):
    """One iteration over all patterns follows, in the order that the plain run has."""
    problem, solver = long_scan(), build("solvers", solver)
    plain, found = (run(solver, each, problem, 12) for each in (None, toy("Truth")(**PLAN | {"jumps": 1})))
    (jump,) = found.state.jumps
    assert jump.step > 0
    assert jump.deviance_jumped < jump.deviance_plain
    np.testing.assert_array_equal(found.curves["residual"][:5], plain.curves["residual"][:5])
    assert found.curves["poisson_deviance"][5] < plain.curves["poisson_deviance"][5]
    assert found.metrics["iterations"] == 12


def test_cost_in_the_middle():
    """Passes over a part of the data count as that part; those that look elsewhere count whole."""
    problem, solver, plan = long_scan(), RPIE(alpha=0.1), PLAN | {"jumps": 1}
    plain = run(solver, None, problem, 12).curves["data_passes"]
    kept, rejected = (
        run(solver, toy(name)(**plan), problem, 12).curves["data_passes"] - plain
        for name in ("Truth", "Stale")
    )
    before = 2  # deviances now and at the start of the run
    look_ahead = 1 + 3 + 1  # between two deviances; without the jump there is none before
    share = 9 / 64
    np.testing.assert_allclose(kept, [0] * 5 + [share * (before + 2 * look_ahead - 1) + 2] * 8)
    np.testing.assert_allclose(rejected, [0] * 5 + [share * (before + 3 * look_ahead - 1)] * 8)


def test_what_does_harm_elsewhere_is_judged_on_all():
    """The middle is as it should be, and the rest a tenth of it: all patterns see that."""
    problem, solver = long_scan(), RPIE(alpha=0.1)
    plan = PLAN | {"jumps": 1, "look_ahead": 1}
    plain, found = run(solver, None, problem, 12), run(solver, toy("Half")(**plan), problem, 12)
    (jump,) = found.state.jumps
    court = Court.of(solver, problem, solver.init(problem), 9)
    proposed = toy("Half")().advance(problem, solver.init(problem), None)
    inside = poisson_deviance(court.problem, *proposed)
    assert inside < jump.deviance_before / 2  # what the middle would have said
    assert jump.deviance_before == pytest.approx(plain.curves["poisson_deviance"][4])  # of all patterns
    assert jump.step == 0
    same(found, plain)


def test_nothing_is_tried_at_a_plateau():
    """The operator is not asked, the message says why, the run is the plain one."""
    seen: list = []
    problem, solver = long_scan(), RPIE(alpha=0.1)
    problem = dataclasses.replace(problem, start_object=problem.reference.object)
    operator = toy("Watcher")(**PLAN | {"warm_up": 11, "jumps": 1}, seen=seen)
    plain, found = run(solver, None, problem, 16), run(solver, operator, problem, 16)
    assert [now.iteration for now, _ in seen] == [0]  # before the clock starts
    (jump,) = found.state.jumps
    assert (jump.asked, jump.step) == (False, 0)
    assert rejections_of([jump]).startswith("; jump after 11 not tried: deviance ")
    assert "% in five iterations: nothing to carry ahead" in jump.reason
    assert "mismatch" not in jump.reason
    same(found, plain)
    extra = found.metrics["data_passes"] - plain.metrics["data_passes"]
    assert extra == pytest.approx((6 + 1) * 9 / 64)  # six deviances, and the one that noise would leave


def test_a_model_that_does_not_explain_the_data_is_told():
    """At a plateau far above what noise would leave, as under a probe that is another one."""
    problem = long_scan(noise=0.02)
    truth = Snapshot(problem.reference.object, problem.reference.probe, 0)
    wrong = dataclasses.replace(truth, probe=truth.probe[::-1, ::-1].copy())
    right, told = (
        why_flat(court, Pace(court.deviance(court.state, court.state), 0.012, 0.008), problem.noise)
        for court in (Court(RPIE(), problem, truth), Court(RPIE(), problem, wrong))
    )
    assert right == ("deviance fell by 1.2 ± 0.8 % in five iterations: nothing to carry ahead", 1)
    found = re.search(r"; model mismatch: it is (.+), and noise would leave (.+)$", told[0])
    assert float(found[1]) > 1.5 * float(found[2])


def test_what_noise_leaves():
    """The mean deviance of counts drawn from the model itself."""
    problem = small_problem(noise=2.0)
    truth = Snapshot(problem.reference.object, problem.reference.probe, 0)
    expected = Court(RPIE(), problem, None).expected_deviance(truth)
    assert poisson_deviance(problem, truth.object, truth.probe) == pytest.approx(expected, rel=0.1)


ADVERSARIES = ("Speckle", "Stale", "Turned", "Half", "NotANumber")


@pytest.mark.parametrize("name", ["epie-blind", "lbfgs", "emagpie", "lsqml", "adam"])
@pytest.mark.parametrize("judged_on", [9, None], ids=["middle", "all"])
def test_no_operator_does_harm(name, judged_on):
    """Whatever is proposed, a run ends no higher than three scan orders differ."""
    solver, problem = build("solvers", SOLVERS[name]), long_scan()
    stop = {**STOP, "iterations": 12}
    orders = [reconstruct(problem, solver, stop, np.random.default_rng(seed), NUMPY) for seed in range(3)]
    ends = [order.metrics["poisson_deviance"] for order in orders]
    allowed = ends[0] + max(ends) - min(ends) + 1e-9
    for adversary in ADVERSARIES:
        found = run(solver, toy(adversary)(**PLAN | {"judged_on": judged_on, "warm_up": 5}), problem, 12)
        assert found.status is Status.COMPLETED
        assert found.metrics["poisson_deviance"] <= allowed, adversary


@pytest.mark.slow
@pytest.mark.parametrize("solver", [{"name": "epie"}, {"name": "rpie", "alpha": 0.5, "beta": 0.8}])
def test_the_measured_star_is_left_alone(measured_data, solver):
    """Its deviance is flat from the fourth iteration on: no jump, the plain run, and the reason."""
    star = {"kind": "file", "path": str(measured_data / "siemens-star-small.npz.bz2"), "positions_unit": "px"}
    study = {"study": "star", "problem": star, "solver": solver, "stop": {"iterations": 23}}
    jumps = [None, {"kind": "network", "jumps": 1}]
    plain, found = (
        execute(make_plan(study_of({**study, "fast_forward": each})).runs[0])[0] for each in jumps
    )
    assert found.metrics["ff_step_1"] == 0
    assert "nothing to carry ahead; model mismatch: " in found.message
    np.testing.assert_array_equal(found.object, plain.object)
    np.testing.assert_array_equal(found.probe, plain.probe)
