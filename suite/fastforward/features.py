"""What the network sees of a reconstruction, and what it says, in a gauge and units of its own.

Object z and probe Q are only known up to z -> c z, Q -> b Q with complex c and b, |c b| = 1 (the phase of an
exit wave leaves no trace in the data). Both are therefore brought to one size and phase before the network
and taken back after it::

    z / c,   |c| the illumination-weighted root mean square of z, arg c the phase of its weighted mean
    Q / b,   the same, weighted with |Q|^2

The network sees seven channels of each: the state, how far it has come since the state ``before``, where
the data pull it (the mean over the patterns of what each asks for, weighted with the counterpart's power),
all three as real and imaginary part, and how well it is lit (the root of the counterpart's summed power).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from suite.core.arrays import Array, divide, namespace, squared_modulus
from suite.core.problem import Problem
from suite.fastforward.operator import Snapshot
from suite.physics.forward import batches, illuminate, own_probes
from suite.physics.likelihood import exit_wave_correction
from suite.physics.patches import accumulate_patches

CHANNELS = 7
LIT = CHANNELS - 1  # the channel that says how well a pixel is lit
DIM_SHARE = 0.05  # of the largest summed power: where light is dimmer, changes fade out
TRAVEL_GAIN = 5.0  # a change in ten iterations, and a pull, are several times smaller than a state;
PULL_GAIN = 10.0  # these bring them to the same size


@dataclass(frozen=True)
class View:
    """One field, object or probe, as the network sees it."""

    channels: Array  # (7, h, w) real
    trust: Array  # (h, w) real, 0 in the dark to nearly 1 in full light: scales what the network says
    scale: complex  # the field divided by it is what the first two channels hold

    def moved(self, field: Array, change: Array) -> Array:
        """``field`` (h, w) complex after the network's ``change`` (2, h, w) real."""
        step = namespace(field).astype(self.trust * (change[0] + 1j * change[1]), field.dtype)
        return field + self.scale * step


@dataclass(frozen=True)
class Views:
    """Object and probe as the network sees them."""

    object: View
    probe: View


def views(problem: Problem, now: Snapshot, before: Snapshot | None) -> Views:
    """Object (H, W) and probe (m, m) of ``now`` for the network; costs one pass over the data.

    Without ``before`` the channels of what has changed since are zero.
    """
    pull = data_pull(problem, now.object, now.probe)
    then = before or now
    obj = _view(now.object, then.object, pull.object, pull.object_light, pull.object_light)
    probe = _view(now.probe, then.probe, pull.probe, pull.probe_light, squared_modulus(now.probe))
    return Views(obj, probe)


@dataclass(frozen=True)
class Pull:
    """Where the data pull object and probe: least-squares updates of either from all patterns at once."""

    object: Array  # (H, W) complex, sum conj(Q) chi_k / sum |Q|^2
    probe: Array  # (m, m) complex, sum conj(z_k) chi_k / sum |z_k|^2
    object_light: Array  # (H, W) real, sum |Q|^2
    probe_light: Array  # (m, m) real, sum |z_k|^2


def data_pull(problem: Problem, obj: Array, probe: Array) -> Pull:
    """The updates of ``obj`` (H, W) and ``probe`` (m, m) that all patterns together ask for.

    Q + ``probe`` is the least-squares refit of the probe, z + ``object`` that of the object.
    """
    xp = namespace(obj)
    object_sum, probe_sum = xp.zeros_like(obj), xp.zeros_like(probe)
    object_light, probe_light = xp.zeros_like(obj.real), xp.zeros_like(probe.real)
    for batch in batches(problem.n_positions, problem.probe_size, like=obj):
        lit = illuminate(problem, obj, probe, batch)
        correction = exit_wave_correction(
            lit.exit_waves, problem.diffraction_amplitude[batch], problem.detector_mask
        )
        object_sum = accumulate_patches(object_sum, xp.conj(lit.probes) * correction, lit.positions)
        power = xp.broadcast_to(squared_modulus(lit.probes), correction.shape)
        object_light = accumulate_patches(object_light, power, lit.positions)
        probe_sum += xp.sum(own_probes(xp.conj(lit.patches) * correction, lit.phases), axis=0)
        probe_light += xp.sum(squared_modulus(lit.patches), axis=0)
    floor = 1e-3  # of the largest power: in the dark the quotient is noise
    return Pull(
        divide(object_sum, object_light + floor * xp.max(object_light)),
        divide(probe_sum, probe_light + floor * xp.max(probe_light)),
        object_light,
        probe_light,
    )


def field_scale(field: Array, weight: Array) -> complex:
    """Weighted root mean square of ``field`` with the phase of its weighted mean; 1 where it vanishes."""
    xp = namespace(field)
    mean = complex(xp.sum(weight * field))
    power = float(xp.sum(weight * squared_modulus(field)))
    total = float(xp.sum(weight))
    if power == 0 or mean == 0:
        return 1.0 + 0.0j
    return mean / abs(mean) * float(np.sqrt(power / total))


def unit_phase(of: Array, like: Array, weight: Array) -> complex:
    """The factor of modulus one that turns the phase of ``of`` to that of ``like``."""
    xp = namespace(of)
    overlap = complex(xp.sum(weight * xp.conj(of) * like))
    return overlap / abs(overlap) if overlap else 1.0 + 0.0j


def _view(field: Array, then: Array, pull: Array, light: Array, power: Array) -> View:
    """``power`` weighs the pixels of ``field``; ``light`` is what they are seen by."""
    xp = namespace(field)
    share = power / xp.max(power)
    scale = field_scale(field, share)
    travelled = (field - unit_phase(then, field, share) * then) / scale
    parts = (field / scale, TRAVEL_GAIN * travelled, PULL_GAIN * pull / scale)
    lit = xp.sqrt(light / xp.max(light))
    channels = [part for each in parts for part in (each.real, each.imag)]
    trust = light / (light + DIM_SHARE * xp.max(light))
    return View(xp.stack([*channels, lit]), trust, scale)
