"""What blind ptychography cannot know, removed before a reconstruction is compared.

Object z and probe Q enter the data only through |F(Q z_k)|^2, which is left unchanged by::

    z -> c z,              Q -> Q / c              complex scale c
    z -> z exp(i k . x),   Q -> Q exp(-i k . x)    phase ramp k
    z -> z(x - d),         Q -> Q(x - d)           translation d, also by a fraction of a pixel

A reconstruction is brought into the gauge of the truth by minimising::

    D(c, k, d) = sum_x w |c exp(i k . x) z(x - d) - z*|^2,    w = |z*|^2 over the scanned pixels, 0 elsewhere

The start comes from cross-correlations, which know no phase unwrapping. The refinement is the inverse
compositional Gauss-Newton method (Baker and Matthews, Int. J. Comput. Vis. 56, 221, 2004): derivatives
are those of the truth, free of the noise of z and computed once.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import scipy.fft
from jaxtyping import Bool, Complex, Complex128, Float64, Inexact

from ptychosuite.backends.arrays import fft2, ifft2
from ptychosuite.physics.shift import axis_phases

EDGE_GAP = 24  # pixels over which opposite edges are blended, so that a translation does not ring
COARSE_FROM = 128  # pixels on a side: smaller images are searched at full resolution
BLOCK = 8  # pixels on a side that are summed before the ramp is searched for
NEGLIGIBLE = 1e-4  # pixels of shift, and radians of ramp at the edge of the field

Image = Complex[np.ndarray, "H W"]
Field = Complex128[np.ndarray, "H W"]
Weight = Float64[np.ndarray, "H W"]
Area = Bool[np.ndarray, "H W"]
Pair = Float64[np.ndarray, " 2"]  # along rows and columns
Motion = Float64[np.ndarray, " 4"]  # a ramp in rad/px and a shift in px, along rows and columns each


@dataclass(frozen=True)
class Gauge:
    """Scale, ramp and translation that bring a reconstruction to the truth.

    The translation is applied first, then the ramp, then the scale.

    Parameters
    ----------
    scale
        Complex factor.
    ramp_rad_per_px
        Phase slope along (rows, columns), added to the phase; zero at the centre of the array.
    shift_px
        (rows, columns) by which content moves towards larger indices.
    """

    scale: complex = 1.0 + 0.0j
    ramp_rad_per_px: tuple[float, float] = (0.0, 0.0)
    shift_px: tuple[float, float] = (0.0, 0.0)


def remove_gauge(obj: Image, truth: Image, scanned: Area) -> Field:
    """``obj`` in the gauge of ``truth``: the first result of :func:`align`."""
    return align(obj, truth, scanned)[0]


def align(obj: Image, truth: Image, scanned: Area) -> tuple[Field, Gauge]:
    """``obj`` in the gauge of ``truth``, and what was applied; see :class:`Aligner`."""
    return Aligner(truth, scanned).align(obj)


class Aligner:
    """Brings reconstructions into the gauge of one truth; what depends on the truth is computed once.

    Parameters
    ----------
    truth
        The true object.
    scanned
        Where the object is known.
    """

    def __init__(self, truth: Image, scanned: Area) -> None:
        truth = truth.astype(np.complex128)
        weight = np.where(scanned, truth.real**2 + truth.imag**2, 0.0)
        self._target = _Target.of(truth, weight)
        self._coarse = _CoarseSearch(truth, weight) if min(truth.shape) >= 4 else None

    def align(self, obj: Image) -> tuple[Field, Gauge]:
        """Bring ``obj`` into the gauge of the truth.

        Returns
        -------
        aligned
            Its distance D (see the module) is never larger than what the best complex
            scale alone would give.
        gauge
            What was applied: ``aligned`` is ``apply_gauge(obj, gauge)``. The identity where ``obj`` is not
            finite or vanishes, or nothing was scanned.
        """
        obj = obj.astype(np.complex128)
        if not np.isfinite(obj).all():
            return obj, Gauge()
        best = self._target.compare(np.zeros(4), obj)
        if best.scale == 0:
            return obj, Gauge()
        if self._coarse is not None:
            fit = _refine(_Shifter(obj), self._target, self._coarse.motion(obj), tries=6)
            best = min(best, fit, key=lambda each: each.distance)
        ramp, shift = best.motion[:2].tolist(), best.motion[2:].tolist()
        return best.field * best.scale, Gauge(best.scale, (ramp[0], ramp[1]), (shift[0], shift[1]))


def apply_gauge(obj: Image, gauge: Gauge) -> Field:
    """Translate ``obj``, add the phase ramp, multiply by the scale."""
    moved = obj.astype(np.complex128)
    if any(gauge.shift_px):
        moved = _Shifter(moved).moved(np.array(gauge.shift_px))
    return gauge.scale * _add_ramp(moved, np.array(gauge.ramp_rad_per_px))


def probe_in_gauge(probe: Complex[np.ndarray, "*M m m"], gauge: Gauge) -> Complex128[np.ndarray, "*M m m"]:
    """The probe that belongs to an object with ``gauge`` applied: moved with it, ramp and scale undone.

    Exit waves only move; each of several modes has the same gauge.
    """
    if probe.ndim > 2:
        return np.stack([probe_in_gauge(mode, gauge) for mode in probe])
    rows, columns = gauge.ramp_rad_per_px
    return apply_gauge(probe, Gauge(1 / gauge.scale, (-rows, -columns), gauge.shift_px))


def _add_ramp(obj: Field, ramp: Pair) -> Field:
    rows, columns = (np.exp(1j * k * _centred(n)) for k, n in zip(ramp, obj.shape, strict=True))
    return obj * rows[:, None] * columns


def _centred(size: int) -> Float64[np.ndarray, " {size}"]:
    return np.arange(size) - (size - 1) / 2


class _Shifter:
    """Translations of one image (H, W) that is not periodic, from one forward transform."""

    def __init__(self, obj: Field) -> None:
        self.shape = obj.shape
        self.spectrum = fft2(np.ascontiguousarray(_closed(_closed(obj).T).T))

    def moved(self, shift_px: Pair) -> Field:
        rows, columns = (
            axis_phases(n, d[None])[0] for n, d in zip(self.spectrum.shape, shift_px, strict=True)
        )
        spectrum = self.spectrum * rows[:, None]
        spectrum *= columns
        return self._image(spectrum)

    def derivatives(self) -> tuple[Field, Field]:
        """Derivatives of :meth:`moved` by the two shifts, at no shift."""
        rows, columns = (-2j * np.pi * scipy.fft.fftfreq(n) for n in self.spectrum.shape)
        return self._image(self.spectrum * rows[:, None]), self._image(self.spectrum * columns)

    def _image(self, spectrum: Complex128[np.ndarray, "h w"]) -> Field:
        return ifft2(spectrum)[: self.shape[0], : self.shape[1]]


def _closed(x: Complex128[np.ndarray, "n m"]) -> Complex128[np.ndarray, "longer m"]:
    """``x`` continued along its first axis until its end meets its beginning smoothly.

    Both edges are continued by their odd reflection, which keeps value and slope, and one is faded into
    the other. A jump where the edges meet would ring through the whole field as 1 / distance.
    """
    n = len(x)
    gap = min(scipy.fft.next_fast_len(n + EDGE_GAP) - n, n - 1)
    if gap == 0:
        return x
    behind = 2 * x[-1] - x[-2 : -2 - gap : -1] if gap < n - 1 else 2 * x[-1] - x[-2::-1]
    ahead = 2 * x[0] - x[gap:0:-1]
    fade = (0.5 - 0.5 * np.cos(np.pi * np.arange(1, gap + 1) / (gap + 1)))[:, None]
    return np.concatenate([x, behind + fade * (ahead - behind)])


@dataclass(frozen=True)
class _Fit:
    motion: Motion
    field: Field  # moved and ramped, not scaled
    scale: complex  # that brings ``field`` nearest to the truth
    distance: float  # D


@dataclass(frozen=True)
class _Target:
    """The truth, its weights and its derivatives, with the normal equations of one Gauss-Newton step.

    The unknowns are (Re, Im) of the relative scale, ramp and shift (rows, columns each). The derivatives
    of the truth by them are t, i t, i y t, i x t, -dt/dy, -dt/dx.
    """

    weighted: Field  # w conj(t)
    slopes: tuple[Field, Field]  # -w dt/dy and -w dt/dx
    weight: Weight  # w
    power: float  # sum w |t|^2
    truth_products: Float64[np.ndarray, " 6"]  # the derivatives with the truth itself
    inverse: Float64[np.ndarray, "6 6"]

    @classmethod
    def of(cls, truth: Field, weight: Weight) -> _Target:
        slopes = _Shifter(truth).derivatives()
        weighted = weight * truth.conj()
        weighted_slopes = (weight * slopes[0], weight * slopes[1])
        y, x = (_centred(n) for n in truth.shape)
        density = weight * (truth.real**2 + truth.imag**2)
        down, across = density.sum(axis=1), density.sum(axis=0)
        normal = np.zeros((6, 6))
        normal[0, 0] = normal[1, 1] = power = float(down.sum())
        normal[1, 2], normal[1, 3] = y @ down, x @ across
        normal[2, 2], normal[3, 3], normal[2, 3] = y**2 @ down, x**2 @ across, y @ (density * x).sum(axis=1)
        for column, (slope, weighted_slope) in enumerate(zip(slopes, weighted_slopes, strict=True), start=4):
            products = _products(weighted * slope)
            normal[:4, column] = products.real[0], products.imag[0], *products.imag[1:]
            normal[column, column] = _real_dot(weighted_slope, slope)
        normal[4, 5] = _real_dot(weighted_slopes[0], slopes[1])
        normal = np.triu(normal) + np.triu(normal, 1).T
        return cls(
            weighted,
            weighted_slopes,
            weight,
            power,
            truth_products=normal[0].copy(),
            inverse=_inverse(normal),
        )

    def compare(self, motion: Motion, field: Field) -> _Fit:
        overlap = _dot(self.weighted, field)
        field_power = _dot(self.weight, field.real**2 + field.imag**2).real
        if field_power == 0:
            return _Fit(motion, field, 0j, self.power)
        return _Fit(
            motion, field, overlap.conjugate() / field_power, self.power - abs(overlap) ** 2 / field_power
        )

    def step(self, field: Field) -> Motion:
        """Change of the motion that one Gauss-Newton step asks for."""
        products = _products(self.weighted * field)
        if products[0] == 0:
            return np.zeros(4)
        # This scale makes the remainder orthogonal to the truth. The least-squares scale would leave the
        # share of the noise in ``field`` behind, and the step would take it for motion.
        scale = self.power / products[0]
        ramps, scaled = scale * products, scale * field
        shifts = [_real_dot(slope, scaled) for slope in self.slopes]
        seen = [ramps[0].real, ramps[0].imag, *ramps.imag[1:], *shifts]
        change: np.ndarray = self.inverse @ (self.truth_products - seen)
        return change[2:]


def _products(weighted_field: Field) -> Complex128[np.ndarray, " 3"]:
    """Sums with 1, y and x."""
    down, across = weighted_field.sum(axis=1), weighted_field.sum(axis=0)
    y, x = (_centred(n) for n in weighted_field.shape)
    return np.array([down.sum(), y @ down, x @ across])


def _dot(a: Inexact[np.ndarray, "H W"], b: Inexact[np.ndarray, "H W"]) -> complex:
    """Sum of a * b. Not by BLAS, whose threads make it slower on a busy machine and the sum vary."""
    return complex(np.einsum("ij,ij->", a, b))


def _real_dot(a: Field, b: Field) -> float:
    """Real part of the sum of conj(a) * b."""
    return float(np.einsum("ij,ij->", a.view(np.float64), b.view(np.float64)))


def _inverse(normal: Float64[np.ndarray, "6 6"]) -> Float64[np.ndarray, "6 6"]:
    """Pseudo-inverse in balanced units: an object without structure leaves its shift undetermined."""
    diagonal = np.diag(normal)
    balance = np.where(diagonal > 0, 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1)), 0)
    return balance[:, None] * np.linalg.pinv(balance[:, None] * normal * balance, rcond=1e-10) * balance


def _refine(shifter: _Shifter, target: _Target, motion: Motion, tries: int) -> _Fit:
    """Gauss-Newton from ``motion`` with at most ``tries`` translations; a step that does harm is halved."""

    def fit(motion: Motion) -> _Fit:
        return target.compare(motion, _add_ramp(shifter.moved(motion[2:]), motion[:2]))

    unit = np.array([2 / shifter.shape[0], 2 / shifter.shape[1], 1, 1])
    best = fit(motion)
    step = target.step(best.field)
    for _ in range(tries - 1):
        if (np.abs(step) < NEGLIGIBLE * unit).all():
            break
        trial = fit(best.motion + step)
        if trial.distance < best.distance:
            best, step = trial, target.step(trial.field)
        else:
            step = step / 2
    return best


class _CoarseSearch:
    """Ramp and shift to about a tenth of a radian over the field and of a pixel, from no start at all."""

    def __init__(self, truth: Field, weight: Weight) -> None:
        self.factor = 2 if min(truth.shape) >= COARSE_FROM else 1
        self.mask = weight > 0
        self.slope = _mean_slopes(truth * self.mask)
        small, small_weight = _bin(truth, self.factor), _bin(weight, self.factor)
        self.target = _Target.of(small, small_weight)
        self.small_mask = small_weight > 0
        self.spectrum = fft2(_without_mean(small, self.small_mask))

    def motion(self, obj: Field) -> Motion:
        slope = self.slope - _mean_slopes(obj * self.mask)
        small = _bin(_add_ramp(obj, slope), self.factor)
        correlation = ifft2(self.spectrum * fft2(_without_mean(small, self.small_mask)).conj())
        starts = []
        # An object of little structure, or a bad one, may correlate best at a wrong place.
        for shift in (np.zeros(2), _peak(np.abs(correlation))):
            moved = np.roll(small, np.rint(shift).astype(int).tolist(), (0, 1))
            ramp = _ramp_of(self.target.weighted * moved)
            starts.append(self.target.compare(np.concatenate([ramp, shift]), _add_ramp(moved, ramp)))
        start = min(starts, key=lambda each: each.distance).motion
        found = _refine(_Shifter(small), self.target, start, tries=3).motion
        return np.concatenate([found[:2] / self.factor + slope, found[2:] * self.factor])


def _mean_slopes(x: Field) -> Pair:
    """Power-weighted mean phase steps between neighbours, which no translation of ``x`` changes."""
    overlaps = [_dot(x[:-1].conj(), x[1:]), _dot(x[:, :-1].conj(), x[:, 1:])]
    return np.angle(overlaps)


def _bin(x: Inexact[np.ndarray, "H W"], factor: int) -> Inexact[np.ndarray, "h w"]:
    """Sums over squares of ``factor`` pixels; an incomplete last row or column is left out."""
    if factor == 1:
        return x
    h, w = (n // factor for n in x.shape)
    cut = x[: h * factor, : w * factor]
    rows = functools.reduce(np.add, (cut[first::factor] for first in range(factor)))
    return functools.reduce(np.add, (rows[:, first::factor] for first in range(factor)))


def _without_mean(x: Field, mask: Area) -> Field:
    # The mean would make a broad hill in the correlation, highest where the masks coincide: at no shift.
    return np.where(mask, x - x.sum(where=mask) / max(mask.sum(), 1), 0)


def _ramp_of(overlap: Field) -> Pair:
    """Ramp in rad/px that takes the slope out of the phase of ``overlap``."""
    factor = max(1, min(BLOCK, min(overlap.shape) // 4))
    blocks = _bin(overlap, factor)
    size = [2 * n for n in blocks.shape]
    padded = np.zeros(size, dtype=np.complex128)
    padded[: blocks.shape[0], : blocks.shape[1]] = blocks
    bins = _peak(np.abs(fft2(padded)))
    return -2 * np.pi * bins / (np.array(size) * factor)


def _peak(height: Weight) -> Pair:
    """Place of the largest entry of a periodic array, by parabolas; the upper half counts negative."""
    top = np.unravel_index(np.argmax(height), height.shape)
    place = []
    for axis, (at, n) in enumerate(zip(top, height.shape, strict=True)):
        line = height[:, top[1]] if axis == 0 else height[top[0]]
        before, here, after = line[at - 1], line[at], line[(at + 1) % n]
        bend = before - 2 * here + after
        place.append((at + n // 2) % n - n // 2 + (0.5 * (before - after) / bend if bend < 0 else 0.0))
    return np.array(place)
