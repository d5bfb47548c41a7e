"""Test images, by name (scikit-image's bundled ones) or from any image file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from ptychosuite.errors import DataFileError, nearest
from ptychosuite.problems.files import check_unchanged, stamp

BUNDLED = (
    "astronaut", "brick", "camera", "cat", "cell", "clock", "coffee", "coins", "grass", "gravel", "horse",
    "hubble_deep_field", "immunohistochemistry", "logo", "microaneurysms", "moon", "page", "retina",
    "rocket", "text",
)  # fmt: skip
"""Images that ship inside scikit-image, so that no download is ever needed."""


def load_image(source: str, size: int, sha256: str = "") -> np.ndarray:
    """A grey image of ``size`` x ``size`` pixels scaled to [0, 1], read-only.

    A picture that is not square is cut to its central square; another size is resampled.

    Raises
    ------
    DataFileError
        Neither a bundled name nor a readable image, not a two-dimensional (grey or RGB) one, or content
        other than ``sha256`` says.
    """
    if source in BUNDLED:
        return _load_image(source, size, (0, 0, 0))
    if not Path(source).is_file():
        raise DataFileError(
            f"image '{source}' is neither a file nor a bundled image; {nearest(source, BUNDLED)}"
        )
    check_unchanged(source, sha256)
    return _load_image(source, size, stamp(source))


@lru_cache(maxsize=8)
def _load_image(source: str, size: int, stamp: tuple[int, int, int]) -> np.ndarray:
    import skimage.transform

    grey = _as_grey(_read(source), source)
    if not np.isfinite(grey).all():
        raise DataFileError(f"image {source} holds NaN or infinite values")
    side = min(grey.shape)
    top, left = (grey.shape[0] - side) // 2, (grey.shape[1] - side) // 2
    square = grey[top : top + side, left : left + side]
    if side != size:
        square = skimage.transform.resize(square, (size, size), anti_aliasing=size < side)
    low, high = float(square.min()), float(square.max())
    if high == low:
        raise DataFileError(
            f"image {source}: every pixel has the value {low:g}; an image with contrast is needed"
        )
    scaled: np.ndarray = (square - low) / (high - low)
    scaled.setflags(write=False)
    return scaled


def _read(source: str) -> np.ndarray:
    import skimage.data
    from skimage.io import imread

    if source in BUNDLED:
        return np.asarray(getattr(skimage.data, source)())
    try:
        return np.asarray(imread(source))
    except Exception as error:  # imageio's plug-ins raise whatever their format raises
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataFileError(f"image {source} cannot be read: {reason}") from error


def _as_grey(image: np.ndarray, source: str) -> np.ndarray:
    import skimage.color

    if image.ndim == 3 and image.shape[-1] == 4:
        image = image[..., :3]
    if image.ndim == 3 and image.shape[-1] == 3:
        grey: np.ndarray = skimage.color.rgb2gray(image)
        return grey
    if image.ndim == 2:
        return image.astype(np.float64)
    raise DataFileError(
        f"image {source} has shape {image.shape}; expected (rows, columns) or (rows, columns, 3)"
    )
