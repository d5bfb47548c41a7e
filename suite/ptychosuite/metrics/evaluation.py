"""One state of one problem, as metrics see it: what several of them need is computed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Complex, Complex128

from ptychosuite.backends.arrays import Array, to_numpy
from ptychosuite.core.problem import Found, Problem, Reference
from ptychosuite.metrics.frc import Resolution, half_bit_threshold, one_bit_threshold, resolution_between
from ptychosuite.metrics.gauge import Gauge, probe_in_gauge
from ptychosuite.metrics.image import TrueObject, scanned_area
from ptychosuite.metrics.misfit import DataConstants, misfit_metrics
from ptychosuite.physics.forward import first_mode

HostObject = Complex[np.ndarray, "H W"]


@dataclass(frozen=True)
class ProblemConstants:
    """What metrics need of a problem alone; made once, when it is first asked for."""

    problem: Problem

    @cached_property
    def data(self) -> DataConstants:
        return DataConstants.of(self.problem)

    @cached_property
    def truth(self) -> TrueObject:
        """The truth; only where the problem has one."""
        assert self.problem.reference is not None, "a metric that needs the truth has to say so: needs"
        return TrueObject(self.problem.reference, self.problem.probe_known)


@dataclass(frozen=True)
class Evaluation:
    """One state of one problem.

    Everything is computed when it is first asked for. Without a truth, what compares with it cannot be had.
    """

    constants: ProblemConstants
    object: Complex[Array, "H W"]  # on the problem's backend
    probe: Complex[Array, "*M m m"]  # likewise
    halves: tuple[HostObject, HostObject] | None = None  # objects of two half scans
    found: Found | None = None  # what the solver has found beside them

    @property
    def problem(self) -> Problem:
        return self.constants.problem

    @cached_property
    def seen(self) -> Problem:
        """The problem with the positions and the variation of the probe that the solver has found."""
        return self.problem if self.found is None else self.found.applied_to(self.problem)

    @property
    def first_mode(self) -> Complex[Array, "m m"]:
        """The strongest mode of the probe."""
        return first_mode(self.probe)

    @property
    def truth(self) -> TrueObject:
        return self.constants.truth

    @cached_property
    def misfit(self) -> Mapping[str, float]:
        """The figures of one pass over the data: :func:`ptychosuite.metrics.misfit.misfit_metrics`."""
        return misfit_metrics(self.seen, self.object, self.probe, self.constants.data)

    @cached_property
    def host_object(self) -> HostObject:
        """The object on the host."""
        return to_numpy(self.object)

    @cached_property
    def host_probe(self) -> Complex[np.ndarray, "*M m m"]:
        """The probe on the host, with all its modes."""
        return to_numpy(self.probe)

    @cached_property
    def _alignment(self) -> tuple[HostObject, Gauge]:
        return self.truth.align(self.host_object, self.seen.positions_px)

    @property
    def aligned_object(self) -> HostObject:
        """The object on the host, in the gauge of the truth where the probe is unknown.

        With a known probe nothing but a global phase is arbitrary, and it is left as it is; where the
        positions were found, or given, with a common shift, the object is moved back by that.
        """
        return self._alignment[0]

    @cached_property
    def aligned_probe(self) -> Complex[np.ndarray, "*M m m"]:
        """The probe on the host, with all its modes, in the gauge of :attr:`aligned_object`."""
        gauge = self._alignment[1]
        return probe_in_gauge(self.host_probe, gauge) if gauge.scale else self.host_probe

    @cached_property
    def scanned_object(self) -> Complex128[np.ndarray, " n"]:
        """The pixels of :attr:`aligned_object` in the scanned area."""
        return self.aligned_object[self.truth.scanned].astype(np.complex128)

    @cached_property
    def error(self) -> float:
        """|| |z| - |z*| ||_2 over the pixels that are compared."""
        return self.truth.error(self.aligned_object)

    @cached_property
    def resolution(self) -> Resolution:
        """Ring correlation: between the half scans where there are such, otherwise with the truth.

        The half-bit criterion is for the former, the one-bit criterion for the latter.
        """
        if self.halves is None:
            truth = self.truth
            return resolution_between(self.host_object, truth.object, truth.scanned, one_bit_threshold)
        scene = Reference(self.halves[0], to_numpy(self.first_mode), self.problem.scan_positions_px)
        return resolution_between(*self.halves, scanned_area(scene), half_bit_threshold)
