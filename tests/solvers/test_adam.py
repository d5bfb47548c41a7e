"""Adam against torch's optimiser on torch's gradients of the literal model, and what follows from it."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from ptychosuite.backends.arrays import as_complex, as_reals, asarray_like, backend, to_numpy
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics
from ptychosuite.solvers.adam import Adam, Moments, Plateau, Step
from ptychosuite.solvers.gradients import LIKELIHOODS, pulled
from ptychosuite.solvers.sweep import cut_into_batches

from tests.conftest import small_problem
from tests.oracles.literal_torch import Unknowns, misfit
from tests.physics.test_forward import complex_random, fractional_problem
from tests.solvers.test_contract import iterate

PROBLEMS = {
    "whole": lambda dtype: small_problem(None, dtype, noise=0.5, flat_start=False),
    "fractional": lambda dtype: fractional_problem(None, dtype, noise=0.5, flat_start=False),
    "masked": lambda dtype: fractional_problem(None, dtype, noise=0.5, masked=True, flat_start=False),
}


def by_torch(problem, solver, iterations, moves_probe, seed=0):
    """Object and probe after torch.optim.Adam has had the same batches."""
    scale = np.abs(problem.probe).max()
    x = Unknowns.of(problem, problem.start_object, problem.probe / scale)
    obj, probe = (torch.view_as_real(y.detach()).clone().requires_grad_() for y in (x.object, x.probe))
    groups = [{"params": [obj], "lr": solver.learning_rate}]
    if moves_probe:
        groups.append({"params": [probe], "lr": solver.probe_learning_rate or solver.learning_rate})
    optimiser = torch.optim.Adam(groups, betas=solver.betas)
    rng = np.random.default_rng(seed)
    for _ in range(iterations):
        for batch in cut_into_batches("minibatch", problem.scan_positions_px, 16, solver.batch, rng):
            optimiser.zero_grad()
            x.object, x.probe = torch.view_as_complex(obj), torch.view_as_complex(probe) * scale
            (misfit(problem, x, batch, solver.likelihood) / (len(batch) * scale**2)).backward()
            optimiser.step()
    return tuple(torch.view_as_complex(y.detach()).numpy() for y in (obj, probe * scale))


@pytest.mark.parametrize("which", PROBLEMS)
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("moves_probe", [True, False], ids=["blind", "known"])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.5, 0.95)], ids=str)
def test_steps_are_torchs(which, likelihood, moves_probe, betas):
    """Three iterations of batches of 7, 7 and 2: object and probe agree to rounding."""
    problem = PROBLEMS[which]("complex128")
    solver = Adam(
        likelihood=likelihood,
        learning_rate=0.03,
        probe_learning_rate=0.02,
        batch=7,
        beta_1=betas[0],
        beta_2=betas[1],
        update_probe=moves_probe,
        hold_power=False,
    )
    obj, probe = by_torch(problem, solver, 3, moves_probe)
    found = iterate(solver, problem, 3)[-1]
    np.testing.assert_allclose(found.object, obj, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.probe, probe, rtol=0, atol=1e-9)
    assert np.abs(obj - problem.start_object).max() > 0.05
    assert moves_probe == (not np.array_equal(probe, problem.probe))


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_steps_are_torchs_in_single_precision(each_backend, likelihood):
    """The same in complex64, to 1e-5 in all places but those whose gradients are rounding."""
    fields = {"noise": 0.5, "flat_start": False}
    solver = Adam(likelihood=likelihood, learning_rate=0.03, batch=7, update_probe=True, hold_power=False)
    obj, probe = by_torch(fractional_problem(**fields), solver, 3, True)
    found = iterate(solver, fractional_problem(each_backend, "complex64", **fields), 3)[-1]
    for one, other in ((found.object, obj), (found.probe, probe)):
        assert to_numpy(one).dtype == np.complex64
        assert np.quantile(np.abs(to_numpy(one) - other), 0.98) < 1e-5


def test_a_step_is_algorithm_1(each_backend):
    """Twenty steps on random gradients are torch.optim.Adam's, real and imaginary parts apart."""
    rng = np.random.default_rng(0)
    start, gradients = complex_random(rng, 3, 5), [complex_random(rng, 3, 5) for _ in range(20)]
    x = each_backend.asarray(start)
    moments = Moments.none_yet(x)
    expected = torch.view_as_real(torch.tensor(start)).clone().requires_grad_()
    optimiser = torch.optim.Adam([expected], lr=0.1)
    for gradient in gradients:
        x, moments = Step(0.1).taken(x, each_backend.asarray(gradient), moments)
        expected.grad = torch.view_as_real(torch.tensor(gradient)).clone()
        optimiser.step()
    np.testing.assert_allclose(
        to_numpy(x), torch.view_as_complex(expected.detach()).numpy(), rtol=0, atol=1e-13
    )


def test_real_numbers_and_back(each_backend):
    x = complex_random(np.random.default_rng(0), 2, 3)
    for array in (x, x[:, ::2]):
        pairs = as_reals(each_backend.asarray(array))
        np.testing.assert_array_equal(to_numpy(pairs), np.stack([array.real, array.imag], axis=-1))
        np.testing.assert_array_equal(to_numpy(as_complex(pairs)), array)


@pytest.mark.parametrize("patience", [0, 2])
def test_plateau_is_torchs(patience):
    """The rate comes down when torch's ReduceLROnPlateau lets it, as cdtools sets it."""
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, factor=0.2, patience=patience, threshold=1e-9, eps=0
    )
    ours = Plateau()
    for loss in [9, 8, 8, 8, 8, 7, 8, 7, 7.5, 7, 7, 3, 3, 2, 3, 4, 3, 4, 5, 1, 1, 1, 1, 1, 1, 1, 0.5]:
        optimiser.step()
        theirs.step(loss)
        ours = ours.after(loss, patience)
        assert ours.share == pytest.approx(optimiser.param_groups[0]["lr"])
    assert ours.share < 0.05


def test_plateau_of_a_negative_loss():
    """The Poisson misfit is one, since what depends on the data alone is left out."""
    assert Plateau().after(-3.0, 0).after(-4.0, 0) == Plateau(1.0, -4.0)
    assert Plateau().after(-4.0, 0).after(-3.0, 0) == Plateau(0.2, -4.0)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_schedule_follows_the_misfit(likelihood):
    """Noise keeps a constant rate from settling; a plateau brings the rate down, and the misfit with it."""
    problem = fractional_problem(noise=0.5, masked=True)
    ends, constants = {}, DataConstants.of(problem)
    for schedule in ("constant", "plateau"):
        solver = Adam(likelihood=likelihood, learning_rate=0.1, schedule=schedule, patience=2, batch=4)
        ends[schedule] = iterate(solver, problem, 60)[-1]
    assert ends["constant"].plateau == Plateau()
    assert ends["plateau"].plateau.share <= 0.2
    figure = "residual" if likelihood == "amplitude" else "poisson_nll"
    constant, plateau = (misfit_metrics(problem, s.object, s.probe, constants)[figure] for s in ends.values())
    assert plateau < constant


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_truth_asks_for_nothing(likelihood):
    """On noiseless data its gradients are rounding. The steps, which are as long as ever, stay near it."""
    problem = fractional_problem()
    problem = dataclasses.replace(problem, start_object=problem.reference.object)
    every = np.arange(problem.n_positions)
    there = pulled(problem, problem.start_object, problem.probe, every, LIKELIHOODS[likelihood])
    assert np.abs(there.to_object(problem.start_object)).max() < 1e-14
    assert np.abs(there.to_probe()).max() < 1e-14
    end = iterate(Adam(likelihood=likelihood, batch=4), problem, 30)[-1]
    assert np.abs(end.object - problem.start_object)[8:32, 8:32].max() < 10 * 0.01


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_the_probes_power_means_nothing(likelihood):
    """Data, counts and probe in other units: the same object."""
    problem, unit = fractional_problem(noise=0.5, flat_start=False), 1e-6
    other = dataclasses.replace(
        problem,
        diffraction_amplitude=problem.diffraction_amplitude * unit,
        probe=problem.probe * unit,
        noise=problem.noise * unit**2,
    )
    solver = Adam(likelihood=likelihood, batch=4, update_probe=True)
    one, same = (iterate(solver, p, 5)[-1] for p in (problem, other))
    np.testing.assert_allclose(same.object, one.object, rtol=0, atol=1e-9)
    np.testing.assert_allclose(same.probe / unit, one.probe, rtol=0, atol=1e-9)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_finds_the_object(likelihood):
    """Known probe, noiseless data, falling rates: the residual goes down a thousandfold."""
    problem = small_problem()
    solver = Adam(likelihood=likelihood, learning_rate=0.1, schedule="plateau", patience=3, batch=4)
    states, constants = iterate(solver, problem, 80), DataConstants.of(problem)
    first, last = (
        misfit_metrics(problem, s.object, s.probe, constants)["residual"] for s in (states[0], states[-1])
    )
    assert last < 1e-3 * first


def test_the_probe_waits_for_its_first_step():
    """``probe_start`` iterations later its moments begin, with a bias correction of their own."""
    problem = dataclasses.replace(small_problem(noise=0.5), probe_known=False)
    states = iterate(Adam(batch=8, probe_start=2), problem, 3)
    assert [s.probe_moments.steps for s in states] == [0, 0, 0, 2]
    assert [s.object_moments.steps for s in states] == [0, 2, 4, 6]
    assert states[2].probe is problem.probe
    assert np.abs(states[3].probe - problem.probe).max() > 0.005 * np.abs(problem.probe).max()


def test_after_a_jump():
    """Sizes of gradients, rates, counts and the probe's unit are kept; directions begin anew."""
    problem = dataclasses.replace(small_problem(noise=0.5), probe_known=False)
    solver = Adam(batch=4, schedule="plateau")
    before = iterate(solver, problem, 4)[-1]
    there = dataclasses.replace(problem, start_object=2 * before.object, probe=0.5 * before.probe)
    resumed = solver.resumed(solver.init(there), before)
    assert resumed.object is there.start_object
    assert resumed.probe is there.probe
    assert (resumed.data_passes, resumed.plateau) == (4, before.plateau)
    assert resumed.probe_scale == before.probe_scale
    assert math.isclose(before.probe_scale, np.abs(problem.probe).max())
    for name in ("object_moments", "probe_moments"):
        now, then = getattr(resumed, name), getattr(before, name)
        assert now.steps == then.steps == 16
        assert now.second is then.second
        assert (then.in_this_direction, now.in_this_direction) == (16, 0)
        assert then.first.any()
        assert not now.first.any()


def test_the_first_step_after_a_jump_is_as_long_as_any():
    """g over the root of the mean square that is remembered: no first moment holds it back."""
    rng = np.random.default_rng(1)
    x, moments = complex_random(rng, 3, 5), Moments.none_yet(complex_random(rng, 3, 5))
    squares, gradients = 0.0, [complex_random(rng, 3, 5) for _ in range(4)]
    for gradient in gradients:
        if gradient is gradients[-1]:
            moments = moments.with_new_directions()
        before = x
        x, moments = Step(0.1).taken(x, gradient, moments)
        squares = 0.999 * squares + 0.001 * as_reals(gradient) ** 2
    expected = 0.1 * as_reals(gradients[-1]) / (np.sqrt(squares / (1 - 0.999**4)) + 1e-8)
    np.testing.assert_allclose(as_reals(before - x), expected, rtol=1e-12)


@pytest.mark.parametrize("forgets", ["nothing", "everything"])
def test_more_or_less_may_be_forgotten(forgets):
    """Without a move, nothing forgotten is the state itself; everything is a start, but for the count."""
    problem = dataclasses.replace(small_problem(noise=0.5), probe_known=False)
    solver = Adam(batch=4, schedule="plateau", forgets=forgets)
    before = iterate(solver, problem, 4)[-1]
    first = solver.init(dataclasses.replace(problem, start_object=before.object, probe=before.probe))
    resumed = solver.resumed(first, before)
    expected = before if forgets == "nothing" else dataclasses.replace(first, data_passes=4)
    for name, value in vars(expected).items():
        assert getattr(resumed, name) is value or getattr(resumed, name) == value, name


def test_backends_agree_on_everything():
    """Plateau, mask, fractions, probe: torch's state is NumPy's."""
    solver = Adam(schedule="plateau", patience=0, learning_rate=0.1, batch=7, update_probe=True)
    ends = [
        iterate(solver, fractional_problem(backend(name), noise=0.5, masked=True, flat_start=False), 6)[-1]
        for name in ("numpy", "torch")
    ]
    for name in ("object", "probe"):
        one, other = (to_numpy(getattr(end, name)) for end in ends)
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-9)
    assert ends[0].plateau.share == ends[1].plateau.share
    assert ends[0].plateau.lowest == pytest.approx(ends[1].plateau.lowest, rel=1e-10)


@pytest.mark.parametrize("positions", [small_problem, fractional_problem])
@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_only_what_patterns_reach_takes_time(each_backend, positions, schedule):
    """The steps on the part of the object that they reach are, bit for bit, those on all of it."""
    problem = dataclasses.replace(positions(each_backend, noise=0.5, flat_start=False), probe_known=False)
    larger = np.pad(to_numpy(problem.start_object), ((3, 4), (2, 5)), constant_values=1)
    wide = dataclasses.replace(
        problem,
        start_object=asarray_like(larger, problem.start_object),
        scan_positions_px=problem.scan_positions_px + np.array([3, 2]),
    )
    solver = Adam(batch=5, schedule=schedule)
    state = whole = solver.init(wide)
    for seed in range(4):
        scan = "minibatch", wide.scan_positions_px, wide.probe_size, 5
        batches = [list(cut_into_batches(*scan, np.random.default_rng(seed))) for _ in range(2)]
        state = solver.swept(wide, state, batches[0], True, None)
        whole = solver._swept(wide, whole, batches[1], True, None)
    for found, expected in (
        (state.object, whole.object),
        (state.probe, whole.probe),
        (state.object_moments.first, whole.object_moments.first),
        (state.object_moments.second, whole.object_moments.second),
    ):
        np.testing.assert_array_equal(to_numpy(found), to_numpy(expected))
    assert (state.object_moments.steps, state.plateau) == (whole.object_moments.steps, whole.plateau)
    assert (to_numpy(state.object)[:3] == 1).all()


def test_some_of_the_patterns(each_backend):
    """In the middle of a scan, where a jump is judged, the rest of the object rests: nobody sees it."""
    problem = dataclasses.replace(small_problem(each_backend, noise=0.5), probe_known=False)
    solver = Adam(batch=4)
    state = iterate(solver, problem, 3)[-1]
    part = problem.part(np.array([0, 1]))
    few = [np.array([0, 1])]
    after, whole = (sweep(part, state, few, True, None) for sweep in (solver.swept, solver._swept))
    size = problem.probe_size
    (top, left), (bottom, right) = (
        part.scan_positions_px.min(axis=0),
        part.scan_positions_px.max(axis=0) + size,
    )
    seen = np.zeros(problem.start_object.shape, bool)
    seen[top:bottom, left:right] = True
    assert not seen.all()
    found, expected, before = (to_numpy(each.object) for each in (after, whole, state))
    np.testing.assert_array_equal(found[seen], expected[seen])
    np.testing.assert_array_equal(found[~seen], before[~seen])
    np.testing.assert_array_equal(to_numpy(after.probe), to_numpy(whole.probe))
