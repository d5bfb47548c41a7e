"""What Triton compiles for a GPU is the plain form: here by its interpreter, on a GPU by its compiler."""

import importlib
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ptychosuite.backends.arrays import backend, to_numpy
from ptychosuite.backends.compiled import TRITON, modules_of
from ptychosuite.errors import BackendError
from ptychosuite.physics import likelihood
from ptychosuite.solvers import emagpie, multigrid, pie, solver, stacked_sweep

pytestmark = pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")


INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"  # in the process of test_by_the_interpreter


@pytest.fixture(params=["torch"] if INTERPRETED else [pytest.param("torch-cuda", marks=pytest.mark.gpu)])
def device(request):
    """A backend, and the modules of functions for it by name: interpreted on the CPU, compiled on a GPU."""
    try:
        chosen = backend(request.param)
    except BackendError as error:
        pytest.skip(str(error))
    modules = {name.rpartition(".")[2]: importlib.import_module(name) for name in modules_of(TRITON)}
    return SimpleNamespace(chosen=chosen, **modules)


def elsewhere(*arguments, interpreted):
    """Another process: what has imported Triton either interprets or compiles, and stays with it."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        env={**os.environ, "TRITON_INTERPRET": str(int(interpreted))},
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(INTERPRETED, reason="this is that process")
def test_by_the_interpreter():
    """All tests below, on the CPU."""
    said = elsewhere("pytest", "-q", "-p", "no:cacheprovider", __file__, interpreted=True)
    assert " passed" in said


class Arrays:
    """Random arrays in single precision; a tenth of the complex numbers are 0."""

    def __init__(self, chosen):
        self.chosen, self.rng = chosen, np.random.default_rng(0)

    def real(self, *shape):
        return self.chosen.asarray(np.abs(self.rng.standard_normal(shape)), "float32")

    def complex(self, *shape):
        x = self.rng.standard_normal(shape) + 1j * self.rng.standard_normal(shape)
        x[self.rng.random(shape) < 0.1] = 0
        return self.chosen.asarray(x, "complex64")

    def mask(self, *shape):
        return self.chosen.asarray(self.rng.random(shape) > 0.3, "float32")


def same(found, plain, tolerance=1e-5):
    found, plain = to_numpy(found), to_numpy(plain)
    assert found.dtype == plain.dtype
    assert found.shape == plain.shape
    np.testing.assert_allclose(found, plain, rtol=0, atol=tolerance * np.abs(plain).max())


@pytest.mark.parametrize("n_masks", [0, 1, 3])
def test_wave_correction(device, n_masks):
    arrays = Arrays(device.chosen)
    wave, amplitude = arrays.complex(3, 40, 40), arrays.real(3, 40, 40)
    mask = arrays.mask(*[3] * (n_masks == 3), 40, 40) if n_masks else None
    plain = likelihood.wave_correction.__wrapped__(wave, amplitude, mask)
    same(device.likelihood_triton.wave_correction(wave, amplitude, mask), plain)


@pytest.mark.parametrize("n", [1, 4])
def test_direction_and_step(device, n):
    arrays = Arrays(device.chosen)
    Q, chi, z, weights = (
        arrays.complex(n, 24, 24),
        *(arrays.complex(4, 24, 24) for _ in range(2)),
        arrays.real(n, 24, 24),
    )
    same(device.solver_triton.direction(Q, chi), solver.direction.__wrapped__(Q, chi))
    same(device.solver_triton.direction(Q.conj(), chi), solver.direction.__wrapped__(Q.conj(), chi))
    same(device.pie_triton.stepped(z, chi, weights), pie.stepped.__wrapped__(z, chi, weights))
    for alpha in (0.3, arrays.real(4, 1, 1)):
        plain = pie.stepped_along.__wrapped__(Q, z, chi, alpha)
        same(device.pie_triton.stepped_along(Q, z, chi, alpha), plain)


@pytest.mark.parametrize("of_each", [False, True])
def test_regularisation(device, of_each):
    """One regularisation for all images, and one for each."""
    arrays = Arrays(device.chosen)
    Q = arrays.complex(3, 40, 40)
    alpha = arrays.real(3, 1, 1) if of_each else 0.1
    same(device.pie_triton.step_size(Q, alpha), pie.step_size.__wrapped__(Q, alpha))
    for found, plain in zip(
        device.pie_triton.regularisation(Q, alpha), pie.regularisation.__wrapped__(Q, alpha), strict=True
    ):
        same(found, plain)


@pytest.mark.parametrize("n", [1, 4])
def test_geometric_mean(device, n):
    arrays = Arrays(device.chosen)
    a, b = arrays.complex(n, 24, 24), arrays.complex(4, 24, 24)
    # Phases that are nearly opposed have their bisector from a small difference.
    same(device.emagpie_triton.geometric_mean(a, b), emagpie.geometric_mean.__wrapped__(a, b), 1e-4)


def test_weighted_mean(device):
    """Where all patches are dark, the probe stays."""
    arrays = Arrays(device.chosen)
    probe, proposals, patches = arrays.complex(24, 24), *(arrays.complex(4, 24, 24) for _ in range(2))
    patches[:, :3] = 0
    found = device.solver_triton.weighted_mean(probe, proposals, patches)
    same(found, solver.weighted_mean.__wrapped__(probe, proposals, patches))
    np.testing.assert_array_equal(to_numpy(found)[:3], to_numpy(probe)[:3])


@pytest.mark.parametrize(
    ("size", "levels", "probes"),
    [(32, 0, 1), (32, 5, 1), (64, 3, 3), (64, 6, 1), (128, 7, 3), (48, 4, 1), (96, 5, 2), (24, 3, 2)],
)
def test_multigrid(device, size, levels, probes):
    """Coefficients and V-cycle; sizes that are and are not powers of two, levels in a tile and beyond."""
    arrays = Arrays(device.chosen)
    Q, g, z = (
        arrays.complex(probes, size, size),
        *(arrays.complex(max(2, probes), size, size) for _ in range(2)),
    )
    u = 0.1 * arrays.real(probes, size, size)
    plain = multigrid.hierarchy.__wrapped__(Q, u, levels)
    found = device.multigrid_triton.hierarchy(Q, u, levels)
    for one, other in zip(found, plain, strict=True):
        for name, values in vars(other).items():
            if values.numel():
                same(getattr(one, name), values)
    change = multigrid.v_cycle.__wrapped__(g, plain)
    same(device.multigrid_triton.v_cycle(g, found), change)
    same(device.multigrid_triton.v_cycle(g, plain), change)  # a hierarchy of the plain form
    same(multigrid.v_cycle.__wrapped__(g, found), change)
    same(device.multigrid_triton.corrected(z, g, found), z + change)


def test_patches_in_and_out(device):
    """Patches are cut out of several objects and put into them, and the list is gone through in order."""
    arrays = Arrays(device.chosen)
    objects, amplitude, xp = arrays.complex(2, 60, 70), arrays.real(4, 24, 24), device.chosen.library
    visits = np.array([[0, 3, 4, 0, 0, 1], [1, 0, 46, 1, 1, 1], [0, 30, 40, 2, 2, 1], [1, 31, 5, 3, 3, 0]])
    place = xp.asarray(visits, **device.chosen.placement)
    first = xp.asarray([0], **device.chosen.placement)
    forms = device.stacked_sweep_triton
    for n in (3, 1):
        begin = int(first[0])
        here = forms.next_visits(place, first, n)
        np.testing.assert_array_equal(to_numpy(here), visits[begin : begin + n])
        assert int(first[0]) == begin + n
        same(forms.patterns_at(amplitude, here), stacked_sweep.patterns_at.__wrapped__(amplitude, here))
        patches = forms.cut_out(objects, here, 24)
        same(patches, stacked_sweep.cut_out.__wrapped__(objects, here, 24))
        written, plain = objects.clone(), objects.clone()
        forms.put_in(written, here, 2 * patches)
        stacked_sweep.put_in.__wrapped__(plain, here, 2 * patches)
        same(written, plain)


def test_double_precision_goes_the_plain_way(device):
    """To the bit."""
    chosen = device.chosen
    x = np.random.default_rng(1).standard_normal((2, 2, 16, 16))
    Q, chi = (chosen.asarray(part[0] + 1j * part[1], "complex128")[None] for part in (x, x[::-1]))
    same(device.solver_triton.direction(Q, chi), solver.direction.__wrapped__(Q, chi))
    assert device.pie_triton.step_size(Q, 0.1).dtype == Q.real.dtype
    u = pie.regularisation.__wrapped__(Q, 0.1)[1]
    assert isinstance(device.multigrid_triton.hierarchy(Q, u, 2), tuple)


@pytest.mark.skipif(INTERPRETED, reason="it compiles")
def test_kernels_compile_for_a_gpu():
    """Every kernel that there is, without a GPU."""
    compiled = elsewhere("tests.backends.compile_kernels", interpreted=False)
    sources = [Path(importlib.import_module(name).__file__).read_text() for name in modules_of(TRITON)]
    launched = {name for source in sources for name in re.findall(r"(_\w+)\[.*\]\(", source)}
    assert set(compiled.split()) == launched != set()
