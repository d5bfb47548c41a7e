"""Partially coherent light: probe modes in the PIE family."""

import dataclasses

import numpy as np
import pytest
from ptychosuite.backends.arrays import to_numpy
from ptychosuite.metrics.misfit import poisson_deviance
from ptychosuite.solvers.emagpie import EMAGPIE
from ptychosuite.solvers.lsqml import LSQML
from ptychosuite.solvers.multigrid import hierarchy, hierarchy_of_modes, v_cycle
from ptychosuite.solvers.pie import EPIE, RPIE
from ptychosuite.solvers.probe_modes import modes_from, orthogonalised, power, start_modes

from tests.solvers.experiment import POWERS, from_the_truth, suffering_problem
from tests.solvers.test_contract import iterate

SOLVERS = {
    "epie": EPIE,
    "rpie": lambda **settings: RPIE(alpha=0.1, **settings),
    "emagpie": lambda **settings: EMAGPIE(alpha=0.3, levels=2, **settings),
    "lsqml": LSQML,
}


@pytest.fixture(params=SOLVERS)
def family(request):
    return SOLVERS[request.param]


@pytest.mark.parametrize("on", ["numpy", "torch"])
@pytest.mark.parametrize("sweep", ["sequential", "minibatch"])
def test_the_truth_stays(family, on, sweep):
    """True object and modes, data without noise: nothing moves, known or unknown."""
    problem = from_the_truth(suffering_problem(POWERS, on=on))
    for update_probe in (False, True):
        end = iterate(family(probe_modes=3, sweep=sweep, update_probe=update_probe), problem, 2)[-1]
        assert np.abs(to_numpy(end.object) - problem.reference.object).max() < 1e-9
        assert np.abs(to_numpy(end.probe) - to_numpy(problem.probe_modes)).max() < 1e-9


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("known", [True, False])
def test_libraries_agree(family, dtype, known):
    """NumPy's compiled forms and torch's plain ones go the same way."""
    ends = []
    for on in ("numpy", "torch"):
        problem = suffering_problem(POWERS, noise=1.0, known=known, on=on, dtype=dtype)
        ends.append(iterate(family(probe_modes=3, probe_start=1), problem, 2)[-1])
    tolerance = 2e-3 if dtype == "complex64" else 1e-10
    for one, other in zip(*[(to_numpy(end.object), to_numpy(end.probe)) for end in ends], strict=True):
        assert str(one.dtype) == dtype
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * np.abs(one).max())


def test_modes_that_are_one(family):
    """Modes that differ by a factor are one coherent probe: the same object, and the same light."""
    problem = suffering_problem(noise=1.0)
    both = np.stack([np.sqrt(0.7) * problem.probe, np.sqrt(0.3) * 1j * problem.probe])
    split = dataclasses.replace(problem, probe_modes=both)
    alone = iterate(family(update_probe=False), problem, 3)[-1]
    together = iterate(family(update_probe=False, probe_modes=2), split, 3)[-1]
    np.testing.assert_allclose(together.object, alone.object, rtol=0, atol=1e-9)


def test_what_modes_are_for(family):
    """Data of three modes: known ones are met far better than one, and unknown ones are found."""
    for known in (True, False):
        problem = suffering_problem(POWERS, noise=0.05, known=known)
        ends = {n: iterate(family(probe_modes=n), problem, 60)[-1] for n in (1, 3)}
        one, three = (poisson_deviance(problem, end.object, end.probe) for end in ends.values())
        assert three < one / (4 if known else 1.3)
        shares = [power(mode) / power(ends[3].probe) for mode in ends[3].probe]
        np.testing.assert_allclose(shares, POWERS, atol=1e-6 if known else 0.12)
        gram = np.einsum("ayx,byx->ab", ends[3].probe.conj(), ends[3].probe)
        assert np.abs(gram - np.diag(np.diag(gram))).max() < 1e-6 * np.abs(gram).max()


def test_power_is_held():
    """By default the light of all modes stays as strong as it was, and what the data see does not change."""
    problem = suffering_problem(POWERS, noise=1.0, known=False)
    held, free = (iterate(RPIE(alpha=0.1, probe_modes=2, hold_power=h), problem, 4) for h in (None, False))
    assert power(held[-1].probe) == pytest.approx(power(problem.probe), rel=1e-9)
    assert power(free[-1].probe) != pytest.approx(power(problem.probe), rel=1e-3)
    deviances = [poisson_deviance(problem, states[-1].object, states[-1].probe) for states in (held, free)]
    assert deviances[0] == pytest.approx(deviances[1], rel=1e-6)


def test_power_of_nothing_stays():
    """A probe that has vanished, or is not finite, is left to the loop's judgement."""
    problem = suffering_problem(known=False)
    for bad in (0.0, np.nan):
        state = dataclasses.replace(EPIE().init(problem), probe=problem.probe * bad)
        after = EPIE().settled(problem, dataclasses.replace(state, object=state.object.copy()))
        np.testing.assert_array_equal(after.object, problem.start_object)


def test_start_modes():
    """Known ones, or ones made of the probe: orthogonal, the probe first, as strong as the probe together."""
    problem = suffering_problem(POWERS)
    assert start_modes(problem, 1) is problem.probe
    np.testing.assert_allclose(start_modes(problem, 3), problem.probe_modes, atol=1e-12)
    assert power(start_modes(problem, 2)) == pytest.approx(power(problem.probe))
    modes = modes_from(problem.probe, 6)
    gram = np.einsum("ayx,byx->ab", modes.conj(), modes)
    assert np.trace(gram).real == pytest.approx(power(problem.probe))
    assert np.abs(gram - np.diag(np.diag(gram))).max() < 1e-9 * power(problem.probe)
    ratio = modes[0] / np.where(problem.probe == 0, 1, problem.probe)
    assert np.ptp(np.abs(ratio)) < 1e-12


def test_more_modes_than_are_known_are_updated():
    """Two known modes are enough for two; of three none is the true one, and all are found."""
    problem = suffering_problem(POWERS[:2])
    for n_modes, moves in ((1, False), (2, False), (3, True)):
        solver = EPIE(probe_modes=n_modes)
        assert solver.moves_probe(problem, solver.init(problem)) is moves


@pytest.mark.parametrize("on", ["numpy", "torch"])
def test_orthogonalised_is_the_same_light(on):
    """A mixture has the mutual intensity that it had, orthogonal and in the order of power."""
    from ptychosuite.backends.arrays import backend

    rng = np.random.default_rng(0)
    mixed = rng.standard_normal((3, 8, 8)) + 1j * rng.standard_normal((3, 8, 8))
    found = to_numpy(orthogonalised(backend(on).asarray(mixed)))
    flat, before = found.reshape(3, -1), mixed.reshape(3, -1)
    np.testing.assert_allclose(flat.T @ flat.conj(), before.T @ before.conj(), atol=1e-12)
    gram = flat.conj() @ flat.T
    powers = np.diag(gram).real
    assert np.abs(gram - np.diag(powers)).max() < 1e-10
    assert (np.diff(powers) < 0).all()
    np.testing.assert_allclose(orthogonalised(found), found, atol=1e-12)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_hierarchy_of_modes(dtype):
    """The compiled form is the plain one; modes that differ by a factor are the plain hierarchy."""
    rng = np.random.default_rng(0)
    probes = (rng.standard_normal((2, 3, 16, 16)) + 1j * rng.standard_normal((2, 3, 16, 16))).astype(dtype)
    probes[:, :, :4, :4] = 0
    real = probes.real.dtype
    u, g = rng.random((2, 1, 16, 16)).astype(real), probes[:, :1] + 0.5
    plain = v_cycle.__wrapped__(g, hierarchy_of_modes.__wrapped__(probes, u, 3))
    tolerance = 1e-4 if dtype == "complex64" else 1e-12
    np.testing.assert_allclose(v_cycle(g, hierarchy_of_modes(probes, u, 3)), plain, rtol=0, atol=tolerance)
    alone = v_cycle(g[:, 0], hierarchy(probes[:, 0], u[:, 0], 3))
    same = np.stack([0.6 * probes[:, 0], 0.8j * probes[:, 0]], axis=1)
    np.testing.assert_allclose(
        v_cycle(g, hierarchy_of_modes(same, u, 3))[:, 0], alone, rtol=0, atol=tolerance
    )
