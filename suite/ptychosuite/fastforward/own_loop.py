"""Carrying a reconstruction ahead in a loop of somebody's own: object and probe in, object and probe out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Complex, Float, Real

from ptychosuite.backends.arrays import Array, asarray_like, namespace, to_numpy
from ptychosuite.core.jumps import Snapshot
from ptychosuite.core.patterns import Patterns
from ptychosuite.core.problem import ProbeVariation, Problem, split_positions
from ptychosuite.errors import CannotAdvance, StudyError, UserError
from ptychosuite.fastforward.operator import Operator
from ptychosuite.metrics.misfit import poisson_deviance
from ptychosuite.registry.lookup import class_of
from ptychosuite.registry.validation import SettingError, validate

CHECKPOINT = ".safetensors"

ObjectAndProbe = tuple[Complex[Array, "H W"], Complex[Array, "m m"]]
OperatorLike = str | Path | Mapping[str, Any] | Operator


@dataclass(frozen=True, eq=False)
class LoopData:
    """What a loop of somebody's own reconstructs from, in our convention.

    The model is ``patterns[k] = |fft2(probe * object[r : r + m, c : c + m])|^2``, fft2 as NumPy has it: not
    normalised, the zero frequency at ``[0, 0]``. (r, c) is the whole part of ``positions_px[k]``, rounded;
    by what is left over the probe is shifted along rows and columns.

    Parameters
    ----------
    patterns
        Intensities, (N, m, m) real.
    positions_px
        (N, 2): row and column of the first corner of each patch, in pixels of the object.
    photon
        Intensity of one count, of which the noise is: 1 where patterns are counts of photons.
    mask
        (m, m), True where a detector pixel is good; None where all are.
    probe_known
        Whether the probe stays as it is.
    pattern_weights
        (N,) relative intensity of the illumination of each pattern; None where all have the same.

    Raises
    ------
    UserError
        Shapes do not go together.
    """

    patterns: Real[np.ndarray, "N m m"]
    positions_px: Real[np.ndarray, "N 2"]
    photon: float = 1.0
    mask: Bool[np.ndarray, "m m"] | None = None
    probe_known: bool = False
    pattern_weights: Float[np.ndarray, " N"] | None = None

    def __post_init__(self) -> None:
        shape, size = np.shape(self.patterns), np.shape(self.patterns)[-1:]
        if len(shape) != 3 or shape[1] != shape[2]:
            raise UserError(f"patterns: found shape {shape}; expected (N, m, m)")
        for name, expected in (
            ("positions_px", (shape[0], 2)),
            ("mask", size * 2),
            ("pattern_weights", shape[:1]),
        ):
            given = getattr(self, name)
            if given is not None and np.shape(given) != expected:
                raise UserError(f"{name}: found shape {np.shape(given)}; expected {expected}")

    def problem(self, obj: Complex[Array, "H W"], probe: Complex[Array, "m m"]) -> Problem:
        """The problem with ``obj`` and ``probe`` to start from, in their library and precision.

        Raises
        ------
        UserError
            They are no images of this scan: a patch lies outside of the object, a probe has several modes.
        """
        size, shape = np.shape(self.patterns)[-1], tuple(obj.shape)
        if tuple(probe.shape) != (size, size):
            raise UserError(f"probe: found shape {tuple(probe.shape)}; expected {(size, size)}, one mode")
        whole, shifts = split_positions(np.asarray(self.positions_px))
        if len(shape) != 2 or whole.min() < 0 or (whole.max(axis=0) + size > shape).any():
            reach = f"rows and columns {whole.min(axis=0).tolist()} to {(whole.max(axis=0) + size).tolist()}"
            raise UserError(f"object: found shape {shape}; patches take {reach} of it")
        weights = self.pattern_weights
        return Problem(
            diffraction_amplitude=self._amplitude(probe),
            scan_positions_px=whole,
            probe=probe,
            start_object=obj,
            noise=self.photon,
            probe_known=self.probe_known,
            subpixel_shifts_px=shifts,
            detector_mask=None if self.mask is None else asarray_like(self._good(), probe.real),
            variation=None if weights is None else ProbeVariation(np.asarray(weights, np.float64)),
        )

    def _good(self) -> Float[np.ndarray, "m m"]:
        """1 for good pixels, 0 for others."""
        return np.asarray(self.mask, np.float64)

    def _amplitude(self, like: Complex[Array, "m m"]) -> Array | Patterns:
        """Amplitudes in the library of ``like``; what a bad pixel holds is none."""
        patterns = np.asarray(self.patterns)
        if self.mask is not None:
            patterns = np.where(self.mask, patterns, 0)
        if isinstance(like, np.ndarray):
            return Patterns(patterns, 1.0, str(like.real.dtype))
        return asarray_like(np.sqrt(patterns), like.real)


def operator_of(asked: OperatorLike) -> Operator:
    """The operator that is meant by a kind, its settings, or the path of a checkpoint.

    Raises
    ------
    UserError
        There is none, a setting is wrong, or it needs the truth, which no measurement knows.
    """
    operator = asked if isinstance(asked, Operator) else _built(asked)
    if operator.needs_truth:
        raise UserError("an operator that needs the truth has no place in a loop on measured data")
    return operator


def _built(asked: str | Path | Mapping[str, Any]) -> Operator:
    if isinstance(asked, str | Path):
        is_file = str(asked).endswith(CHECKPOINT)
        asked = {"checkpoint": str(asked)} if is_file else {"kind": str(asked)}
    settings = {"kind": "network", **asked}
    try:
        operator: Operator = validate(class_of("operators", str(settings.pop("kind"))), settings, ())
    except SettingError as error:
        raise StudyError(f"operator: {'.'.join(map(str, error.path))} {error.message}") from error
    return operator


def carried_ahead(
    data: LoopData, now: ObjectAndProbe, before: ObjectAndProbe | None, operator: Operator
) -> ObjectAndProbe:
    """Object and probe further on; what is given stays as it is.

    Raises
    ------
    CannotAdvance
        Nothing can be proposed from here: a value is not finite, or the operator has to know ``before``.
    UserError
        Shapes do not go together.
    """
    problem = data.problem(*now)
    _refuse_infinite("state", now)
    then = None if before is None else Snapshot(*before, 0)
    proposal = operator.advance(problem, Snapshot(*now, operator.memory), then)
    _refuse_infinite("proposal", proposal)
    return proposal


def deviance_of(data: LoopData, now: ObjectAndProbe) -> float:
    """Poisson deviance per good detector pixel of object and probe; one forward pass over the data."""
    return poisson_deviance(data.problem(*now), *now)


def _refuse_infinite(name: str, images: ObjectAndProbe) -> None:
    for image in images:
        xp = namespace(image)
        if not bool(xp.all(xp.isfinite(image))):
            raise CannotAdvance(f"the {name} has values that are not finite")


def on_host(images: ObjectAndProbe) -> ObjectAndProbe:
    """Copies of object and probe, NumPy's, which later steps of a loop do not change."""
    obj, probe = (np.array(to_numpy(image)) for image in images)
    return obj, probe
