"""The forms of :mod:`ptychosuite.solvers.multigrid` that Triton compiles for a GPU.

A bin of 2^l x 2^l pixels knows nothing of its neighbours on the levels up to l. So a program takes a tile of
16 x 16 pixels through four levels without leaving its registers. What the tiles leave is an image with a 16th
of the pixels on a side: on it the same goes on with the levels that remain, and for a V-cycle back up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import triton
import triton.language as tl

from ptychosuite.backends.arrays import Array
from ptychosuite.backends.compiled import plain_form
from ptychosuite.backends.triton_arrays import SEPARATE, images_of, reals, suits, this_image
from ptychosuite.solvers import multigrid

TILE = 16  # 32 takes twice as long, with any number of warps
SMALLEST_TILE = 8  # what a probe's size must be divisible by


@dataclass(frozen=True)
class Pyramid:
    """Coefficients of a hierarchy's levels, fine to coarse one after the other in memory; n probes."""

    gradient_gain: Array  # (n, P) real, P = m^2 + (m / 2)^2 + ...
    coarse_gain: Array  # (n, P) real
    weight: Array  # (n, P) real; a level's begins where its gains begin
    size: int  # m, of the finest level
    levels: int  # coarse ones

    @classmethod
    def empty(cls, n: int, size: int, levels: int, like: Array) -> Pyramid:
        pixels = sum((size >> level) ** 2 for level in range(levels + 1))
        gain, coarse_gain, weight = (like.new_empty((n, pixels)) for _ in range(3))
        return cls(gain, coarse_gain, weight, size, levels)

    @property
    def tile(self) -> int:
        """Pixels on a side of what a program takes."""
        return min(TILE, self.size & -self.size)

    @property
    def in_tile(self) -> int:
        """Levels that a program takes on its own."""
        return min(self.levels, self.tile.bit_length() - 1)

    @property
    def rest(self) -> Pyramid:
        """The levels that remain."""
        skipped = sum((self.size >> level) ** 2 for level in range(self.in_tile))
        gain, coarse_gain, weight = (
            x[:, skipped:] for x in (self.gradient_gain, self.coarse_gain, self.weight)
        )
        return Pyramid(gain, coarse_gain, weight, self.size >> self.in_tile, self.levels - self.in_tile)

    @property
    def in_memory(self) -> tuple[Array, Array, Array, int]:
        """The three arrays, and how far it is from one probe's to the next."""
        return self.gradient_gain, self.coarse_gain, self.weight, self.gradient_gain.stride(0)

    def __iter__(self) -> Any:
        """As :class:`ptychosuite.solvers.multigrid.Level`, for the plain form."""
        first = 0
        for level in range(self.levels + 1):
            side = self.size >> level
            half = side // 2 if level < self.levels else 0
            gain, coarse_gain = (
                x[:, first : first + side**2].unflatten(1, (side, side))
                for x in (self.gradient_gain, self.coarse_gain)
            )
            weight = self.weight[:, first : first + half**2].unflatten(1, (half, half))
            yield multigrid.Level(gain, coarse_gain, weight)
            first += side**2


def hierarchy(probe: Array, regulariser: Array, levels: int) -> Any:
    size = probe.shape[-1]
    if not suits(probe, regulariser) or probe.shape != regulariser.shape or size % SMALLEST_TILE:
        return plain_form(multigrid.hierarchy)(probe, regulariser, levels)
    whole = Pyramid.empty(images_of(probe), size, levels, regulariser)
    _fill(whole, probe, regulariser)
    return whole


def _fill(pyramid: Pyramid, probe: Array, u: Array) -> None:
    n, in_tile = len(pyramid.weight), pyramid.in_tile
    side, last = pyramid.size >> in_tile, in_tile == pyramid.levels
    coarse_probe = probe if last else probe.new_empty((n, side, side))
    coarse_u = u if last else u.new_empty((n, side, side))
    tiles = (pyramid.size // pyramid.tile) ** 2
    _hierarchy[tiles, n](
        reals(probe), u.contiguous(), reals(coarse_probe), coarse_u, *pyramid.in_memory,
        SIZE=pyramid.size, TILE=pyramid.tile, LEVELS=in_tile, LAST=last, **SEPARATE,
    )  # fmt: skip
    if not last:
        _fill(pyramid.rest, coarse_probe, coarse_u)


def corrected(z: Array, g: Array, levels: Any) -> Array:
    if not isinstance(levels, Pyramid) or not suits(z, g) or g.shape != z.shape:
        return plain_form(multigrid.corrected)(z, g, levels)
    return _v_cycle(levels, g.resolve_conj().contiguous(), z)


def v_cycle(gradient: Array, levels: Any) -> Array:
    if not isinstance(levels, Pyramid) or not suits(gradient):
        return plain_form(multigrid.v_cycle)(gradient, levels)
    return _v_cycle(levels, gradient.resolve_conj().contiguous(), None)


def _v_cycle(pyramid: Pyramid, g: Array, z: Array | None) -> Array:
    """e_0, on top of z where one is given."""
    in_tile = pyramid.in_tile
    change = g.new_empty(g.shape)
    if in_tile == pyramid.levels:
        _through(pyramid, g, g, z, change, DOWN=False, LAST=True)
        return change
    side = pyramid.size >> in_tile
    coarse = g.new_empty((images_of(g), side, side))
    _through(pyramid, g, g, None, coarse, DOWN=True, LAST=False)
    _through(pyramid, g, _v_cycle(pyramid.rest, coarse, None), z, change, DOWN=False, LAST=False)
    return change


def _through(pyramid: Pyramid, g: Array, coarse: Array, z: Array | None, out: Array, **way: bool) -> None:
    *coefficients, row = pyramid.in_memory
    tiles, shared = (pyramid.size // pyramid.tile) ** 2, len(pyramid.weight) == 1
    _tile[tiles, images_of(g)](
        reals(g), reals(coarse), reals(g if z is None else z), reals(out),
        *coefficients, 0 if shared else row,
        SIZE=pyramid.size, TILE=pyramid.tile, LEVELS=pyramid.in_tile, HAS_Z=z is not None, **way, **SEPARATE,
    )  # fmt: skip


@triton.jit
def _average(x, SIDE: tl.constexpr):
    """D: over 2 x 2 bins."""
    half: tl.constexpr = SIDE // 2
    bins = tl.reshape(x, (half, 2, half, 2))
    return tl.sum(tl.sum(bins, axis=3), axis=1) * 0.25


@triton.jit
def _spread(x, SIDE: tl.constexpr):
    """U: each entry 2 x 2 times."""
    bins = tl.broadcast_to(tl.reshape(x, (SIDE, 1, SIDE, 1)), (SIDE, 2, SIDE, 2))
    return tl.reshape(bins, (2 * SIDE, 2 * SIDE))


@triton.jit
def _of_tile(tile, SIDE: tl.constexpr, TILES: tl.constexpr):
    """Where in an image the pixels of a tile of SIDE x SIDE are, of TILES in a row."""
    row = tile // TILES * SIDE + tl.arange(0, SIDE)
    column = tile % TILES * SIDE + tl.arange(0, SIDE)
    return row[:, None] * (SIDE * TILES) + column[None, :]


@triton.jit
def _inverse(x):
    """1 / x; 0 where x = 0."""
    return tl.where(x == 0.0, 0.0, 1.0 / tl.where(x == 0.0, 1.0, x))


@triton.jit
def _hierarchy(
    q, u_fine, coarse_q, coarse_u, gradient_gain, coarse_gain, weights, row,
    SIZE: tl.constexpr, TILE: tl.constexpr, LEVELS: tl.constexpr, LAST: tl.constexpr,
):  # fmt: skip
    tile, image = tl.program_id(0), this_image(1)
    own = image * row
    gradient_gain, coarse_gain, weights = gradient_gain + own, coarse_gain + own, weights + own
    q, u_fine = q + image * (2 * SIZE * SIZE), u_fine + image * (SIZE * SIZE)
    at = _of_tile(tile, TILE, SIZE // TILE)
    real, imag, u = tl.load(q + 2 * at), tl.load(q + 2 * at + 1), tl.load(u_fine + at)
    p = real * real + imag * imag
    first = 0
    for level in tl.static_range(LEVELS):
        here = first + _of_tile(tile, TILE >> level, SIZE // TILE)
        gain = _inverse(p + u)
        tl.store(gradient_gain + here, gain)
        tl.store(coarse_gain + here, u * gain)
        mean, mean_u = _average(p, TILE >> level), _average(u, TILE >> level)
        real, imag = _average(real, TILE >> level), _average(imag, TILE >> level)
        p = real * real + imag * imag
        weight = tl.where(mean == 0.0, 1.0, p / tl.where(mean == 0.0, 1.0, mean))
        u = weight * mean_u
        tl.store(weights + first + _of_tile(tile, TILE >> (level + 1), SIZE // TILE), weight)
        first += (SIZE >> level) * (SIZE >> level)
    here = _of_tile(tile, TILE >> LEVELS, SIZE // TILE)
    if LAST:
        gain = _inverse(p + u)
        tl.store(gradient_gain + first + here, gain)
        tl.store(coarse_gain + first + here, u * gain)
    else:
        there = image * ((SIZE >> LEVELS) * (SIZE >> LEVELS))
        coarse_q, coarse_u = coarse_q + 2 * there, coarse_u + there
        tl.store(coarse_q + 2 * here, real)
        tl.store(coarse_q + 2 * here + 1, imag)
        tl.store(coarse_u + here, u)


@triton.jit
def _tile(
    g, coarse, z, out, gradient_gain, coarse_gain, weights, row,
    SIZE: tl.constexpr, TILE: tl.constexpr, LEVELS: tl.constexpr, HAS_Z: tl.constexpr,
    DOWN: tl.constexpr, LAST: tl.constexpr,
):  # fmt: skip
    """Down through the levels of a tile, and up again from the coarsest or from ``coarse``."""
    tile, image = tl.program_id(0), this_image(1)
    own = image * row
    gradient_gain, coarse_gain, weights = gradient_gain + own, coarse_gain + own, weights + own
    whole, small = image * (2 * SIZE * SIZE), image * (2 * (SIZE >> LEVELS) * (SIZE >> LEVELS))
    at = _of_tile(tile, TILE, SIZE // TILE)
    real, imag = tl.load(g + whole + 2 * at), tl.load(g + whole + 2 * at + 1)
    reals, imags = (real,), (imag,)
    first = 0
    for level in tl.static_range(LEVELS):
        weight = tl.load(weights + first + _of_tile(tile, TILE >> (level + 1), SIZE // TILE))
        real, imag = weight * _average(real, TILE >> level), weight * _average(imag, TILE >> level)
        reals, imags = reals + (real,), imags + (imag,)  # type: ignore[assignment]  # noqa: RUF005
        first += (SIZE >> level) * (SIZE >> level)
    below = _of_tile(tile, TILE >> LEVELS, SIZE // TILE)
    if DOWN:
        tl.store(out + small + 2 * below, real)
        tl.store(out + small + 2 * below + 1, imag)
    else:
        if LAST:
            gain = tl.load(gradient_gain + first + below)
            real, imag = real * gain, imag * gain
        else:
            real, imag = tl.load(coarse + small + 2 * below), tl.load(coarse + small + 2 * below + 1)
        for step in tl.static_range(LEVELS):
            first -= (SIZE >> (LEVELS - 1 - step)) * (SIZE >> (LEVELS - 1 - step))
            here = first + _of_tile(tile, TILE >> (LEVELS - 1 - step), SIZE // TILE)
            gain, below_gain = tl.load(gradient_gain + here), tl.load(coarse_gain + here)
            real = reals[LEVELS - 1 - step] * gain + below_gain * _spread(real, TILE >> (LEVELS - step))
            imag = imags[LEVELS - 1 - step] * gain + below_gain * _spread(imag, TILE >> (LEVELS - step))
        if HAS_Z:
            real, imag = real + tl.load(z + whole + 2 * at), imag + tl.load(z + whole + 2 * at + 1)
        tl.store(out + whole + 2 * at, real)
        tl.store(out + whole + 2 * at + 1, imag)
