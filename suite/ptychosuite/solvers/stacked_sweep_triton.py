"""The forms of :mod:`ptychosuite.solvers.stacked_sweep` that Triton compiles for a GPU."""

from __future__ import annotations

import triton
import triton.language as tl

from ptychosuite.backends.arrays import Array
from ptychosuite.backends.compiled import plain_form
from ptychosuite.backends.triton_arrays import (
    blocks_of,
    load_real,
    pixels_of,
    programs,
    reals,
    store_real,
    suits,
    this_image,
)
from ptychosuite.solvers import stacked_sweep

COLUMNS = tl.constexpr(6)  # of a list of visits


def cut_out(objects: Array, place: Array, size: int) -> Array:
    if not (suits(objects) and objects.is_contiguous() and place.is_contiguous()):
        return plain_form(stacked_sweep.cut_out)(objects, place, size)
    patches = objects.new_empty((len(place), size, size))
    _move(objects, place, patches, OUT=True)
    return patches


def put_in(objects: Array, place: Array, patches: Array) -> None:
    if suits(objects, patches) and objects.is_contiguous() and place.is_contiguous():
        _move(objects, place, patches, OUT=False)
    else:
        plain_form(stacked_sweep.put_in)(objects, place, patches)


def _move(objects: Array, place: Array, patches: Array, *, OUT: bool) -> None:
    height, width = objects.shape[-2:]
    pixels = 2 * pixels_of(patches)  # of reals
    _moved[programs(len(patches), pixels)](
        reals(objects), place, reals(patches), 2 * height * width, 2 * width,
        SIZE=2 * patches.shape[-1], OUT=OUT, **blocks_of(pixels),
    )  # fmt: skip


@triton.jit
def _moved(
    objects, place, patches, pixels, width,
    SIZE: tl.constexpr, OUT: tl.constexpr, PIXELS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    k = this_image(0)
    visit = place + k * COLUMNS
    run, row, column = tl.load(visit), tl.load(visit + 1), tl.load(visit + 2)
    i = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    there = objects + run * pixels + (row + i // SIZE) * width + 2 * column + i % SIZE
    if OUT:
        store_real(patches, k, tl.load(there, mask=i < PIXELS), PIXELS, BLOCK)
    else:
        tl.store(there, load_real(patches, k, PIXELS, BLOCK), mask=i < PIXELS)


def patterns_at(amplitude: Array, place: Array) -> Array:
    if not (suits(amplitude) and amplitude.is_contiguous() and place.is_contiguous()):
        return plain_form(stacked_sweep.patterns_at)(amplitude, place)
    found, pixels = amplitude.new_empty((len(place), *amplitude.shape[1:])), pixels_of(amplitude)
    _patterns_at[programs(len(place), pixels)](amplitude, place, found, **blocks_of(pixels))
    return found


@triton.jit
def _patterns_at(amplitude, place, out, PIXELS: tl.constexpr, BLOCK: tl.constexpr):
    k = this_image(0)
    pattern = tl.load(place + k * COLUMNS + 3)
    store_real(out, k, load_real(amplitude, pattern, PIXELS, BLOCK), PIXELS, BLOCK)


def next_visits(place: Array, first: Array, n: int) -> Array:
    here = place.new_empty((n, 6))
    _next_visits[(1,)](place, first, here, n, BLOCK=triton.next_power_of_2(6 * n))
    return here


@triton.jit
def _next_visits(place, first, here, n, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    begin = tl.load(first)
    inside = i < n * COLUMNS
    tl.store(here + i, tl.load(place + begin * COLUMNS + i, mask=inside), mask=inside)
    tl.debug_barrier()  # all threads have read where to begin
    tl.store(first, begin + n)
