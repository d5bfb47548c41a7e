"""A measured problem: the power of the probe to start from, and the unit of its counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ptychosuite.backends.arrays import backend, to_numpy
from ptychosuite.core.runs import RunSpec
from ptychosuite.errors import DataFileError
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics
from ptychosuite.physics.likelihood import dark_floor
from ptychosuite.problems.build import build_problem
from ptychosuite.registry.lookup import build

from tests.problems.measured import small

M, PHOTONS = 16, 1e5
FEATURE = (slice(14, 20), slice(12, 18))


def scan(tmp_path: Path, unit: float = 1.0, mask: np.ndarray | None = None) -> str:
    """Counts of a probe of known power on an object with one weak feature, ``unit`` for a photon."""
    rng = np.random.default_rng(0)
    positions = np.stack(np.meshgrid(*[np.arange(5) * 4] * 2, indexing="ij"), -1).reshape(-1, 2)
    obj = np.ones((40, 40), complex)
    obj[FEATURE] = np.exp(0.2j)
    waves = np.fft.fft2([true_probe() * obj[r : r + M, c : c + M] for r, c in positions])
    counts = np.fft.fftshift(rng.poisson(np.abs(waves) ** 2), axes=(1, 2)) * unit
    name = f"{unit}-{mask is not None}.h5"
    return small.arrays(tmp_path / name, data=counts, scan=positions, probe=7 * true_probe(), mask=mask)


def true_probe() -> np.ndarray:
    a = np.arange(M) - M // 2
    probe = np.exp(-(a[:, None] ** 2 + a**2) / 18 * (1 - 0.5j))
    return probe * np.sqrt(PHOTONS / M**2 / np.sum(np.abs(probe) ** 2))


def problem_of(path: str, **settings):
    problem = {"kind": "file", "path": path, "positions_unit": "px", "zero_frequency": "centre", **settings}
    return build_problem(RunSpec(problem, {}, {}, dtype="complex128"), backend("numpy"))


@pytest.mark.parametrize("masked", ["nothing", "beam stop", "half"])
def test_a_mask_does_not_change_the_power_of_the_probe(tmp_path, masked):
    """The probe of the file has 49 times the true power; whatever is masked, it starts with the true one."""
    mask = np.ones((M, M), bool)
    if masked == "beam stop":
        mask[M // 2 - 1 : M // 2 + 1, M // 2 - 1 : M // 2 + 1] = False
    elif masked == "half":
        mask[:, : M // 2] = False
    problem = problem_of(scan(tmp_path, mask=mask))
    power = np.sum(np.abs(problem.probe) ** 2) / np.sum(np.abs(true_probe()) ** 2)
    assert power == pytest.approx(1, abs=0.03)


def test_a_probe_that_the_mask_hides_is_refused(tmp_path):
    """A pencil beam that misses all good pixels has no scale."""
    mask = np.ones((M, M), bool)
    mask[M // 2, M // 2] = False
    path = scan(tmp_path, mask=mask)
    flat = tmp_path / "flat.npy"
    np.save(flat, np.ones((M, M), complex))
    with pytest.raises(DataFileError, match="no light to any good pixel"):
        problem_of(path, start_probe={"kind": "file", "path": str(flat)})


@pytest.mark.parametrize("unit", [1e-6, 137.0])
@pytest.mark.parametrize("solver", ["lsqml", "adam"])
def test_poisson_fits_do_not_depend_on_the_unit(tmp_path, unit, solver):
    """Counts in other units, whose size is told: the same object and figures as of counts of photons."""
    settings = {"name": solver, "likelihood": "poisson"}
    found = []
    for one in (1.0, unit):
        problem = problem_of(scan(tmp_path, one), adu_per_photon=one)
        made, rng = build("solvers", settings), np.random.default_rng(0)
        state = made.init(problem)
        for _ in range(3):
            state = made.step(problem, state, rng)
        figures = misfit_metrics(problem, state.object, state.probe, DataConstants.of(problem))
        found.append((state.object, figures["poisson_deviance"], figures["poisson_nll"]))
    (expected, deviance, nll), (obj, *figures) = found
    np.testing.assert_allclose(obj, expected, atol=1e-5)
    assert figures == pytest.approx([deviance, nll], rel=1e-4)


@pytest.mark.parametrize("solver", ["lsqml", "adam"])
def test_normalised_patterns_are_not_taken_for_dark(tmp_path, solver):
    """Counts divided by 1e8, and nobody says so: a Poisson fit comes nearly as far as of counts."""
    seen = (slice(8, 28), slice(8, 28))
    truth, errors = np.ones((40, 40), complex), []
    truth[FEATURE] = np.exp(0.2j)
    for unit in (1.0, 1e-8):
        problem = problem_of(scan(tmp_path, unit))
        made = build("solvers", {"name": solver, "likelihood": "poisson", "update_probe": False})
        state, rng = made.init(problem), np.random.default_rng(0)
        for _ in range(20):
            state = made.step(problem, state, rng)
        obj = state.object[seen]
        errors.append(np.linalg.norm(obj * np.vdot(obj, truth[seen]) / np.vdot(obj, obj) - truth[seen]))
    assert errors[1] < 1.25 * errors[0] < 0.7 * np.linalg.norm(truth[seen] - truth[seen].mean())


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_floor_in_the_dark(library):
    """A hundredth of a photon wherever photons were counted; it follows other units down, and is never 0."""
    counts = np.random.default_rng(0).poisson(3 * np.eye(8), (5, 8, 8)) * 1.0
    counts[3] = 0
    counts[3, 1, 2] = 1  # a single photon
    counts[4] = 0
    chosen = backend(library)
    for scale in (1.0, 0.05):
        floor = dark_floor(chosen.asarray(np.sqrt(counts * scale), "float64"), scale)
        np.testing.assert_allclose(to_numpy(floor), np.full((5, 1, 1), 1e-2 * scale), rtol=1e-12)
    small_unit = to_numpy(dark_floor(chosen.asarray(np.sqrt(counts * 1e-8), "float64"), 1.0)).ravel()
    assert (small_unit[:4] < 0.1e-8).all()
    assert (small_unit > 0).all()
