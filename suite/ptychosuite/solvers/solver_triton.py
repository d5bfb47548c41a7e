"""The forms of :mod:`ptychosuite.solvers.solver` that Triton compiles for a GPU."""

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
from ptychosuite.solvers import solver

PLACES = 1024  # what a program of the weighted mean holds: pixels of an image, times images


def direction(Q: Array, chi: Array) -> Array:
    if not (suits(Q, chi) and broadcasts(chi, Q)):
        return plain_form(solver.direction)(Q, chi)
    g, n, pixels = chi.new_empty(chi.shape), images_of(chi), pixels_of(chi)
    _direction[programs(n, pixels)](
        reals(Q), reals(chi), reals(g), ONE_EACH=one_each(Q, n), **blocks_of(pixels)
    )
    return g


@triton.jit
def _direction(q, chi, out, ONE_EACH: tl.constexpr, PIXELS: tl.constexpr, BLOCK: tl.constexpr):
    image = this_image(0)
    a, b = load_complex(q, image if ONE_EACH else 0, PIXELS, BLOCK)
    c, d = load_complex(chi, image, PIXELS, BLOCK)
    store_complex(out, image, a * c + b * d, a * d - b * c, PIXELS, BLOCK)


def weighted_mean(probe: Array, proposals: Array, patches: Array) -> Array:
    if not (suits(probe, proposals, patches) and proposals.shape == patches.shape):
        return plain_form(solver.weighted_mean)(probe, proposals, patches)
    mean, pixels, n = probe.new_empty(probe.shape), probe.numel(), triton.next_power_of_2(len(proposals))
    block = max(16, PLACES // n)
    _weighted_mean[(triton.cdiv(pixels, block),)](
        reals(probe), reals(proposals), reals(patches), reals(mean), len(proposals), pixels, N=n, BLOCK=block
    )
    return mean


@triton.jit
def _weighted_mean(probe, proposals, patches, out, n, pixels, N: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    k = tl.arange(0, N)[:, None].to(tl.int64)
    inside = i < pixels
    here, at = inside[None, :] & (k < n), 2 * (k * pixels + i[None, :])
    a, b = tl.load(patches + at, mask=here, other=0.0), tl.load(patches + at + 1, mask=here, other=0.0)
    weight = a * a + b * b
    norm = tl.sum(weight, axis=0)
    real = tl.sum(weight * tl.load(proposals + at, mask=here, other=0.0), axis=0)
    imag = tl.sum(weight * tl.load(proposals + at + 1, mask=here, other=0.0), axis=0)
    lit = norm > 0.0
    divisor = tl.where(lit, norm, 1.0)
    was_real = tl.load(probe + 2 * i, mask=inside, other=0.0)
    was_imag = tl.load(probe + 2 * i + 1, mask=inside, other=0.0)
    tl.store(out + 2 * i, tl.where(lit, real / divisor, was_real), mask=inside)
    tl.store(out + 2 * i + 1, tl.where(lit, imag / divisor, was_imag), mask=inside)
