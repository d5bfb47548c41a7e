"""Simulated scans."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ptychosuite.problems.scans import FermatSpiral, JitteredRaster, Raster

SCANS = [Raster(), Raster(step_px=7), JitteredRaster(), JitteredRaster(0.8, jitter_px=30), FermatSpiral()]


def lay(scan, shape=(64, 80), probe_size=16, seed=0):
    return scan.positions(shape, probe_size, np.random.default_rng(seed))


@pytest.mark.parametrize("scan", SCANS, ids=repr)
@pytest.mark.parametrize("shape", [(64, 80), (16, 16), (17, 40)])
def test_scans_stay_inside(scan, shape):
    """Whole pixels, every patch inside the object, at least one, the same for the same generator."""
    positions = lay(scan, shape)
    assert positions.dtype == np.int64
    assert positions.ndim == 2
    assert positions.shape[1] == 2
    assert len(positions) >= 1
    assert (positions >= 0).all()
    assert (positions + 16 <= shape).all()
    np.testing.assert_array_equal(positions, lay(scan, shape))


@settings(max_examples=40, deadline=None)
@given(st.integers(8, 40), st.integers(0, 60), st.integers(1, 40))
def test_raster_count(probe_size, more, step):
    """(1 + floor((H - m) / step))^2 positions at multiples of the step."""
    positions = lay(Raster(step_px=step), (probe_size + more,) * 2, probe_size)
    assert len(positions) == (1 + more // step) ** 2
    assert (positions % step == 0).all()
    assert len(np.unique(positions, axis=0)) == len(positions)


@pytest.mark.parametrize(
    ("overlap", "step", "count"),
    [(0.5, 64, 49), (0.25, 96, 25), (0.75, 32, 169), (0, 128, 16), (0.999, 1, None)],
)
def test_the_papers_overlaps(overlap, step, count):
    """Overlap 1 - step / m: 49, 25 and 169 positions on 512 pixels with a probe of 128."""
    room = (512, 512) if count else (130, 130)
    positions = lay(Raster(overlap), room, 128)
    assert np.unique(np.diff(np.unique(positions[:, 0]))).tolist() == [step]
    assert len(positions) == (count or 9)
    np.testing.assert_array_equal(positions, lay(Raster(0.1, step_px=step), room, 128))


def test_raster_runs_along_rows():
    """Columns run fastest, from the first pixel on."""
    np.testing.assert_array_equal(lay(Raster(), (24, 32)), [[0, 0], [0, 8], [0, 16], [8, 0], [8, 8], [8, 16]])


@pytest.mark.parametrize("jitter", [0, 1, 4])
def test_jitter_is_bounded(jitter):
    """No position moves further than jitter_px, all moves occur, and they follow the generator."""
    regular = lay(Raster(), (256, 256))
    moves = lay(JitteredRaster(jitter_px=jitter), (256, 256)) - regular
    assert set(np.unique(moves)) == set(range(-jitter, jitter + 1))
    if jitter:
        other = lay(JitteredRaster(jitter_px=jitter), (256, 256), seed=1) - regular
        assert not np.array_equal(moves, other)


@pytest.mark.parametrize("overlap", [0.5, 0.75, 0.9])
def test_spiral_density(overlap):
    """As many positions to an area as a raster of the same overlap, evenly, from the centre out."""
    probe_size, room = 40, 400
    step = probe_size * (1 - overlap)
    positions = lay(FermatSpiral(overlap), (room + probe_size,) * 2, probe_size)
    assert len(positions) * step**2 == pytest.approx(room**2, rel=0.06)
    quarters = [np.mean(((positions > room / 2) == q).all(axis=1)) for q in [(0, 0), (0, 1), (1, 0), (1, 1)]]
    np.testing.assert_allclose(quarters, 0.25, atol=0.03)
    radius = np.hypot(*(positions - room / 2).T)
    assert radius[0] < 1
    assert (np.diff(radius) > -2).all()
    near = [np.sort(np.hypot(*(positions - p).T))[1] for p in positions[::7]]
    assert min(near) > 0.5 * step


def test_spiral_step_decides():
    """A step in pixels, whole or not, replaces the overlap."""
    np.testing.assert_array_equal(lay(FermatSpiral(0.5)), lay(FermatSpiral(0.1, step_px=8.0)))
    assert len(lay(FermatSpiral(step_px=2.5))) > len(lay(FermatSpiral(step_px=5.0)))
