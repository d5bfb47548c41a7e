"""The sweep: colour groups, minibatches, probe updates, bad pixels, positions between pixels."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ptychosuite.backends.arrays import to_numpy
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics
from ptychosuite.physics.forward import diffraction_intensity, extract_patches
from ptychosuite.registry.lookup import build
from ptychosuite.solvers.batches import put_patches
from ptychosuite.solvers.emagpie import EMAGPIE
from ptychosuite.solvers.lbfgs import misfit_and_gradient
from ptychosuite.solvers.lsqml import LSQML
from ptychosuite.solvers.magpie import MAGPIE
from ptychosuite.solvers.mpie import MPIE
from ptychosuite.solvers.pie import EPIE, RPIE
from ptychosuite.solvers.scan_geometry import colour_groups
from ptychosuite.solvers.solver import PatchSolver
from ptychosuite.solvers.sweep import cut_into_batches, sweep

from tests.conftest import small_problem
from tests.oracles.magpie_literal import revised_exit_wave
from tests.physics.test_forward import complex_random, fractional_problem, shifted
from tests.solvers.test_contract import EPSILON, SOLVERS, iterate, largest_difference

KNOWN = {
    "epie": EPIE(update_probe=False),
    "rpie": RPIE(alpha=0.1, update_probe=False),
    "magpie": MAGPIE(alpha=0.1, levels=4),
    "emagpie": EMAGPIE(levels=3, update_probe=False),
}
JOINT = {
    "epie": EPIE(),
    "rpie": RPIE(alpha=0.1),
    "rpie-minibatch": RPIE(alpha=0.1, sweep="minibatch", batch=4),
    "emagpie": EMAGPIE(levels=2),
    "emagpie-colours": EMAGPIE(levels=2, sweep="colour-groups"),
    "lsqml": LSQML(batch=4),
    "lsqml-poisson": LSQML(batch=4, likelihood="poisson"),
}
SWEEPS = ["sequential", "colour-groups", "minibatch"]
PROBLEMS = {"whole": small_problem, "fractional": fractional_problem}


# at the truth Adam's steps are as long as ever: tests/solvers/test_adam.py
STAYING = [name for name, settings in SOLVERS.items() if settings["name"] != "adam"]


def one_sweep(solver, problem, batches):
    """Object and probe after one pass over ``batches`` by the updates of ``solver``."""
    state = solver.init(problem)
    return sweep(solver, problem, state.object, state.probe, batches, solver.moves_probe(problem, state))


# Batches


@pytest.mark.parametrize("positions", PROBLEMS)
@pytest.mark.parametrize("solver", KNOWN)
def test_colour_groups_are_a_sequential_sweep(each_backend, solver, positions):
    """With a known probe, whole groups at once give what their members give one after the other."""
    problem = PROBLEMS[positions](each_backend, noise=0.5, flat_start=False)
    order = np.random.default_rng(3).permutation(problem.n_positions)
    groups = colour_groups(problem.scan_positions_px, problem.probe_size, order)
    assert max(map(len, groups)) > 1
    found, kept = one_sweep(KNOWN[solver], problem, groups)
    expected, _ = one_sweep(KNOWN[solver], problem, np.concatenate(groups)[:, None])
    assert largest_difference(found, expected) < 1e-12 * np.abs(to_numpy(expected)).max()
    assert kept is problem.probe


@settings(deadline=None, max_examples=80)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=25),
    st.integers(1, 12),
    st.randoms(use_true_random=False),
)
def test_colour_groups_never_overlap(positions, size, random):
    """No pixel is seen twice in a group, and the groups hold every position once, doubles included."""
    order = list(range(len(positions)))
    random.shuffle(order)
    groups = colour_groups(np.array(positions), size, np.array(order))
    assert sorted(np.concatenate(groups).tolist()) == sorted(order)
    for group in groups:
        seen = np.zeros((45, 45), int)
        for k in group:
            row, column = positions[k]
            seen[row : row + size, column : column + size] += 1
        assert seen.max() == 1


@pytest.mark.parametrize("kind", SWEEPS)
@pytest.mark.parametrize("batch", [1, 2, 5, 100])
def test_batches_cover_every_position_once(kind, batch):
    """Whatever the cut, each position takes part once; no batch is too long; the order changes."""
    problem = small_problem()
    cuts = []
    for seed in (0, 0, 1):
        rng = np.random.default_rng(seed)
        cut = list(cut_into_batches(kind, problem.scan_positions_px, problem.probe_size, batch, rng))
        assert sorted(np.concatenate(cut).tolist()) == list(range(problem.n_positions))
        assert max(map(len, cut)) <= (1 if kind == "sequential" else batch)
        cuts.append(np.concatenate(cut).tolist())
    assert cuts[0] == cuts[1]
    assert cuts[0] != cuts[2]


@pytest.mark.parametrize("solver", KNOWN)
def test_minibatch_without_overlap_is_sequential(solver):
    """A batch of patches that do not overlap is exact, not an approximation."""
    problem = small_problem(noise=0.5, step=16, object_size=50, flat_start=False)
    order = np.random.default_rng(0).permutation(problem.n_positions)
    found, _ = one_sweep(KNOWN[solver], problem, [order])
    expected, _ = one_sweep(KNOWN[solver], problem, order[:, None])
    assert largest_difference(found, expected) < 1e-12


@pytest.mark.parametrize("solver", [s for s in KNOWN if s != "epie"])
def test_step_is_the_sweep_over_its_batches(solver):
    """``step`` cuts the scan with its generator and sweeps; sequential and colour groups both."""
    problem = small_problem(noise=0.5, flat_start=False)
    for kind in SWEEPS:
        chosen = dataclasses.replace(KNOWN[solver], sweep=kind, batch=3)
        rng = np.random.default_rng(4)
        batches = list(cut_into_batches(kind, problem.scan_positions_px, problem.probe_size, 3, rng))
        expected, _ = one_sweep(chosen, problem, batches)
        found = chosen.step(problem, chosen.init(problem), np.random.default_rng(4)).object
        np.testing.assert_array_equal(found, expected)


# Putting patches back


@pytest.mark.parametrize("own_probes", [False, True])
def test_overlapping_patches_are_a_weighted_mean(each_backend, own_probes):
    """Each object pixel takes sum |Q_k|^2 z_k / sum |Q_k|^2; unlit pixels stay, the rest is not touched."""
    rng = np.random.default_rng(0)
    positions = np.array([[2, 3], [4, 4], [2, 7], [9, 9]])
    obj, patches = complex_random(rng, 16, 18), complex_random(rng, 4, 6, 6)
    illumination = complex_random(rng, 4 if own_probes else 1, 6, 6)
    illumination[:, :2, :3] = 0
    expected = obj.copy()
    for row in range(16):
        for column in range(18):
            total = norm = 0
            for k, (top, left) in enumerate(positions):
                i, j = row - top, column - left
                if 0 <= i < 6 and 0 <= j < 6:
                    weight = abs(illumination[k if own_probes else 0, i, j]) ** 2
                    total, norm = total + weight * patches[k, i, j], norm + weight
            if norm > 0:
                expected[row, column] = total / norm
    found = each_backend.asarray(obj)
    put_patches(found, each_backend.asarray(patches), each_backend.asarray(illumination), positions)
    np.testing.assert_allclose(to_numpy(found), expected, rtol=0, atol=1e-13)


class Stays(PatchSolver):
    """Proposes what is there."""

    def object_weights(self, Q):
        return 0

    def new_patches(self, z, g, weights):
        return z + weights * g

    def new_probes(self, Q, z, chi):
        return Q + 0 * z * chi


@pytest.mark.parametrize("positions", PROBLEMS)
def test_proposals_that_agree_are_their_own_mean(each_backend, positions):
    """A minibatch whose patches all propose what is there leaves object and probe as they are."""
    problem = PROBLEMS[positions](each_backend, flat_start=False)
    everything = [np.arange(problem.n_positions)]
    obj, probe = sweep(Stays(), problem, problem.start_object, problem.probe, everything, moves_probe=True)
    assert largest_difference(obj, problem.start_object) < 1e-14
    assert largest_difference(probe, problem.probe) < 1e-14


def test_patches_that_do_not_overlap_are_copied():
    """Alone on its pixels, a patch is written as it is, unlit pixels too."""
    obj, patches = np.zeros((8, 8), complex), complex_random(np.random.default_rng(0), 2, 4, 4)
    positions = np.array([[0, 0], [4, 3]])
    put_patches(obj, patches, np.zeros((1, 4, 4), complex), positions)
    np.testing.assert_array_equal(extract_patches(obj, positions, 4), patches)


# Joint updates


def literal_pass(problem, batches, alpha, beta):
    """ePIE and rPIE for object and probe, pattern by pattern; batches end in weighted means."""
    m = problem.probe_size
    obj, probe = problem.start_object.copy(), problem.probe.copy()
    shifts = problem.subpixel_shifts_px
    for batch in batches:
        total, norm = np.zeros_like(obj), np.zeros(obj.shape)
        probe_total, probe_norm = np.zeros_like(probe), np.zeros(probe.shape)
        for k in batch:
            row, column = problem.scan_positions_px[k]
            here = (slice(row, row + m), slice(column, column + m))
            local = probe if shifts is None else shifted(probe, shifts[k])
            patch = obj[here]
            chi = revised_exit_wave(local * patch, problem.diffraction_amplitude[k]) - local * patch
            lit, dense = np.abs(local) ** 2, np.abs(patch) ** 2
            new_patch = patch + np.conj(local) * chi / ((1 - alpha) * lit + alpha * lit.max())
            new_probe = local + np.conj(patch) * chi / ((1 - beta) * dense + beta * dense.max())
            new_probe = new_probe if shifts is None else shifted(new_probe, -shifts[k])
            weight = lit if len(batch) > 1 else np.ones_like(lit)
            total[here] += weight * new_patch
            norm[here] += weight
            weight = dense if len(batch) > 1 else np.ones_like(dense)
            probe_total += weight * new_probe
            probe_norm += weight
        obj = np.where(norm > 0, total / np.where(norm > 0, norm, 1), obj)
        probe = np.where(probe_norm > 0, probe_total / np.where(probe_norm > 0, probe_norm, 1), probe)
    return obj, probe


@pytest.mark.parametrize("positions", PROBLEMS)
@pytest.mark.parametrize(("kind", "batch"), [("sequential", 1), ("minibatch", 3), ("minibatch", 16)])
@pytest.mark.parametrize(
    ("solver", "alpha", "beta"),
    [(EPIE, 1.0, 1.0), (RPIE, 0.2, 0.6), (RPIE, 0.02, 0.1)],
    ids=["epie", "rpie", "rpie-bold"],
)
def test_joint_updates_are_the_papers(positions, kind, batch, solver, alpha, beta):
    """Object and probe follow the formulas, both from the same z_k, Q and R_k - psi_k."""
    problem = PROBLEMS[positions](noise=0.5, flat_start=False)
    regularised = {} if solver is EPIE else {"alpha": alpha, "beta": beta}
    chosen = solver(sweep=kind, batch=batch, update_probe=True, hold_power=False, **regularised)
    rng = np.random.default_rng(8)
    batches = list(cut_into_batches(kind, problem.scan_positions_px, problem.probe_size, batch, rng))
    obj, probe = literal_pass(problem, batches, alpha, beta)
    found = chosen.step(problem, chosen.init(problem), np.random.default_rng(8))
    np.testing.assert_allclose(found.object, obj, rtol=0, atol=1e-10 * np.abs(obj).max())
    np.testing.assert_allclose(found.probe, probe, rtol=0, atol=1e-10 * np.abs(probe).max())


@pytest.mark.parametrize("solver", JOINT)
@pytest.mark.parametrize("probe_known", [True, False])
@pytest.mark.parametrize("update_probe", [None, True, False])
def test_probe_moves_where_it_is_meant_to(solver, probe_known, update_probe):
    """Null follows the problem, on moves the probe, off keeps it bit for bit."""
    problem = dataclasses.replace(small_problem(noise=0.5), probe_known=probe_known)
    chosen = dataclasses.replace(JOINT[solver], update_probe=update_probe)
    probe = iterate(chosen, problem, 2)[-1].probe
    moves = (not probe_known) if update_probe is None else update_probe
    assert np.array_equal(probe, problem.probe) is not moves
    assert np.isfinite(probe).all()


@pytest.mark.parametrize("solver", JOINT)
def test_probe_waits_for_its_start(each_backend, solver):
    """The probe stays for ``probe_start`` iterations, the object as with a known probe, then both move."""
    problem = small_problem(each_backend, noise=0.5, flat_start=False)
    waiting, fixed = (
        dataclasses.replace(JOINT[solver], update_probe=update, probe_start=start)
        for update, start in ((True, 2), (False, 0))
    )
    states, still = iterate(waiting, problem, 3), iterate(fixed, problem, 2)
    for state, other in zip(states[:3], still, strict=True):
        np.testing.assert_array_equal(to_numpy(state.probe), to_numpy(problem.probe))
        np.testing.assert_array_equal(to_numpy(state.object), to_numpy(other.object))
    assert largest_difference(states[3].probe, problem.probe) > 1e-6


# Bad pixels and positions between pixels


@pytest.mark.parametrize("positions", PROBLEMS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_bad_pixels_take_no_part(each_backend, solver, positions):
    """Other values on bad detector pixels change neither a state nor a metric, bit for bit."""
    plain = PROBLEMS[positions](noise=0.5, flat_start=False)
    mask = fractional_problem(masked=True).detector_mask
    rng = np.random.default_rng(5)
    spoilt = np.where(mask > 0, plain.diffraction_amplitude, rng.uniform(0, 60, mask.shape))
    assert np.abs(spoilt - plain.diffraction_amplitude).max() > 10
    chosen = build("solvers", SOLVERS[solver])
    ends, figures = [], []
    for amplitude in (plain.diffraction_amplitude, spoilt):
        problem = dataclasses.replace(
            plain,
            diffraction_amplitude=each_backend.asarray(amplitude),
            detector_mask=each_backend.asarray(mask),
            probe=each_backend.asarray(plain.probe),
            start_object=each_backend.asarray(plain.start_object),
        )
        state = iterate(chosen, problem, 2)[-1]
        ends.append(state)
        figures.append(misfit_metrics(problem, state.object, state.probe, DataConstants.of(problem)))
    np.testing.assert_array_equal(to_numpy(ends[0].object), to_numpy(ends[1].object))
    np.testing.assert_array_equal(to_numpy(ends[0].probe), to_numpy(ends[1].probe))
    assert figures[0] == figures[1]


@pytest.mark.parametrize("solver", SOLVERS)
def test_mask_of_good_pixels_changes_nothing(solver):
    """A mask without a bad pixel is no mask."""
    problem = small_problem(noise=0.5, flat_start=False)
    masked = dataclasses.replace(problem, detector_mask=np.ones((16, 16)))
    one, other = (iterate(build("solvers", SOLVERS[solver]), p, 2)[-1] for p in (problem, masked))
    np.testing.assert_array_equal(one.object, other.object)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("solver", STAYING)
def test_truth_between_pixels_is_a_fixed_point(each_backend, solver, dtype, masked):
    """From the true object and probe, noiseless data at fractional positions move neither."""
    problem = fractional_problem(each_backend, dtype, masked=masked)
    truth = each_backend.asarray(problem.reference.object, dtype)
    problem = dataclasses.replace(problem, start_object=truth)
    end = iterate(build("solvers", SOLVERS[solver]), problem, 3)[-1]
    assert largest_difference(end.object, truth) < 30 * EPSILON[dtype]
    assert largest_difference(end.probe, problem.probe) < 30 * EPSILON[dtype]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("noise", [0, 0.2])
def test_residual_falls_between_pixels(solver, noise):
    """Five iterations from a flat object at least halve the residual at fractional positions."""
    problem = fractional_problem(noise=noise)
    constants = DataConstants.of(problem)
    first, *_, last = iterate(build("solvers", SOLVERS[solver]), problem, 5)
    residual = [misfit_metrics(problem, s.object, s.probe, constants)["residual"] for s in (first, last)]
    assert residual[1] < 0.5 * residual[0]


def whole_shift_problems():
    """One measurement told in two ways: whole positions, or others with the rest as whole shifts."""
    base = small_problem(object_size=48, flat_start=False)
    inside = base.scan_positions_px.min(axis=1) >= 4
    inside &= base.scan_positions_px.max(axis=1) <= 28
    positions = base.scan_positions_px[inside]
    shifts = 2 * np.random.default_rng(0).integers(-1, 2, positions.shape)
    probe = np.pad(base.reference.probe[4:12, 4:12], 4)
    intensity = diffraction_intensity(base.reference.object, probe, positions)
    amplitude = np.sqrt(0.5 * np.random.default_rng(1).poisson(intensity / 0.5))
    whole = dataclasses.replace(
        base, diffraction_amplitude=amplitude, scan_positions_px=positions, probe=probe, noise=0.5
    )
    moved = dataclasses.replace(
        whole, scan_positions_px=positions - shifts, subpixel_shifts_px=shifts.astype(float)
    )
    return whole, moved


@pytest.mark.parametrize(
    "solver",
    [
        EPIE(),
        RPIE(alpha=0.1),
        MPIE(alpha=0.1, interval=3),
        MAGPIE(alpha=0.1, levels=1),
        EMAGPIE(levels=0),
        EMAGPIE(levels=1),
        RPIE(alpha=0.1, sweep="minibatch", batch=4),
        LSQML(batch=4),
        LSQML(batch=4, likelihood="poisson"),
    ],
    ids=str,
)
def test_whole_shifts_are_whole_positions(solver):
    """Whole pixels given as shifts of a probe with a dark margin give what the positions themselves give."""
    one, other = (iterate(solver, problem, 3)[-1].object for problem in whole_shift_problems())
    np.testing.assert_allclose(other, one, rtol=0, atol=1e-9)
    assert np.abs(one - whole_shift_problems()[0].start_object).max() > 0.01


def test_whole_shifts_have_the_gradient_of_whole_positions():
    """The same for the misfit that L-BFGS lowers and for its gradient."""
    (misfit, gradient), (other, moved) = (
        misfit_and_gradient(p, p.start_object) for p in whole_shift_problems()
    )
    assert other == pytest.approx(misfit, rel=1e-12)
    np.testing.assert_allclose(moved, gradient, rtol=0, atol=1e-11)


@pytest.mark.parametrize("batch", [1, 3, 16, 32, 50, 100])
@pytest.mark.parametrize("n_positions", [100, 121, 169, 516])
def test_a_part_of_a_scan_takes_as_many_steps(n_positions, batch):
    """Where the fast-forward is judged in the middle: never one more, for what is left over."""
    part = 25
    narrowed = EPIE(sweep="minibatch", batch=batch).in_part(part / n_positions)
    whole, here = math.ceil(n_positions / batch), math.ceil(part / narrowed.batch)
    assert here <= whole
    assert here == min(whole, part) or narrowed.batch == math.ceil(part / here)
    assert EPIE().in_part(0.25) == EPIE()  # one pattern a step, as ever
