"""What the adapters share: a peer's running reconstruction and the states that are read from it.

A peer keeps its own arrays and changes them in place, in a process of its own, so ``step`` cannot be pure
here: a state is a view of the peer at one iteration, good until the next step. Object, probe and what else
was found are fetched when they are first asked for, which the loop does off the clock; on the clock is what
the peer itself takes for its epoch. Who wants to go on from a state twice has it copied, process and all.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge
from jaxtyping import Complex

from ptychosuite.backends.arrays import Array, asarray_like, to_numpy
from ptychosuite.core.problem import Found, ProbeVariation, Problem
from ptychosuite.solvers.peers.peer_task import Driver, PeerTask
from ptychosuite.solvers.peers.process import PeerProcess
from ptychosuite.solvers.probe_modes import modes_from, power, start_modes
from ptychosuite.solvers.solver import CountingSolver


class PeerSession:
    """A peer's reconstruction under way: where it is, and what it holds there."""

    def __init__(self, process: PeerProcess) -> None:
        self.process = process
        self.iteration = self.data_passes = 0
        self.seconds = 0.0  # of the last epoch, by the peer's clock
        self._arrays: dict[str, np.ndarray] | None = None

    def epoch(self, batches: list[list[int]]) -> None:
        """One more epoch, in place."""
        self._arrays = None
        answer, _ = self.process.ask({"do": "epoch", "batches": batches})
        self.iteration += 1
        self.seconds, self.data_passes = answer["seconds"], answer["data_passes"]

    def copied(self) -> PeerSession:
        """The same once more, in a process of its own."""
        found = copy(self)
        found.process = self.process.copied()
        return found

    def go_to(self, arrays: dict[str, np.ndarray]) -> None:
        """Put ``object`` (H, W) and, where given, ``probe`` (M, m, m) in the place of the peer's own."""
        self._arrays = None
        self.seconds = self.process.ask({"do": "go_to"}, arrays)[0]["seconds"]

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """As :meth:`~ptychosuite.solvers.peers.peer_task.Running.arrays`."""
        if self._arrays is None:
            self._arrays = self.process.ask({"do": "arrays"})[1]
        return self._arrays

    def modelled(self) -> np.ndarray:
        """Intensities (N, m, m) of the present object and probe, by the peer's own forward model."""
        return self.process.ask({"do": "modelled"})[1]["modelled"]


@dataclass(frozen=True)
class PeerState:
    """A peer at one iteration; its arrays can be read until the next step."""

    session: PeerSession
    problem: Problem
    iteration: int
    data_passes: int
    seconds: float  # of the step that led here

    @classmethod
    def of(cls, session: PeerSession, problem: Problem) -> PeerState:
        return cls(session, problem, session.iteration, session.data_passes, session.seconds)

    @cached_property
    def object(self) -> Complex[Array, "H W"]:
        return asarray_like(self._arrays["object"], self.problem.start_object)

    @cached_property
    def probe(self) -> Complex[Array, "*M m m"]:
        modes = self._arrays["probe"]
        return asarray_like(modes if len(modes) > 1 else modes[0], self.problem.probe)

    @cached_property
    def found(self) -> Found | None:
        """Positions and the variation of the probe, where the peer has looked for them."""
        arrays, variation = self._arrays, None
        if "intensity" in arrays:
            modes, weights = arrays.get("variations"), arrays.get("weights")
            if modes is not None and weights is not None:
                modes, weights = _relative(modes, weights, arrays["probe"][0])
                modes = asarray_like(modes, self.problem.probe)
            variation = ProbeVariation(arrays["intensity"].astype(np.float64), modes, weights)
        positions = arrays.get("positions_px")
        if positions is None and variation is None:
            return None
        return Found(None if positions is None else positions.astype(np.float64), variation)

    @property
    def _arrays(self) -> dict[str, np.ndarray]:
        self.refuse_if_past()
        return self.session.arrays

    def refuse_if_past(self) -> None:
        """Refuse a state from which the peer has gone on since: what it held then is lost.

        Raises
        ------
        RuntimeError
            With both iterations.
        """
        if self.session.iteration != self.iteration:
            raise RuntimeError(
                f"a peer's state of iteration {self.iteration} is gone: the peer is at iteration "
                f"{self.session.iteration} and keeps one state; read object and probe before the next step"
            )


@dataclass(frozen=True, kw_only=True)
class PeerSettings(CountingSolver):
    """Base of the peers' solvers.

    Parameters
    ----------
    update_probe
        Whether the probe is updated; by default (null) where the problem does not know it.
    probe_modes
        Mutually incoherent modes of the probe. Where the problem does not know so many they are made from
        its probe, and by default updated.
    positions_start
        Iterations before the first correction of the positions.
    """

    remembers: ClassVar[str] = "what the other package keeps to itself"
    takes_more: ClassVar[bool] = False
    driver: ClassVar[Driver]

    update_probe: bool | None = None
    probe_modes: Annotated[int, Ge(1)] = 1
    positions_start: Annotated[int, Ge(0)] = 0

    @property
    def patterns_of_a_batch(self) -> int | None:
        """None: the package takes all patterns at once, in its own order."""
        raise NotImplementedError

    @property
    def n_variations(self) -> int:
        """Modes by which the probe differs from pattern to pattern."""
        return 0

    def told(self) -> Mapping[str, Any]:
        """The settings as the driver takes them, with nothing left open."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def init(self, problem: Problem) -> PeerState:
        """The state before the first epoch.

        Raises
        ------
        BackendError
            The peer is not installed.
        PeerFailure
            It crashes, hangs or refuses.
        """
        process = PeerProcess.begun(self.driver, self.told(), self.task(problem))
        return PeerState.of(PeerSession(process), problem)

    def step(self, problem: Problem, state: PeerState, rng: np.random.Generator) -> PeerState:
        """The state after one more epoch. Not pure: the peer changes its arrays, and ``state`` is spent."""
        state.refuse_if_past()
        state.session.epoch(shuffled_batches(problem.n_positions, self.patterns_of_a_batch, rng))
        return PeerState.of(state.session, state.problem)

    def carried(
        self, problem: Problem, state: PeerState, obj: Complex[Array, "H W"], probe: Complex[Array, "m m"]
    ) -> tuple[PeerState, int]:
        """A copy of the peer with another object and probe; what else it has found and counted goes on."""
        session = self.copied(state).session
        arrays = {"object": to_numpy(obj)}
        if self.moves_probe(state.problem):
            arrays["probe"] = to_numpy(probe)[None]
        session.go_to(arrays)
        return PeerState.of(session, state.problem), 0

    def copied(self, state: PeerState) -> PeerState:
        """The state of a copy of the peer."""
        state.refuse_if_past()
        return replace(state, session=state.session.copied())

    def step_seconds(self, state: PeerState, measured: float) -> float:
        """By the peer's clock: neither messages nor the way from one process to the other are its work."""
        return state.seconds

    def provenance(self, state: PeerState) -> Mapping[str, Any]:
        """Version and settings of the peer."""
        return {"peer": {**state.session.process.about, "settings": dict(self.told())}}

    def moves_probe(self, problem: Problem) -> bool:
        known = problem.probe_known and problem.has_modes(self.probe_modes)
        return not known if self.update_probe is None else self.update_probe

    def task(self, problem: Problem) -> PeerTask:
        """``problem`` as plain arrays.

        Raises
        ------
        ValueError
            It has what the package cannot do.
        """
        if problem.variation is not None:
            raise ValueError("begins from a probe that varies from pattern to pattern, which a peer cannot")
        modes = to_numpy(start_modes(problem, self.probe_modes)).reshape(-1, *problem.probe.shape[-2:])
        mask = fitted = None
        if problem.mask_varies:
            fitted = to_numpy(problem.mask(slice(None))) > 0
        elif problem.detector_mask is not None:
            mask = to_numpy(problem.detector_mask) > 0
        return PeerTask(
            intensity=to_numpy(problem.diffraction_amplitude[:]) ** 2,
            positions_px=problem.positions_px,
            object=to_numpy(problem.start_object),
            probe=modes,
            moves_probe=self.moves_probe(problem),
            is_between_pixels=problem.subpixel_shifts_px is not None,
            mask=mask,
            fitted=fitted,
            variations=self._variations(modes[0]),
        )

    def _variations(self, probe: np.ndarray) -> np.ndarray | None:
        """The probe's first moments, with unit mean square."""
        if not self.n_variations:
            return None
        moments = modes_from(probe, self.n_variations + 1)[1:].astype(probe.dtype)
        return moments / np.sqrt(np.mean(np.abs(moments) ** 2, axis=(1, 2), keepdims=True))


def shuffled_batches(n_positions: int, batch: int | None, rng: np.random.Generator) -> list[list[int]]:
    """Scan positions in the order that our own sweeps draw, cut into batches; None: one of all."""
    order = rng.permutation(n_positions).tolist()
    step = n_positions if batch is None else batch
    return [order[i : i + step] for i in range(0, n_positions, step)]


def _relative(modes: np.ndarray, weights: np.ndarray, probe: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same variation by modes that have the power of ``probe``, so that weights are relative."""
    scales = np.array([np.sqrt(power(probe) / (power(mode) or 1.0)) for mode in modes])
    return modes * scales[:, None, None], weights.astype(np.float64) / scales
