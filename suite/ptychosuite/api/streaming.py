"""A scan that is reconstructed while it arrives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from ptychosuite.api.display import Displayed
from ptychosuite.backends.arrays import backend as backend_of
from ptychosuite.backends.arrays import real_dtype, to_numpy
from ptychosuite.core.patterns import Patterns, Recorder
from ptychosuite.core.problem import Problem, split_positions
from ptychosuite.errors import StudyError, UserError
from ptychosuite.fastforward.own_loop import OperatorLike, operator_of
from ptychosuite.metrics.misfit import poisson_deviance
from ptychosuite.problems.build import on_backend
from ptychosuite.problems.measured.measured_file import factor_to_counts
from ptychosuite.registry.lookup import class_of
from ptychosuite.registry.validation import SettingError, validate

FOUND_BY_PATTERN = ("positions", "intensity", "probe_variations")
"""Settings of solvers that find something of every pattern, which others do not have yet."""


class Stream(Displayed):
    """A reconstruction of a scan whose patterns are still coming in.

    The object lies on the grid that the planned scan needs. ``step`` does iterations over the patterns that
    are there, ``add`` brings others, and what has been reconstructed is gone on from. A stream that is given
    everything before its first step is the usual run, to the last bit.

    Parameters
    ----------
    probe
        (m, m) complex, to start from.
    planned_positions_px
        (N, 2): where patterns will lie, row and column of the first corner of each patch. Those that come in
        may differ from them, as long as they lie on the object.
    solver
        A solver's name, or its settings as a dict with "name". Not one that finds positions or the beam's
        intensity, pattern by pattern.
    fast_forward
        An operator, as of :func:`~ptychosuite.api.own_loops.carry_ahead`, that carries the reconstruction
        ahead by its schedule, as in ``{"kind": "network", "jumps": 8}``; None for none. Its iterations are
        those of the stream.
    photon
        Intensity of one count.
    probe_known
        Whether the probe is the true one, and stays.
    probe_scale
        "counts": the probe is scaled so that, through an empty object, it sends the mean intensity of the
        patterns that came in first. "kept": it is taken as it is. By default kept where it is known.
    object_shape
        (H, W) of the object; by default as large as the planned patches need.
    mask
        (m, m), True where a detector pixel is good.
    seed
        Of the scan orders.
    backend, dtype
        As of a study: "numpy", "torch", "torch-cuda" or "cupy"; "complex64" or "complex128".

    Raises
    ------
    UserError
        Shapes do not go together, or a solver, an operator or a backend cannot be had.
    """

    def __init__(
        self,
        probe: np.ndarray,
        planned_positions_px: np.ndarray,
        *,
        solver: str | Mapping[str, Any] = "epie",
        fast_forward: OperatorLike | None = None,
        photon: float = 1.0,
        probe_known: bool = False,
        probe_scale: Literal["counts", "kept"] | None = None,
        object_shape: tuple[int, int] | None = None,
        mask: np.ndarray | None = None,
        seed: int = 0,
        backend: str = "numpy",
        dtype: str = "complex64",
    ) -> None:
        probe, planned = np.asarray(probe), np.asarray(planned_positions_px)
        if probe.ndim != 2 or len(set(probe.shape)) > 1:
            raise UserError(f"probe: found shape {probe.shape}; expected (m, m)")
        if planned.ndim != 2 or planned.shape[1] != 2 or not len(planned):
            raise UserError(f"planned_positions_px: found shape {planned.shape}; expected (N, 2)")
        self._backend, self._dtype = backend_of(backend), dtype
        self._solver = _solver_of(solver, len(probe))
        self._operator = None if fast_forward is None else operator_of(fast_forward)
        self._given_probe, self._known, self._photon = probe, probe_known, photon
        self._is_scaled = (probe_scale or ("kept" if probe_known else "counts")) == "counts"
        self._mask = None if mask is None else np.asarray(mask, bool)
        reach = np.rint(planned.max(axis=0)).astype(int) + len(probe)
        self._shape = tuple(int(n) for n in (object_shape or reach))
        self._recorder, self._positions = Recorder(len(planned)), np.empty((0, 2))
        self._problem: Problem | None = None
        self._state: Any = None
        self._rng = np.random.default_rng(seed)
        self._iterations = 0

    def add(self, patterns: np.ndarray, positions_px: np.ndarray) -> None:
        """Take in patterns that have arrived.

        Parameters
        ----------
        patterns
            Intensities (n, m, m), zero frequency at [0, 0]; n may be any number.
        positions_px
            (n, 2), where they lie.

        Raises
        ------
        UserError
            They do not lie on the object, are more than were planned, or have another shape than the probe.
        """
        patterns, positions = np.asarray(patterns), np.asarray(positions_px, float)
        self._refuse(patterns, positions)
        if len(patterns) == 0:
            return
        self._recorder.append(patterns if self._mask is None else np.where(self._mask, patterns, 0))
        self._positions = np.concatenate([self._positions, positions])
        self._problem = self._with_all(self._problem or self._begun())
        if self._state is not None:
            self._state = self._solver.given_more(self._problem, self._state)

    def step(self, iterations: int = 1) -> None:
        """Do iterations over all patterns that are there.

        Raises
        ------
        UserError
            There are none yet.
        """
        problem = self._with_patterns()
        if self._state is None:
            if self._operator is not None:
                self._solver = self._operator.carrying(self._solver, problem, self._backend)
            self._state = self._solver.init(problem)
        with np.errstate(all="ignore"):
            for _ in range(iterations):
                self._state = self._solver.step(problem, self._state, self._rng)
                self._iterations += 1

    @property
    def object(self) -> np.ndarray:
        """(H, W) complex, as it is now; ones where no light has been."""
        if self._state is None:
            return np.ones(self._shape, self._dtype)
        return to_numpy(self._state.object)

    @property
    def probe(self) -> np.ndarray:
        """(m, m) complex, as it is now; with several modes (M, m, m)."""
        if self._state is None:
            return self._given_probe if self._problem is None else to_numpy(self._problem.probe)
        return to_numpy(self._state.probe)

    @property
    def n_patterns(self) -> int:
        """How many patterns have come in."""
        return len(self._positions)

    @property
    def iterations(self) -> int:
        """How many iterations have been done."""
        return self._iterations

    @property
    def deviance(self) -> float:
        """Poisson deviance per good detector pixel of all patterns that are there; a pass over them.

        Raises
        ------
        UserError
            There are none yet.
        """
        problem = self._with_patterns()
        now = problem if self._state is None else self._state
        obj = problem.start_object if self._state is None else self._state.object
        return poisson_deviance(problem, obj, now.probe)

    def __str__(self) -> str:
        planned = self._recorder.n_patterns
        return f"{self.n_patterns} of {planned} patterns, {self.iterations} iterations"

    def _with_patterns(self) -> Problem:
        if self._problem is None:
            raise UserError("no patterns have come in; add some first")
        return self._problem

    def _refuse(self, patterns: np.ndarray, positions: np.ndarray) -> None:
        """Raise UserError for patterns that cannot be taken in."""
        size, planned = len(self._given_probe), self._recorder.n_patterns
        if patterns.ndim != 3 or patterns.shape[1:] != (size, size):
            raise UserError(f"patterns: found shape {patterns.shape}; expected (n, {size}, {size})")
        if positions.shape != (len(patterns), 2):
            raise UserError(f"positions_px: found shape {positions.shape}; expected ({len(patterns)}, 2)")
        if self.n_patterns + len(patterns) > planned:
            raise UserError(f"found {self.n_patterns + len(patterns)} patterns; {planned} were planned")
        whole = np.rint(positions)
        if len(whole) and ((whole < 0).any() or (whole + size > self._shape).any()):
            raise UserError(
                f"positions_px: {whole.min(axis=0).tolist()} to {whole.max(axis=0).tolist()} do not lie on "
                f"the object of {self._shape[0]} x {self._shape[1]} pixels; give a larger object_shape"
            )

    def _begun(self) -> Problem:
        """A problem that has no pattern yet, with the probe scaled to those that came first."""
        real, probe = real_dtype(self._dtype), self._given_probe
        if self._is_scaled:
            probe = probe * factor_to_counts(probe, self._recorder.values[: self.n_patterns], self._mask)
        return Problem(
            diffraction_amplitude=np.empty(0),
            scan_positions_px=np.empty((0, 2), int),
            probe=self._backend.asarray(probe, self._dtype),
            start_object=self._backend.asarray(np.ones(self._shape), self._dtype),
            noise=self._photon,
            probe_known=self._known,
            detector_mask=None if self._mask is None else self._backend.asarray(self._mask, real),
        )

    def _with_all(self, problem: Problem) -> Problem:
        """``problem`` with all patterns that are there."""
        whole, shifts = split_positions(self._positions)
        patterns = Patterns(self._recorder.values[: self.n_patterns], 1.0, real_dtype(self._dtype))
        return replace(
            problem,
            diffraction_amplitude=on_backend(patterns, self._backend),
            scan_positions_px=whole,
            subpixel_shifts_px=shifts,
        )


def _solver_of(asked: str | Mapping[str, Any], probe_size: int) -> Any:
    """The solver that is meant by a name or by settings.

    Raises
    ------
    StudyError
        There is none, a setting is wrong, or it finds something of every pattern.
    """
    settings = {"name": asked} if isinstance(asked, str) else dict(asked)
    try:
        solver = validate(class_of("solvers", str(settings.pop("name", ""))), settings, ())
        solver.check(probe_size)
    except SettingError as error:
        raise StudyError(f"solver: {'.'.join(map(str, error.path))} {error.message}") from error
    except ValueError as error:
        raise StudyError(f"solver: {error}") from error
    for each in solver.constituents:
        found = [name for name in FOUND_BY_PATTERN if getattr(each, name, None)]
        if found or not each.takes_more:
            why = (
                f"'{found[0]}' is found pattern by pattern"
                if found
                else "its package keeps the first patterns"
            )
            raise StudyError(f"solver: this one cannot go on while patterns come in: {why}")
    return solver
