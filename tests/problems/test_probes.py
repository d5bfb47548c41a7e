"""Simulated probes."""

import numpy as np
import pytest
from ptychosuite.errors import UserError
from ptychosuite.problems.probes import POWER, Disk, FresnelZonePlate, Gaussian, Lens
from scipy.integrate import quad_vec
from scipy.special import j0

PROBES = [
    FresnelZonePlate(size=32),
    FresnelZonePlate(size=24, defocus_m=0.0, beam_stop_diameter_m=0.0, power=2.0),
    Gaussian(size=32, fwhm_px=9.0, curvature=1.0),
    Gaussian(size=9),
    Disk(size=32, diameter_px=12.0, power=1.0),
    Disk(size=8, diameter_px=100.0),
    Lens(size=32, aperture_px=8.0),
    Lens(
        size=25,
        aperture_px=6.0,
        corners=4,
        stop_share=0.3,
        astigmatism_rad=1.0,
        coma_rad=1.0,
        spherical_rad=2.0,
    ),
]


@pytest.mark.parametrize("settings", PROBES, ids=repr)
def test_probes_have_their_power(settings):
    """Finite complex squares of the given total power, the same every time."""
    probe = settings.make()
    assert probe.shape == (settings.size, settings.size)
    assert probe.dtype == "complex128"
    assert np.isfinite(probe).all()
    assert np.sum(np.abs(probe) ** 2) == pytest.approx(settings.power)
    np.testing.assert_array_equal(probe, settings.make())


def test_default_power_is_the_papers():
    """300 in the units of the intensity."""
    assert POWER == 300
    assert {type(p)().power for p in PROBES} == {POWER}


def test_gaussian():
    """Half the intensity at half the width, the given curvature there, centre at size // 2."""
    probe = Gaussian(size=64, fwhm_px=20.0, curvature=0.7).make()
    assert np.unravel_index(np.abs(probe).argmax(), probe.shape) == (32, 32)
    edge, centre = probe[32, 42], probe[32, 32]
    assert abs(edge / centre) ** 2 == pytest.approx(0.5)
    assert np.angle(edge / centre) == pytest.approx(0.7)


def test_disk():
    """Flat inside, 0 outside, of the area of the circle."""
    disk = np.abs(Disk(size=64, diameter_px=40.0).make())
    assert np.sum(disk / disk.max()) == pytest.approx(np.pi * 20**2, rel=0.01)
    np.testing.assert_array_equal(disk[32, 14:51], disk[32, 32])
    assert disk[32, 10] == disk[32, 54] == 0


@pytest.mark.parametrize(("defocus", "spherical"), [(0.0, 0.0), (6.0, 0.0), (-4.0, 3.0)])
def test_round_lens_is_the_diffraction_integral(defocus, spherical):
    """The Hankel transform of the aperture, but for what its soft edge of a pixel changes."""
    size, radius = 256, 60.0
    lens = Lens(size=size, aperture_px=radius, defocus_rad=defocus, spherical_rad=spherical).make()
    found = lens[size // 2, size // 2 : size // 2 + 24]
    r = np.arange(24)

    def ring(rho):
        return (
            np.exp(-1j * (defocus * rho**2 + spherical * rho**4))
            * j0(2 * np.pi * radius * rho * r / size)
            * rho
        )

    expected, _ = quad_vec(ring, 0, 1)
    factor = np.vdot(expected, found) / np.vdot(expected, expected)
    assert np.linalg.norm(found - factor * expected) < 0.01 * np.linalg.norm(found)


def test_square_lens_is_a_product_of_sines():
    """Crossed slits, their sides along the axes: sin(x)/x along rows times that along columns."""
    size, side = 256, 90.0
    lens = Lens(
        size=size, aperture_px=side / np.sqrt(2), corners=4, rotation_rad=np.pi / 4, defocus_rad=0.0
    ).make()
    slit = np.sinc(side * (np.arange(size) - size // 2) / size)
    expected = np.outer(slit, slit)
    factor = np.vdot(expected, lens) / np.vdot(expected, expected)
    near = (slice(size // 2 - 20, size // 2 + 21),) * 2
    assert np.abs(lens - factor * expected)[near].max() < 0.01 * np.abs(lens).max()


def test_directions_of_a_lens():
    """Astigmatism repeats after half a turn, coma after a whole one; angles count from columns to rows."""

    def modulus_of_lens(**settings):
        return np.abs(Lens(size=33, aperture_px=9.0, defocus_rad=3.0, **settings).make())

    along, across = (modulus_of_lens(astigmatism_rad=2.0, astigmatism_angle_rad=a) for a in (0.0, np.pi / 2))
    np.testing.assert_allclose(along, across.T, atol=1e-9)
    assert not np.allclose(along, across)
    right, down, left = (modulus_of_lens(coma_rad=2.0, coma_angle_rad=a) for a in (0.0, np.pi / 2, np.pi))
    np.testing.assert_allclose(right, down.T, atol=1e-9)
    np.testing.assert_allclose(right, left[:, ::-1], atol=1e-9)
    assert not np.allclose(right, left)


def direct_zone_plate(p, fine=4):
    """The Fresnel integral from pupil to sample as a plain double sum, at the probe's pixels."""
    n, pixel = fine * p.size, p.pixel_m / fine
    focal = 2 * p.outer_radius_m * p.outermost_zone_m / p.wavelength_m
    distance = focal + p.defocus_m
    xi = (np.arange(n) - n // 2) * p.wavelength_m * distance / (n * pixel)
    x = (np.arange(p.size) - p.size // 2) * p.pixel_m
    radius2 = xi[:, None] ** 2 + xi[None, :] ** 2
    open_ = (radius2 <= p.outer_radius_m**2) & (radius2 >= (p.beam_stop_diameter_m / 2) ** 2)
    lens = np.exp(-1j * np.pi / (p.wavelength_m * focal) * radius2)
    spread = np.exp(1j * np.pi / (p.wavelength_m * distance) * (x[:, None] - xi[None, :]) ** 2)
    field = spread @ (open_ * lens) @ spread.T
    return field * np.sqrt(p.power / np.sum(np.abs(field) ** 2))


@pytest.mark.parametrize("defocus_m", [-0.7e-3, 0.0, 0.4e-3])
def test_zone_plate_is_the_fresnel_integral(defocus_m):
    """Lens phase and Fresnel kernel summed directly give the same field, phases included."""
    settings = FresnelZonePlate(size=32, defocus_m=defocus_m)
    np.testing.assert_allclose(settings.make(), direct_zone_plate(settings), rtol=0, atol=1e-8)


def test_zone_plate_against_the_continuous_pupil():
    """The radial profile is the Hankel integral over the annulus: the pupil's grid is fine enough."""
    p = FresnelZonePlate()
    probe = np.abs(p.make())
    focal = 2 * p.outer_radius_m * p.outermost_zone_m / p.wavelength_m
    distance = focal + p.defocus_m
    r = np.arange(40) * p.pixel_m
    curvature = np.pi / p.wavelength_m * (1 / distance - 1 / focal)

    def integrand(rho):
        return rho * np.exp(1j * curvature * rho**2) * j0(2 * np.pi * rho * r / (p.wavelength_m * distance))

    exact = np.abs(quad_vec(integrand, p.beam_stop_diameter_m / 2, p.outer_radius_m, limit=500)[0])
    rows = np.stack([probe[64, 64:104], probe[64, 64:24:-1], probe[64:104, 64], probe[64:24:-1, 64]])
    profile = rows.mean(axis=0)
    np.testing.assert_allclose(profile / np.linalg.norm(profile), exact / np.linalg.norm(exact), atol=0.03)


def test_zone_plate_ring():
    """By geometry 0.7 mm before the focus the light is a ring of 1.4 um, 35 pixels of 40 nm."""
    power = np.abs(FresnelZonePlate().make()) ** 2
    y, x = np.indices(power.shape) - 64
    radius = np.hypot(y, x)
    share = {r: power[radius <= r].sum() / POWER for r in (5, 10, 20)}
    assert share[5] < 0.05
    assert share[20] - share[10] > 0.7
    shells = np.array([power[(radius >= r - 0.5) & (radius < r + 0.5)].mean() for r in range(40)])
    edge = np.flatnonzero(shells > shells.max() / 4).max() + 0.5  # a straight edge's shadow begins at 1/4
    assert 2 * edge == pytest.approx(35, abs=4)


def test_zone_plate_that_lets_nothing_through():
    """A beam stop as wide as the lens is refused, not turned into NaN."""
    with pytest.raises((UserError, ValueError)):
        FresnelZonePlate(size=16, beam_stop_diameter_m=200e-6).make()


@pytest.mark.parametrize("size", [24, 25])
@pytest.mark.parametrize("kind", [FresnelZonePlate, Gaussian, Disk, Lens])
def test_round_probes_are_centred_at_odd_sizes_as_at_even_ones(kind, size):
    """Turned by half a turn about the pixel [size // 2, size // 2] they are the same."""
    probe = kind(size=size).make()[
        (size + 1) % 2 :, (size + 1) % 2 :
    ]  # the first row of an even one is alone
    np.testing.assert_allclose(probe, probe[::-1, ::-1], atol=1e-9 * np.abs(probe).max())
