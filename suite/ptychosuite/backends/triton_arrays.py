"""What the functions that Triton compiles share: arrays as it wants them, images read and written.

Triton knows no complex numbers: a complex array is its real and imaginary parts in turn. A program works on a
block of an image's pixels. Arrays are (n, m, m), or hold one image for all.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl
from jaxtyping import Complex, Float, Shaped

from ptychosuite.backends.arrays import Array, namespace


def suits(*arrays: Shaped[Array, "*_"] | None) -> bool:
    """Whether all are images in single precision, in which alone these functions work."""
    return all(x is None or (x.ndim > 1 and x.real.dtype == namespace(x).float32) for x in arrays)


def reals(x: Complex[Array, "*d"]) -> Float[Array, "*d 2"]:
    """Real and imaginary parts in turn, contiguous."""
    return namespace(x).view_as_real(x.resolve_conj().contiguous())


def pixels_of(x: Shaped[Array, "*n m k"]) -> int:
    """Of one image."""
    return int(x.shape[-1] * x.shape[-2])


def images_of(x: Shaped[Array, "*n m k"]) -> int:
    """How many there are."""
    return int(x.numel()) // pixels_of(x)


def broadcasts(x: Shaped[Array, "*n m k"], *others: Shaped[Array, "*_"] | None) -> bool:
    """Whether each other array is as many images as ``x`` has, or one for all."""
    return all(
        other is None or (other.shape[-2:] == x.shape[-2:] and images_of(other) in (1, images_of(x)))
        for other in others
    )


def one_each(x: Shaped[Array, "*_ m k"], n: int) -> bool:
    """Whether ``x`` has an image for each of ``n``, and not one for all."""
    return n == 1 or images_of(x) > 1


def blocks_of(pixels: int) -> dict[str, int]:
    """How a kernel cuts an image."""
    return {"PIXELS": pixels, "BLOCK": min(1024, triton.next_power_of_2(pixels))}


def programs(images: int, pixels: int) -> tuple[int, int]:
    """The programs of a kernel: an image and a block of it each."""
    return images, triton.cdiv(pixels, blocks_of(pixels)["BLOCK"])


SEPARATE: Any = {"enable_fp_fusion": False}
"""Products and sums rounded one by one: the same expression in two kernels then has the same value."""


@triton.jit
def this_image(AXIS: tl.constexpr):
    """The number of this program's image, as int64: a batch of more than 8 GB has more than 2^31 numbers."""
    return tl.program_id(AXIS).to(tl.int64)


@triton.jit
def load_real(x, image, PIXELS: tl.constexpr, BLOCK: tl.constexpr):
    """This program's block of an image."""
    i = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    if PIXELS % BLOCK == 0:
        values = tl.load(x + image * PIXELS + i)
    else:
        values = tl.load(x + image * PIXELS + i, mask=i < PIXELS, other=0.0)
    return values


@triton.jit
def store_real(x, image, values, PIXELS: tl.constexpr, BLOCK: tl.constexpr):
    """Write ``values``, this program's block of an image."""
    i = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    if PIXELS % BLOCK == 0:
        tl.store(x + image * PIXELS + i, values)
    else:
        tl.store(x + image * PIXELS + i, values, mask=i < PIXELS)


@triton.jit
def load_complex(x, image, PIXELS: tl.constexpr, BLOCK: tl.constexpr):
    """Real and imaginary parts of this program's block of an image."""
    return tl.split(tl.reshape(load_real(x, image, 2 * PIXELS, 2 * BLOCK), (BLOCK, 2)))


@triton.jit
def store_complex(x, image, real, imag, PIXELS: tl.constexpr, BLOCK: tl.constexpr):
    """Write real and imaginary parts of this program's block of an image."""
    store_real(x, image, tl.reshape(tl.join(real, imag), (2 * BLOCK,)), 2 * PIXELS, 2 * BLOCK)
