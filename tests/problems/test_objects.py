"""Simulated objects and test images."""

import numpy as np
import pytest
from ptychosuite.errors import DataFileError, StudyError
from ptychosuite.problems.from_files import ObjectFile
from ptychosuite.problems.objects import (
    BUNDLED,
    Circuit,
    DeadLeaves,
    Images,
    SiemensStar,
    Texture,
    load_image,
)

from tests.study.small import plan_of, study_file

OBJECTS = [
    Images(size=40),
    Images("coins", "moon", 33, phase_range=1.0),
    Circuit(size=96),
    Circuit(size=32, border=0.4),
    Circuit(size=64, border=0),
    SiemensStar(size=48),
    Texture(size=40),
    Texture(size=9, exponent=0.0),
    DeadLeaves(size=40, leaves=100),
    DeadLeaves(size=8, leaves=1),
]


@pytest.mark.parametrize("settings", OBJECTS, ids=repr)
def test_objects_transmit(settings):
    """Finite complex arrays of the promised shape, magnitude in (0, 1], the same every time."""
    obj = settings.make()
    assert obj.shape == settings.shape
    assert obj.dtype == "complex128"
    assert np.isfinite(obj).all()
    assert np.abs(obj).min() > 0
    assert np.abs(obj).max() <= 1 + 1e-12
    np.testing.assert_array_equal(obj, settings.make())


def test_dead_leaves():
    """Flat pieces with edges between them, another arrangement for another number."""
    obj = DeadLeaves(size=64, leaves=60, radius_px_min=4, magnitude_min=0.5, phase_range=1.0).make()
    assert np.abs(obj).min() >= 0.5
    assert 0 <= np.angle(obj).min() < np.angle(obj).max() <= 1.0
    assert len(np.unique(obj)) <= 61
    assert np.mean(obj[1:] == obj[:-1]) > 0.5
    assert not np.array_equal(obj, DeadLeaves(size=64, leaves=60, pattern=1).make())


def test_images_fill_their_ranges():
    """Magnitude up to 1, phase from 0 to phase_range, both reached; each from its own image."""
    obj = Images("camera", "coins", 64, phase_range=1.2).make()
    assert np.abs(obj).max() == pytest.approx(1)
    assert np.abs(obj).min() == pytest.approx(1 / 256)
    assert np.angle(obj).min() == pytest.approx(0, abs=1e-12)
    assert np.angle(obj).max() == pytest.approx(1.2)
    np.testing.assert_allclose(np.angle(obj), 1.2 * load_image("coins", 64), atol=1e-12)


def test_circuit():
    """The border is empty, the layers absorb and delay together, the layout follows its number."""
    obj = Circuit(size=100, border=0.2, absorption=0.5, phase_range=1.0).make()
    empty = np.ones((100, 100), bool)
    empty[20:80, 20:80] = False
    np.testing.assert_array_equal(obj[empty], 1)
    inside = obj[20:80, 20:80]
    assert 0.1 < np.mean(inside != 1) < 0.9
    assert np.abs(inside).min() >= np.exp(-0.5) - 1e-12
    np.testing.assert_allclose(-np.log(np.abs(obj)) / 0.5, np.angle(obj), atol=1e-12)
    assert not np.array_equal(obj, Circuit(size=100, border=0.2, pattern=1).make())


def test_border_of_the_authors_circuit(measured_data):
    """As ours: transparent, of one value but for a global phase; none of it is zero."""
    file = str(measured_data / "recon_zoneplate_Yi.mat")
    authors = ObjectFile(file, key="obj", size=512, pad="edge").make()
    border = np.ones(authors.shape, dtype=bool)
    border[77:-77, 77:-77] = False
    assert np.abs(authors).min() > 0.4
    level = authors[border].mean()
    assert abs(level) == pytest.approx(1, abs=0.005)
    assert np.angle(level) == pytest.approx(np.pi / 4, abs=0.001)
    for obj in (authors / np.exp(1j * np.angle(level)), Circuit(size=512).make()):
        assert np.mean(np.abs(obj - 1)[border] < 0.05) > 0.999
        assert np.mean(np.abs(obj - 1)[~border] < 0.05) < 0.5


def test_siemens_star():
    """So many opaque spokes on a circle, open space beyond the radius, half the ring covered."""
    star = SiemensStar(size=256, spokes=12, radius=0.8, magnitude=0.5, phase=0.6)
    obj = star.make()
    angle = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    circle = obj[tuple(np.rint(127.5 + 80 * f(angle)).astype(int) for f in (np.sin, np.cos))]
    opaque = np.abs(circle) < 0.75
    assert np.sum(opaque & ~np.roll(opaque, 1)) == 12
    assert opaque.mean() == pytest.approx(0.5, abs=0.03)
    assert np.abs(obj).min() == pytest.approx(0.5)
    assert np.angle(obj).max() == pytest.approx(0.6)
    y, x = np.indices(obj.shape) - 127.5
    np.testing.assert_array_equal(obj[np.hypot(y, x) > 0.8 * 128 + 1], 1)


def test_texture_spectrum():
    """Spectral density falls with the given exponent; ranges are filled; layouts differ."""
    texture = Texture(size=128, exponent=3.0, magnitude_min=0.2, phase_range=0.7, pattern=3)
    obj = texture.make()
    assert np.abs(obj).min() == pytest.approx(0.2)
    assert np.abs(obj).max() == pytest.approx(1)
    assert np.angle(obj).max() == pytest.approx(0.7)
    density = np.abs(np.fft.fft2(np.angle(obj))) ** 2
    frequency = np.hypot(*np.meshgrid(*2 * [np.fft.fftfreq(128)]))
    band = (frequency > 0.03) & (frequency < 0.4)
    slope = np.polyfit(np.log(frequency[band]), np.log(density[band]), 1)[0]
    assert slope == pytest.approx(-3, abs=0.15)
    assert not np.array_equal(obj, Texture(size=128, exponent=3.0, pattern=4).make())


def write_image(path, array):
    from skimage.io import imsave

    imsave(path, array, check_contrast=False)
    return str(path)


def test_image_files(tmp_path):
    """Grey, colour and transparent images, cut to the central square and scaled to [0, 1]."""
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (20, 30), dtype=np.uint8)
    square = grey[:, 5:25].astype(float)
    expected = (square - square.min()) / (square.max() - square.min())
    np.testing.assert_allclose(load_image(write_image(tmp_path / "a.png", grey), 20), expected, atol=1e-12)
    colour = np.repeat(grey[..., None], 3, axis=-1)
    np.testing.assert_allclose(load_image(write_image(tmp_path / "b.png", colour), 20), expected, atol=1e-3)
    opaque = np.concatenate([colour, rng.integers(0, 256, (20, 30, 1), dtype=np.uint8)], axis=-1)
    np.testing.assert_allclose(load_image(write_image(tmp_path / "c.png", opaque), 20), expected, atol=1e-3)
    for size in (7, 64):
        image = load_image(write_image(tmp_path / "a.png", grey), size)
        assert image.shape == (size, size)
        assert (image.min(), image.max()) == (0, 1)
        assert not image.flags.writeable


@pytest.mark.parametrize("name", ["camera", "coins", "text"])
def test_bundled_images(name):
    """Bundled names need no file."""
    assert name in BUNDLED
    assert name + ".png" not in BUNDLED
    assert load_image(name, 16).shape == (16, 16)


def test_image_errors(tmp_path):
    """Misspelt name, no image inside, no contrast, too many dimensions, NaN."""
    with pytest.raises(DataFileError, match="did you mean 'camera'"):
        load_image("kamera", 16)
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(DataFileError, match="cannot be read"):
        load_image(str(tmp_path / "text.png"), 16)
    with pytest.raises(DataFileError, match="an image with contrast is needed"):
        load_image(write_image(tmp_path / "flat.png", np.full((8, 8), 7, np.uint8)), 8)
    with pytest.raises(DataFileError, match="has shape"):
        load_image(write_image(tmp_path / "stack.tif", np.zeros((5, 8, 8), np.uint8)), 8)


def test_image_with_nan(tmp_path):
    """A floating-point image with NaN is refused, as arrays are."""
    image = np.arange(64.0).reshape(8, 8).astype(np.float32)
    image[3, 3] = np.nan
    with pytest.raises(DataFileError, match=r"(?i)nan|finite"):
        load_image(write_image(tmp_path / "nan.tif", image), 8)


def test_image_changed_since_planned(tmp_path):
    """An image file whose content is not what its recorded hash says is refused, as other files are."""
    path = write_image(tmp_path / "a.png", np.arange(64, dtype=np.uint8).reshape(8, 8))
    with pytest.raises(DataFileError, match="has changed"):
        Images(path, "camera", 8, magnitude_sha256="0" * 64).make()


def test_leaves_that_are_too_large_are_refused(tmp_path):
    """With the place, and what there is room for."""
    obj = "{kind: dead-leaves, size: 32, radius_px_min: 16}"
    problem = f"problem: {{object: {obj}, probe: {{kind: gaussian, size: 16}}}}"
    with pytest.raises(StudyError, match=r"object\.radius_px_min.*found 16; expected less than 16, half"):
        plan_of(study_file(tmp_path, head=f"study: tiny\n{problem}\nstop: {{iterations: 1}}\nsolver: epie\n"))
