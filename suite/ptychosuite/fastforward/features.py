"""What the network sees of a reconstruction, and what it says, in a gauge and units of its own.

Object z and probe Q are only known up to z -> c z, Q -> b Q with complex c and b, |c b| = 1 (the phase of an
exit wave leaves no trace in the data). Both are therefore brought to one size and phase before the network
and taken back after it::

    z / c,   |c| the illumination-weighted root mean square of z, arg c the phase of its weighted mean

The probe is seen in its pupil P = F Q, where what is usually wrong with a probe, focus and aberrations, is a
smooth phase. There the network works in units of the root mean square of P, and pixel by pixel in the phase
of P: it sees |P|, and says what to add along P and across it.

It sees seven channels of each: the state, how far it has come since the state ``before``, where the data pull
it (the mean over the patterns of what each asks for, weighted with the counterpart's power), all three as
real and imaginary part, and how well it is lit: the root of the probe's summed power, or of the mean pattern.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float

from ptychosuite.backends.arrays import (
    Array,
    asarray_like,
    divide,
    fft2,
    ifft2,
    modulus,
    namespace,
    squared_modulus,
    to_numpy,
)
from ptychosuite.core.problem import Problem
from ptychosuite.fastforward.drift import Field, Light, nearest_gauge, unit_phase
from ptychosuite.fastforward.operator import Snapshot
from ptychosuite.fastforward.pull import data_pull

CHANNELS = 7
LIT = CHANNELS - 1  # the channel that says how well a pixel is lit
DIM_SHARE = 0.05  # of the largest summed power: where light is dimmer, changes fade out
TRAVEL_GAIN = 5.0  # a change in ten iterations, and a pull, are several times smaller than a state;
PULL_GAIN = 10.0  # these bring them to the same size


@dataclass(frozen=True)
class View:
    """One field, object or probe, as the network sees it."""

    channels: Float[Array, "7 h w"]
    trust: Light  # 0 in the dark to nearly 1 in full light: scales what the network says
    unit: Field | complex  # the field divided by it is what the first two channels hold

    def step(self, change: Float[Array, "2 h w"]) -> Field:
        """What the network's ``change`` adds to the field."""
        return self.unit * (self.trust * (change[0] + 1j * change[1]))


@dataclass(frozen=True)
class Views:
    """Object and probe as the network sees them."""

    object: View
    probe: View


def views(problem: Problem, now: Snapshot, before: Snapshot | None, without_drift: bool = False) -> Views:
    """Object (H, W) and pupil (m, m) of ``now`` for the network; costs one pass over the data.

    Without ``before`` the channels of what has changed since are zero. ``without_drift`` takes that in the
    gauge of ``before`` that is nearest to ``now``.
    """
    pull = data_pull(problem, now.object, now.probe)
    then = before or now
    share = pull.object_light / namespace(pull.object_light).max(pull.object_light)
    if without_drift and before is not None and not problem.probe_known:
        then = _followed(before, now, share)
    obj = _view(now.object, then.object, pull.object, share, field_scale(now.object, share))
    pattern = pull.mean_pattern / namespace(pull.mean_pattern).max(pull.mean_pattern)
    seen = pupil(now.probe)
    probe = _view(seen, pupil(then.probe), pupil(pull.probe), pattern, _rms(seen) * phase_factor(seen))
    return Views(obj, probe)


def trust(light: Float[Array, "*n h w"]) -> Float[Array, "*n h w"]:
    """How much of what the network says counts where there is so much ``light``, at most one."""
    return light / (light + DIM_SHARE)


def phase_factor(field: Field) -> Field:
    """exp(i arg field), 1 where it vanishes."""
    xp = namespace(field)
    size = modulus(field)
    return xp.where(size > 0, divide(field, size), xp.ones_like(field))


def pupil(probe: Complex[Array, "*n m m"]) -> Complex[Array, "*n m m"]:
    """The probe, centred in its window, on the detector, zero frequency in the middle."""
    fft = namespace(probe).fft
    return fft.fftshift(fft2(fft.ifftshift(probe, axes=(-2, -1))), axes=(-2, -1)) / probe.shape[-1]


def from_pupil(field: Complex[Array, "*n m m"]) -> Complex[Array, "*n m m"]:
    """Inverse of :func:`pupil`."""
    fft = namespace(field).fft
    return fft.fftshift(ifft2(fft.ifftshift(field, axes=(-2, -1))), axes=(-2, -1)) * field.shape[-1]


def field_scale(field: Field, weight: Light) -> complex:
    """Weighted root mean square of ``field`` with the phase of its weighted mean; 1 where it vanishes."""
    xp = namespace(field)
    mean = complex(xp.sum(weight * field))
    power = float(xp.sum(weight * squared_modulus(field)))
    total = float(xp.sum(weight))
    if power == 0 or mean == 0:
        return 1.0 + 0.0j
    return mean / abs(mean) * float(np.sqrt(power / total))


def _followed(before: Snapshot, now: Snapshot, light: Light) -> Snapshot:
    """``before`` as it would lie in the gauge into which ``now`` has drifted."""
    earlier, later = (
        Snapshot(to_numpy(each.object), to_numpy(each.probe), each.iteration) for each in (before, now)
    )
    moved = nearest_gauge(earlier, later, to_numpy(light))
    return Snapshot(
        asarray_like(moved.object, now.object), asarray_like(moved.probe, now.probe), before.iteration
    )


def _rms(field: Field) -> float:
    xp = namespace(field)
    return float(xp.sqrt(xp.mean(squared_modulus(field)))) or 1.0


def _view(
    field: Field,
    then: Field,
    pull: Field,
    light: Light,
    unit: Field | complex,
) -> View:
    """``light``, at most one, says how well the pixels of ``field`` are seen."""
    xp = namespace(field)
    travelled = field - unit_phase(then, field, light) * then
    parts = (field / unit, TRAVEL_GAIN * travelled / unit, PULL_GAIN * pull / unit)
    channels = [part for each in parts for part in (each.real, each.imag)]
    return View(xp.stack([*channels, xp.sqrt(light)]), trust(light), unit)
