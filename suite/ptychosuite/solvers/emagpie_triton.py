"""The form of :mod:`ptychosuite.solvers.emagpie` that Triton compiles for a GPU."""

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
    one_each,
    pixels_of,
    programs,
    reals,
    store_complex,
    suits,
    this_image,
)
from ptychosuite.solvers import emagpie


def geometric_mean(a: Array, b: Array) -> Array:
    if not (suits(a, b) and broadcasts(b, a)):
        return plain_form(emagpie.geometric_mean)(a, b)
    mean, n, pixels = b.new_empty(b.shape), images_of(b), pixels_of(b)
    _geometric_mean[programs(n, pixels)](
        reals(a), reals(b), reals(mean), ONE_EACH=one_each(a, n), **blocks_of(pixels)
    )
    return mean


@triton.jit
def _geometric_mean(a, b, out, ONE_EACH: tl.constexpr, PIXELS: tl.constexpr, BLOCK: tl.constexpr):
    image = this_image(0)
    a_real, a_imag = load_complex(a, image if ONE_EACH else 0, PIXELS, BLOCK)
    b_real, b_imag = load_complex(b, image, PIXELS, BLOCK)
    a_modulus = tl.sqrt(a_real * a_real + a_imag * a_imag)
    b_modulus = tl.sqrt(b_real * b_real + b_imag * b_imag)
    ratio = tl.where(b_modulus == 0.0, 0.0, a_modulus / tl.where(b_modulus == 0.0, 1.0, b_modulus))
    real, imag = a_real + b_real * ratio, a_imag + b_imag * ratio
    length = tl.sqrt(real * real + imag * imag)
    scale = tl.where(
        length == 0.0, 0.0, tl.sqrt(a_modulus * b_modulus) / tl.where(length == 0.0, 1.0, length)
    )
    store_complex(out, image, real * scale, imag * scale, PIXELS, BLOCK)
