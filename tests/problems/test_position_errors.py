"""Wrong positions: what is true, what is told, and where both lie."""

from __future__ import annotations

import numpy as np
import pytest
from ptychosuite.errors import StudyError
from ptychosuite.problems.position_errors import PositionErrors, line_numbers, rotation
from ptychosuite.problems.problem_kind import kind_of
from ptychosuite.problems.scans import Raster
from ptychosuite.registry.validation import SettingError

from tests.problems.faulty import intensities, literal, made, spec, truth

RASTER = Raster(step_px=4).positions((96, 96), 16, np.random.default_rng(0)) * 1.0


def errors_of(**settings):
    return PositionErrors(**settings).regular(RASTER)


@pytest.mark.parametrize("rms", [0.4, 1.5])
def test_random_errors_have_their_rms(rms):
    """Along either axis, unrelated between axes and patterns, about the mean, and none out of reach."""
    errors = PositionErrors(random_px=rms).drawn(4000, np.random.default_rng(1))
    np.testing.assert_allclose(errors.std(axis=0), rms, rtol=0.04)
    np.testing.assert_allclose(errors.mean(axis=0), 0, atol=1e-3 * rms)
    assert abs(np.corrcoef(errors.T)[0, 1]) < 0.05
    assert abs(np.corrcoef(errors[1:, 0], errors[:-1, 0])[0, 1]) < 0.05
    assert np.abs(errors).max() <= PositionErrors(random_px=rms).reach_px


def test_drift_is_linear_in_the_order_of_the_scan():
    """From the first position to the last it is what was asked for, in equal steps."""
    errors = errors_of(drift_px=[3.0, -2.0])
    np.testing.assert_allclose(errors[-1] - errors[0], [3, -2])
    np.testing.assert_allclose(
        np.diff(errors, axis=0), np.full((len(RASTER) - 1, 2), [3, -2]) / (len(RASTER) - 1)
    )


def test_backlash_is_between_lines():
    """Every second line of a raster lies further along the columns, rows stay."""
    errors, side = errors_of(backlash_px=2.0), int(np.sqrt(len(RASTER)))
    lines = errors.reshape(side, side, 2)
    np.testing.assert_allclose(lines[1::2, :, 1] - lines[0, 0, 1], 2, atol=1e-12)
    np.testing.assert_allclose(lines[::2, :, 1] - lines[0, 0, 1], 0, atol=1e-12)
    np.testing.assert_allclose(lines[:, :, 0], 0, atol=1e-12)
    np.testing.assert_array_equal(line_numbers(RASTER), np.repeat(np.arange(side), side))


def test_affine_errors():
    """Distances of a rotated scan stay, a stretched one is larger, a sheared one leans; the centre stays."""
    centred = RASTER - RASTER.mean(axis=0)
    turned = centred + errors_of(rotation_deg=30.0)
    np.testing.assert_allclose(np.hypot(*turned.T), np.hypot(*centred.T), atol=1e-12)
    angle = np.arctan2(turned[:, 0], turned[:, 1]) - np.arctan2(centred[:, 0], centred[:, 1])
    far = np.hypot(*centred.T) > 1  # from the columns' axis towards the rows'
    np.testing.assert_allclose(np.exp(1j * angle[far]), np.exp(1j * np.pi / 6), rtol=1e-9)
    np.testing.assert_allclose(errors_of(scale=0.02), 0.02 * centred, atol=1e-12)
    sheared = errors_of(shear_deg=45.0)
    np.testing.assert_allclose(sheared, np.stack([0 * centred[:, 0], centred[:, 0]], axis=-1), atol=1e-12)


def test_solvers_are_told_the_scan_and_data_come_from_the_truth():
    """The patterns are those of the true positions, which differ from those that a problem has."""
    settings = {"position_errors": {"random_px": 1.5, "rotation_deg": 1.0}}
    problem, reference = made(**settings), truth(**settings)
    np.testing.assert_array_equal(problem.positions_px, reference.given_positions_px)
    np.testing.assert_array_equal(problem.positions_px, made().positions_px)  # asked for: no errors in it
    errors = reference.scan_positions_px - reference.given_positions_px
    np.testing.assert_allclose(errors.mean(axis=0), 0, atol=1e-9)
    assert 1 < errors.std() < 2
    np.testing.assert_allclose(intensities(**settings), literal(reference, reference.probe), rtol=1e-10)


def test_same_seed_same_truth():
    """The solver is no part of it, the seed is."""
    settings = {"position_errors": {"random_px": 1.0}}
    assert truth(**settings).name == truth(**settings).name != truth(1, **settings).name


def test_margin_leaves_room():
    """The scan keeps its step and stands free of the border, by as much as the errors can need."""
    reference = truth(position_errors={"random_px": 1.9})
    given = reference.given_positions_px
    assert given.min() == 8
    assert given.max() <= 96 - 32 - 8
    assert (np.diff(np.unique(given[:, 0])) == 8).all()
    assert truth(margin_px=0).given_positions_px is None


def test_too_little_room_is_refused_with_the_margin_that_is_enough():
    """That margin is then accepted, one pixel less is not."""
    settings = {"random_px": 1.5, "scale": 0.05}
    with pytest.raises(SettingError, match="say margin_px: ") as refused:
        kind_of(spec(position_errors=settings, margin_px=0).problem).size()
    assert refused.value.path == ("margin_px",)
    enough = int(refused.value.message.split("margin_px: ")[1].split()[0])
    assert kind_of(spec(position_errors=settings, margin_px=enough).problem).size().n_positions > 4
    with pytest.raises(SettingError, match=f"margin_px: {enough} "):
        kind_of(spec(position_errors=settings, margin_px=enough - 1).problem).size()
    with pytest.raises(SettingError, match="no margin is enough"):
        kind_of(spec(position_errors={"random_px": 20.0}, margin_px=0).problem).size()


def test_rotated_scan_is_told():
    """The whole scan is turned, solvers know; positions are fractions of pixels."""
    problem = made(rotation_deg=5.0, margin_px=10)
    straight = made(margin_px=10)
    centre = np.full(2, (96 - 32) / 2)
    expected = centre + (straight.positions_px - centre) @ rotation(5.0).T
    np.testing.assert_allclose(problem.positions_px, expected, atol=1e-9)
    assert problem.subpixel_shifts_px is not None
    assert problem.reference.given_positions_px is None


def test_jitter_below_a_pixel():
    """Fractions of a pixel where they are asked for, otherwise whole pixels alone."""
    jittered = {"kind": "jittered-raster", "step_px": 8, "jitter_px": 0.4, "subpixel": True}
    moves = made(scan=jittered).positions_px - made().positions_px
    assert 0.2 < np.abs(moves).max() <= 0.4
    with pytest.raises(StudyError, match="say subpixel: on"):
        made(scan=jittered | {"subpixel": False})
