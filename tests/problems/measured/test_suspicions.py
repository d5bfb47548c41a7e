"""What ``show FILE`` finds odd: each look finds its fault, and none in a measurement without one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ptychosuite.problems.measured import Measurement
from ptychosuite.problems.measured.listing import ListedArray
from ptychosuite.problems.measured.suspicions import (
    LOOKS,
    Seen,
    diameter,
    suspicions,
    unused_arrays,
)

from tests.problems.measured import small

N, M = 36, 32


def sound(**changes) -> Measurement:
    """A raster of 6 x 6 with steps of 3 pixels, a probe of about 9, Poisson counts around the middle."""
    rows, columns = np.mgrid[:6, :6] * 3.0
    made = Measurement(
        small.corner(small.patterns(N)),
        np.stack([rows.ravel(), columns.ravel()], axis=1),
        probe=small.probe(),
        source={"positions unit": "m"},
    )
    return dataclasses.replace(made, **changes)


def centred(change) -> np.ndarray:
    """The patterns after a ``change`` of them with zero frequency in the middle."""
    patterns = small.patterns(N).astype(np.int64)
    change(patterns)
    return small.corner(patterns.astype(np.uint32))


def put(value, *where):
    def change(patterns):
        patterns[where] = value

    return change


def move_up(patterns):
    patterns[:] = np.roll(patterns, -9, axis=1)


def flatten(patterns):
    patterns[:] = np.random.default_rng(0).poisson(30, patterns.shape)


FAULTY = {
    "entries": {"source": {"positions unit": "m", "other entries": "entry_2"}},
    "overlap": {"scan_positions_px": sound().scan_positions_px * 4},
    "empty patterns": {"diffraction_intensity": centred(put(0, 7))},
    "outlying patterns": {"diffraction_intensity": centred(lambda p: p.__setitem__(5, p[5] * 3))},
    "saturation": {"diffraction_intensity": centred(lambda p: np.minimum(p, 500, out=p))},
    "hot pixels": {"diffraction_intensity": centred(put(900, slice(None), 3, 4))},
    "dead pixels": {"diffraction_intensity": centred(put(0, slice(None), slice(20, 22), slice(None)))},
    "centre": {"diffraction_intensity": centred(move_up)},
    "contrast": {"diffraction_intensity": centred(flatten)},
}


def test_nothing_is_odd_about_a_sound_measurement():
    assert suspicions(sound()) == {}
    assert suspicions(sound(probe=None)) == {}


def test_every_look_has_a_faulty_measurement():
    assert FAULTY.keys() == LOOKS.keys()


@pytest.mark.parametrize("about", FAULTY)
def test_a_fault_is_found(about):
    """It alone, but where it brings another about."""
    found = suspicions(sound(**FAULTY[about]))
    assert about in found
    assert found.keys() - {about} <= {"contrast": {"centre"}}.get(about, set())


def test_sentences_say_which_and_what_to_do():
    assert "number 7" in LOOKS["empty patterns"](Seen(sound(**FAULTY["empty patterns"])))
    assert "number 5" in LOOKS["outlying patterns"](Seen(sound(**FAULTY["outlying patterns"])))
    hot = LOOKS["hot pixels"](Seen(sound(**FAULTY["hot pixels"])))
    assert "1 outshine" in hot
    assert "(3, 4)" in hot
    assert "-9" in LOOKS["centre"](Seen(sound(**FAULTY["centre"])))
    assert "500, occurs" in LOOKS["saturation"](Seen(sound(**FAULTY["saturation"])))


def test_masked_pixels_are_not_odd():
    """Hot and dead pixels that a mask names are dealt with."""
    for about in ("hot pixels", "dead pixels"):
        changed = FAULTY[about]["diffraction_intensity"]
        good = (changed == changed[0]).all(axis=0) == 0
        assert about not in suspicions(sound(diffraction_intensity=changed * good, detector_mask=good))


def test_without_a_probe_half_a_pattern_is_all_that_it_can_fill():
    far = sound(scan_positions_px=sound().scan_positions_px * 6, probe=None)
    assert "half of the 32 pixels" in suspicions(far)["overlap"]


def test_diameter_of_a_disk():
    y, x = np.mgrid[:64, :64] - 32
    disk = (y**2 + x**2 <= 12**2).astype(complex)
    assert diameter(disk[np.newaxis]) == pytest.approx(24, abs=0.5)
    assert diameter(np.stack([disk, disk])) == pytest.approx(24, abs=0.5)


def test_unused_arrays():
    """Those whose names or lengths say that they matter; not what is used, named twice, or a number."""
    arrays = [
        ListedArray("entry/data_dark", (32, 32), "float32"),
        ListedArray("entry/i0", (N,), "float64"),
        ListedArray("entry/indices", (N,), "int64"),
        ListedArray("entry/elsewhere", (7, 3), "int64"),
        ListedArray("entry/dark_2", (32, 32), "float32", use="dark"),
        ListedArray("entry/dark_3", (32, 32), "float32", alias_of="entry/dark_2"),
        ListedArray("entry/mask_version", (), "int64", value="2"),
    ]
    found = unused_arrays(arrays, N)
    assert found.startswith("entry/data_dark, entry/i0 may be of use")
    assert unused_arrays(arrays[2:], N) == ""
