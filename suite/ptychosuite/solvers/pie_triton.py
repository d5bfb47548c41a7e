"""The forms of :mod:`ptychosuite.solvers.pie` that Triton compiles for a GPU."""

from __future__ import annotations

import triton
import triton.language as tl

from ptychosuite.backends.arrays import Array
from ptychosuite.backends.compiled import plain_form
from ptychosuite.backends.triton_arrays import (
    SEPARATE,
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
    store_real,
    suits,
    this_image,
)
from ptychosuite.solvers import pie


def stepped(z: Array, g: Array, weights: Array) -> Array:
    if not (suits(z, g, weights) and broadcasts(z, weights) and g.shape == z.shape):
        return plain_form(pie.stepped)(z, g, weights)
    new, n, pixels = z.new_empty(z.shape), images_of(z), pixels_of(z)
    _stepped[programs(n, pixels)](
        reals(z),
        reals(g),
        weights.contiguous(),
        reals(new),
        ONE_EACH=one_each(weights, n),
        **blocks_of(pixels),
        **SEPARATE,
    )
    return new


@triton.jit
def _stepped(z, g, weights, out, ONE_EACH: tl.constexpr, PIXELS: tl.constexpr, BLOCK: tl.constexpr):
    image = this_image(0)
    weight = load_real(weights, image if ONE_EACH else 0, PIXELS, BLOCK)
    real, imag = load_complex(z, image, PIXELS, BLOCK)
    g_real, g_imag = load_complex(g, image, PIXELS, BLOCK)
    store_complex(out, image, real + weight * g_real, imag + weight * g_imag, PIXELS, BLOCK)


def stepped_along(Q: Array, z: Array, chi: Array, alpha: float | Array) -> Array:
    if not (suits(Q, z, chi) and broadcasts(chi, Q) and z.shape == chi.shape):
        return plain_form(pie.stepped_along)(Q, z, chi, alpha)
    new, n, pixels = chi.new_empty(chi.shape), images_of(chi), pixels_of(chi)
    _stepped_along[programs(n, pixels)](
        reals(Q), reals(z), reals(chi), step_size(z, alpha), reals(new),
        PROBES=one_each(Q, n), **blocks_of(pixels),
    )  # fmt: skip
    return new


@triton.jit
def _stepped_along(
    q, z, chi, weights, out, PROBES: tl.constexpr, PIXELS: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    image = this_image(0)
    weight = load_real(weights, image, PIXELS, BLOCK)
    real, imag = load_complex(q, image if PROBES else 0, PIXELS, BLOCK)
    a, b = load_complex(z, image, PIXELS, BLOCK)
    c, d = load_complex(chi, image, PIXELS, BLOCK)
    store_complex(out, image, real + (a * c + b * d) * weight, imag + (a * d - b * c) * weight, PIXELS, BLOCK)


def regularisation(Q: Array, alpha: float | Array) -> tuple[Array, Array]:
    if not suits(Q):
        return plain_form(pie.regularisation)(Q, alpha)
    intensity, u = (Q.real.new_empty(Q.shape) for _ in range(2))
    _of_intensity(Q, alpha, intensity, u, INVERSE=False)
    return intensity, u


def step_size(Q: Array, alpha: float | Array) -> Array:
    if not suits(Q):
        return plain_form(pie.step_size)(Q, alpha)
    intensity = Q.real.new_empty(Q.shape)
    _of_intensity(Q, alpha, intensity, intensity, INVERSE=True)
    return intensity


def _of_intensity(Q: Array, alpha: float | Array, intensity: Array, result: Array, *, INVERSE: bool) -> None:
    """Each image's intensity and the maxima of its blocks, then what depends on the largest of them."""
    pixels = pixels_of(Q)
    images, blocks = programs(images_of(Q), pixels)
    largest = intensity.new_empty((images, blocks))
    fixed = isinstance(alpha, float | int)
    alphas = largest if isinstance(alpha, float | int) else alpha.contiguous()
    cut = {"BLOCKS": blocks, **blocks_of(pixels), **SEPARATE}
    _intensity[images, blocks](reals(Q), intensity, largest, **cut)
    _regularised[images, blocks](
        intensity, largest, alphas, float(alpha) if fixed else 0.0, result,
        FIXED=fixed, ONE_EACH=alphas.numel() > 1, INVERSE=INVERSE, **cut,
    )  # fmt: skip


@triton.jit
def _intensity(q, intensity, largest, BLOCKS: tl.constexpr, PIXELS: tl.constexpr, BLOCK: tl.constexpr):
    image = this_image(0)
    real, imag = load_complex(q, image, PIXELS, BLOCK)
    found = real * real + imag * imag
    store_real(intensity, image, found, PIXELS, BLOCK)
    tl.store(largest + image * BLOCKS + tl.program_id(1), tl.max(found, axis=0))


@triton.jit
def _regularised(
    intensity, largest, alphas, alpha, out,
    FIXED: tl.constexpr, ONE_EACH: tl.constexpr, INVERSE: tl.constexpr, BLOCKS: tl.constexpr,
    PIXELS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    image = this_image(0)
    block = tl.arange(0, triton.next_power_of_2(BLOCKS))
    top = tl.max(tl.load(largest + image * BLOCKS + block, mask=block < BLOCKS, other=0.0), axis=0)
    own = alpha if FIXED else tl.load(alphas + (image if ONE_EACH else 0))
    p = load_real(intensity, image, PIXELS, BLOCK)
    u = own * (top - p)
    store_real(out, image, 1.0 / (p + u) if INVERSE else u, PIXELS, BLOCK)
