"""How a run is shown: object and probe in the gauge that the metrics compare them in.

Nothing else says so: figures, and the comparer of the page, draw what is made here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Complex128

from ptychosuite.core.problem import Reference
from ptychosuite.core.runs import RunRecord
from ptychosuite.metrics.gauge import probe_in_gauge
from ptychosuite.metrics.image import TrueObject, scanned_area
from ptychosuite.problems.problem_kind import knows_probe


@dataclass(frozen=True)
class Shown:
    """A reconstruction, or a truth, in the gauge of the metrics.

    Parameters
    ----------
    object, probe
        In that gauge, both. The probe, of several modes the strongest, is None where the run has kept none.
    compared
        Pixels whose magnitudes a metric compares: all with a known probe, otherwise the scanned ones.
    scanned
        Pixels whose phases a metric compares: those that the probe has lit.
    modes
        All modes of the probe in the same gauge, strongest first; None where there is but one.
    """

    object: Complex128[np.ndarray, "H W"]
    probe: Complex128[np.ndarray, "m m"] | None
    compared: Bool[np.ndarray, "H W"]
    scanned: Bool[np.ndarray, "H W"]
    modes: Complex128[np.ndarray, "M m m"] | None = None


@dataclass(frozen=True)
class Scene:
    """What runs of one problem are shown against: the truth, where there is one.

    Parameters
    ----------
    reference
        The truth; None where none is known.
    probe_known
        Whether the runs were given the probe.
    """

    reference: Reference | None
    probe_known: bool

    @classmethod
    def of(cls, record: RunRecord, reference: Reference | None) -> Scene:
        """The scene of a run."""
        return cls(reference, knows_probe(record.spec.problem))

    @cached_property
    def _truth(self) -> TrueObject:
        assert self.reference is not None
        return TrueObject(self.reference, self.probe_known)

    @property
    def removed(self) -> str:
        """What is removed before anything is drawn, as in a caption."""
        if self.reference is None:
            return "Each object is divided by its median magnitude and mean phase over the scanned pixels"
        if self.probe_known:
            return "The global phase is removed, as it is before phases are compared"
        return (
            "What an unknown probe leaves open is removed as for the metrics: scale, phase, phase ramp and "
            "sub-pixel shift, of object and probe together, and the probe's own phase"
        )

    @cached_property
    def truth(self) -> Shown | None:
        """The truth itself."""
        if self.reference is None:
            return None
        obj, probe = (x.astype(np.complex128) for x in (self.reference.object, self.reference.probe))
        modes = _in_double(self.reference.probe_modes)
        return Shown(obj, probe, self._truth.compared, self._truth.scanned, modes)

    def show(self, record: RunRecord) -> Shown:
        """A run that has kept its object."""
        assert record.object is not None
        if self.reference is None:
            return _by_itself(record)
        found = record.scan_positions_px
        positions = self.reference.told_positions_px if found is None else found
        obj, gauge = self._truth.align(record.object, positions)
        factor = self._truth.phase_factor(obj)
        probe, modes = _in_double(record.probe), _in_double(record.probe_modes)
        if not self.probe_known and gauge.scale:  # of a known probe the phase is the object's alone
            gauge = replace(gauge, scale=gauge.scale * factor)
            probe, modes = (None if x is None else probe_in_gauge(x, gauge) for x in (probe, modes))
            if probe is not None:  # no intensity tells the phase of the one from that of the other
                turn = np.exp(-1j * np.angle(np.vdot(self.reference.probe, probe)))
                probe, modes = probe * turn, None if modes is None else modes * turn
        obj = obj * np.complex128(factor)
        return Shown(obj, probe, self._truth.compared, self._truth.scanned, modes)


def _in_double(probe: np.ndarray | None) -> np.ndarray | None:
    return None if probe is None else probe.astype(np.complex128)


def _by_itself(record: RunRecord) -> Shown:
    """Without a truth: the object over its median magnitude and mean phase, the probe times as much."""
    obj = np.asarray(record.object, dtype=np.complex128)
    scanned = np.ones(obj.shape, dtype=bool)
    if record.probe is not None and record.scan_positions_px is not None and record.probe.any():
        scanned = scanned_area(Reference(obj, record.probe, record.scan_positions_px))
    seen = obj[scanned]
    unit = float(np.median(np.abs(seen))) * np.exp(1j * np.angle(seen.mean())) or 1.0
    held = _in_double(record.probe), _in_double(record.probe_modes)
    probe, modes = (None if x is None else x * unit for x in held)
    return Shown(obj / unit, probe, scanned, scanned, modes)
