"""The form of :mod:`ptychosuite.physics.likelihood` that Triton compiles for a GPU."""

from __future__ import annotations

import triton
import triton.language as tl

from ptychosuite.backends.arrays import Array
from ptychosuite.backends.compiled import plain_form
from ptychosuite.backends.triton_arrays import (
    blocks_of,
    broadcasts,
    images_of,
    load_complex,
    load_real,
    one_each,
    pixels_of,
    programs,
    reals,
    store_complex,
    suits,
    this_image,
)
from ptychosuite.physics import likelihood


def wave_correction(detector_wave: Array, amplitude: Array, mask: Array | None = None) -> Array:
    n, pixels = images_of(detector_wave), pixels_of(detector_wave)
    fits = broadcasts(detector_wave, amplitude, mask) and one_each(amplitude, n)
    if not (fits and suits(detector_wave, amplitude, mask)):
        return plain_form(likelihood.wave_correction)(detector_wave, amplitude, mask)
    correction = detector_wave.new_empty(detector_wave.shape)
    good = amplitude if mask is None else mask.contiguous()
    _wave_correction[programs(n, pixels)](
        reals(detector_wave), amplitude.contiguous(), good, reals(correction),
        HAS_MASK=mask is not None, MASKS=one_each(good, n), **blocks_of(pixels),
    )  # fmt: skip
    return correction


@triton.jit
def _wave_correction(
    wave, amplitude, mask, out,
    HAS_MASK: tl.constexpr, MASKS: tl.constexpr, PIXELS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    image = this_image(0)
    real, imag = load_complex(wave, image, PIXELS, BLOCK)
    measured = load_real(amplitude, image, PIXELS, BLOCK)
    largest = tl.maximum(tl.abs(real), tl.abs(imag))
    dark = largest == 0.0
    scale = tl.where(dark, 1.0, largest)  # the square of a nearly dark pixel would vanish
    modulus = scale * tl.sqrt((real / scale) * (real / scale) + (imag / scale) * (imag / scale))
    change = measured / tl.where(dark, 1.0, modulus) - 1.0
    real, imag = tl.where(dark, measured, real * change), tl.where(dark, 0.0, imag * change)
    if HAS_MASK:
        good = load_real(mask, image if MASKS else 0, PIXELS, BLOCK)
        real, imag = real * good, imag * good
    store_complex(out, image, real, imag, PIXELS, BLOCK)
