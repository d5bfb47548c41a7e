"""First misfit and gradient of every solver that takes a step along one, against torch's autograd.

Autograd goes through the forward model written out in torch (``tests/oracles/literal_torch.py``), which uses
nothing of ours; all in double precision.
"""

import dataclasses

import numpy as np
import pytest
from ptychosuite.backends.arrays import fft2, to_numpy
from ptychosuite.core.problem import ProbeVariation
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics
from ptychosuite.physics.forward import illuminate, intensity_of
from ptychosuite.physics.likelihood import exit_wave_correction
from ptychosuite.solvers.gradients import LIKELIHOODS, misfit_of, pulled
from ptychosuite.solvers.lbfgs import LBFGS
from ptychosuite.solvers.lsqml import LSQML
from ptychosuite.solvers.magpie import MAGPIE
from ptychosuite.solvers.mpie import MPIE
from ptychosuite.solvers.pie import EPIE, RPIE
from ptychosuite.solvers.positions import motion_products
from ptychosuite.solvers.probe_modes import modes_from
from ptychosuite.solvers.variations import variation_waves

from tests.oracles.literal_torch import Unknowns, misfit
from tests.physics.test_forward import complex_random, fractional_problem

TOLERANCE = 1e-5  # relative, of the largest entry; what is found is 1e-12
PROBLEMS = {
    "coherent": {"shifts_px": np.zeros((16, 2))},
    "fractional": {},
    "masked": {"masked": True},
}
MODES = {"one-mode": 1, "three-modes": 3}
every_problem = pytest.mark.parametrize("which", PROBLEMS)
every_number_of_modes = pytest.mark.parametrize("modes", MODES.values(), ids=MODES)
every_likelihood = pytest.mark.parametrize("likelihood", LIKELIHOODS)


def measured(which, modes=1, **fields):
    """A problem of counts, and an object and a probe that do not meet them."""
    problem = fractional_problem(noise=0.5, flat_start=False, **PROBLEMS[which], **fields)
    rng = np.random.default_rng(1)
    probe = problem.probe + 0.1 * complex_random(rng, 16, 16)
    if modes > 1:
        probe = modes_from(probe, modes)
        problem = dataclasses.replace(problem, probe_modes=probe)
    return problem, problem.start_object + 0.1 * complex_random(rng, 40, 40), probe


def by_autograd(problem, obj, probe, batch, likelihood, **more):
    """phi, and the unknowns with their gradients."""
    x = Unknowns.of(problem, obj, probe, **more)
    phi = misfit(problem, x, batch, likelihood)
    phi.backward()
    return phi.item(), x


def assert_same(found, expected):
    found, expected = to_numpy(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.abs(expected).max() > 0
    assert np.abs(found - expected).max() < TOLERANCE * np.abs(expected).max()


@every_problem
@every_number_of_modes
@every_likelihood
def test_the_closed_form(which, modes, likelihood):
    """What Adam steps along: misfit, gradient to the object, gradient to the probe."""
    problem, obj, probe = measured(which, modes)
    batch = np.array([3, 0, 11, 7, 15])
    phi, x = by_autograd(problem, obj, probe, batch, likelihood)
    now = pulled(problem, obj, probe, batch, LIKELIHOODS[likelihood])
    assert float(misfit_of(problem, now.waves, batch, LIKELIHOODS[likelihood])) == pytest.approx(
        phi, rel=1e-10
    )
    assert_same(now.to_object(obj), x.object.grad)
    assert_same(now.to_probe(), x.probe.grad)


@every_number_of_modes
@every_likelihood
def test_the_closed_form_of_a_varying_probe(modes, likelihood):
    """The same where intensity and first mode differ from pattern to pattern; and to their numbers."""
    problem, obj, probe = measured("masked", modes)
    rng = np.random.default_rng(2)
    variation = ProbeVariation(
        rng.uniform(0.5, 1.5, 16), 0.5 * complex_random(rng, 2, 16, 16), 0.5 * rng.standard_normal((16, 2))
    )
    problem = dataclasses.replace(problem, variation=variation)
    batch = np.array([3, 0, 11, 7, 15])
    more = {"intensity": variation.intensity, "variations": variation.modes, "weights": variation.weights}
    phi, x = by_autograd(problem, obj, probe, batch, likelihood, **more)
    now = pulled(problem, obj, probe, batch, LIKELIHOODS[likelihood])
    assert float(misfit_of(problem, now.waves, batch, LIKELIHOODS[likelihood])) == pytest.approx(
        phi, rel=1e-10
    )
    assert_same(now.to_object(obj), x.object.grad)
    assert_same(now.to_probe(), x.probe.grad)

    waves, first_chi = variation_waves(variation, now.lit), now.chi if modes == 1 else now.chi[:, 0]
    assert_same(-np.einsum("kjyx,kyx->kj", waves.conj(), first_chi).real, x.weights.grad[batch])
    towards_light = (now.lit.exit_waves.conj() * now.chi).real.reshape(5, -1).sum(axis=1)
    assert_same(-towards_light / (2 * variation.intensity[batch]), x.intensity.grad[batch])


@every_problem
@every_number_of_modes
@every_likelihood
@pytest.mark.parametrize("moves_probe", [True, False], ids=["blind", "known"])
def test_lsqml_goes_down_the_gradient(which, modes, likelihood, moves_probe):
    """One batch of all positions. Its directions are minus the gradient over their divisors; and the object's
    change is that times a mean of the steps, which lie in [0, 1]."""
    problem, obj, probe = measured(which, modes)
    problem = dataclasses.replace(problem, start_object=obj, probe=problem.probe if modes > 1 else probe)
    name = {"amplitude": "gaussian"}.get(likelihood, likelihood)
    solver = LSQML(
        likelihood=name,
        batch=16,
        update_probe=moves_probe,
        probe_modes=modes,
        hold_power=False,
        step_length=1.0,
    )
    first = solver.init(problem)
    # the Newton steps of the Poisson likelihood scale every pattern's pull: autograd of the scaled sum
    every = np.arange(16)
    x = Unknowns.of(problem, obj, first.probe)
    now = pulled(problem, obj, first.probe, every, LIKELIHOODS[likelihood])
    chi = solver._exit_wave_change(problem, now.lit.exit_waves, every)
    xi = [np.vdot(now.chi[k], chi[k]).real / np.vdot(now.chi[k], now.chi[k]).real for k in every]
    assert_same(chi, np.asarray(xi).reshape(-1, *[1] * (chi.ndim - 1)) * now.chi)
    sum(float(xi[k]) * misfit(problem, x, [k], likelihood) for k in every).backward()

    light = np.zeros(obj.shape)
    intensity = np.abs(now.lit.probes) ** 2
    for k, (row, column) in enumerate(problem.scan_positions_px):
        own = intensity[min(k, len(intensity) - 1)]
        light[row : row + 16, column : column + 16] += own if modes == 1 else own.sum(axis=0)
    direction = -x.object.grad.numpy() / (light + solver.regularisation * light.max())
    after = solver.step(problem, first, np.random.default_rng(0))
    lit = np.abs(direction) > 1e-9 * np.abs(direction).max()
    steps = (after.object - obj)[lit] / direction[lit]
    assert np.abs(steps.imag).max() < TOLERANCE * np.abs(steps).max()
    if moves_probe and modes == 1:
        seen = np.sum(np.abs(now.lit.patches) ** 2, axis=0)
        towards = -x.probe.grad.numpy() / (seen + solver.regularisation * seen.max())
        length = np.vdot(towards, after.probe - first.probe) / np.vdot(towards, towards)
        assert length.real > 0
        assert_same(after.probe - first.probe, length.real * towards)
    elif not moves_probe:
        assert steps.real.min() > 0
        assert after.probe is first.probe


@every_problem
def test_lbfgs(which):
    """Its first misfit and gradient, over the whole scan; and the misfit is the residual that is reported."""
    problem, obj, probe = measured(which)
    problem = dataclasses.replace(problem, start_object=obj, probe=probe)
    phi, x = by_autograd(problem, obj, probe, np.arange(16), "amplitude")
    first = LBFGS().init(problem)
    assert first.misfit == pytest.approx(phi, rel=1e-10)
    assert_same(first.gradient, x.object.grad)
    reported = misfit_metrics(problem, obj, probe, DataConstants.of(problem))["residual"]
    assert reported == pytest.approx(phi, rel=1e-10)


@every_problem
@every_number_of_modes
def test_what_patch_solvers_are_given(which, modes):
    """chi is minus the gradient to the exit wave; conj(Q) chi summed over modes minus that to the patch."""
    problem, obj, probe = measured(which, modes)
    for k in (0, 6, 13):
        _, x = by_autograd(problem, obj, probe, [k], "amplitude")
        lit = illuminate(problem, obj, probe, np.array([k]))
        chi = exit_wave_correction(
            lit.exit_waves, problem.diffraction_amplitude[[k]], problem.mask(np.array([k]))
        )
        row, column = problem.scan_positions_px[k]
        g = (lit.probes.conj() * chi)[0]
        expected = -x.object.grad[row : row + 16, column : column + 16]
        assert_same(g if modes == 1 else g.sum(axis=0), expected)
        assert_same(lit.laid_adjoint(lit.patches.conj() * chi), -x.probe.grad)


PATCH_SOLVERS = {
    "epie": EPIE(),
    "rpie": RPIE(alpha=0.3),
    "mpie": MPIE(alpha=0.3),
    "magpie": MAGPIE(levels=0, alpha=0.3),
    "epie-blind": EPIE(update_probe=True, hold_power=False),
    "rpie-blind": RPIE(alpha=0.3, beta=0.5, update_probe=True, hold_power=False),
}


WITH_MODES = ("epie", "rpie")  # the blind ones turn their modes after the step


@every_problem
@pytest.mark.parametrize(
    ("name", "modes"), [*((name, 1) for name in PATCH_SOLVERS), *((name, 3) for name in WITH_MODES)]
)
def test_patch_solvers_go_down_the_gradient(which, name, modes):
    """The first patch of a sweep moves by minus autograd's gradient times a positive real number a pixel."""
    solver = PATCH_SOLVERS[name]
    if modes > 1:
        solver = dataclasses.replace(solver, probe_modes=modes)
    problem, obj, probe = measured(which, modes)
    problem = dataclasses.replace(problem, start_object=obj, probe=problem.probe if modes > 1 else probe)
    one = problem.part(np.array([5]))
    first = solver.init(one)
    after = solver.step(one, first, np.random.default_rng(0))
    _, x = by_autograd(one, obj, first.probe, [0], "amplitude")
    pairs = [(after.object - obj, -x.object.grad.numpy())]
    if "blind" in name and which == "coherent":  # between pixels its step is one where it lies on the patch
        pairs.append((after.probe - first.probe, -x.probe.grad.numpy()))
    for moved, expected in pairs:
        there = np.abs(expected) > 1e-9 * np.abs(expected).max()
        ratio = moved[there] / expected[there]
        assert ratio.real.min() > 0
        assert np.abs(ratio.imag).max() < TOLERANCE * np.abs(ratio).max()
        assert np.abs(moved[~there]).max(initial=0) < 1e-6 * np.abs(moved).max()


@every_number_of_modes
@every_likelihood
def test_positions(modes, likelihood):
    """Re <a, chi>, of which position correction is made, is minus the gradient to the positions.

    Autograd moves the probe between pixels, ours looks at the object's slope by differences: the two agree to
    the error of those, on smooth objects under a probe that ends before its window.
    """
    problem, _, _ = measured("fractional")
    y, x = (np.mgrid[:40, :40] - 20) / 40
    obj = np.exp(1j * (1.5 * np.sin(3 * y + 1) + np.cos(4 * x - y)))
    y, x = np.mgrid[:16, :16] - 7.5
    probe = np.exp(-(y**2 + x**2) / 6 + 0.02j * (y**2 + 2 * x * y))
    if modes > 1:
        probe = modes_from(probe, modes)
    elsewhere = problem.at(problem.positions_px + np.random.default_rng(0).uniform(-1, 1, (16, 2)))
    counts = intensity_of(fft2(illuminate(elsewhere, obj, probe, slice(None)).exit_waves))
    problem = dataclasses.replace(problem, diffraction_amplitude=np.sqrt(counts), noise=0.01)
    inner = [k for k, corner in enumerate(problem.scan_positions_px) if 0 < corner.min() <= corner.max() < 24]
    batch = np.array(inner)
    assert len(batch) == 4
    _, expected = by_autograd(problem, obj, probe, batch, likelihood)
    now = pulled(problem, obj, probe, batch, LIKELIHOODS[likelihood])
    found = -motion_products(now.lit.patches, now.lit.probes, now.chi)[:, 3:]
    gradient = expected.positions.grad.numpy()[batch]
    assert np.abs(found - gradient).max() < 0.03 * np.abs(gradient).max()
