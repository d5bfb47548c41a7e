"""What the adapters share: a peer's running reconstruction, states that read from it, and its side effects.

A peer keeps its own arrays and changes them in place, so ``step`` cannot be pure here: a state is a view of
the peer at one iteration, good until the next step. Object and probe are converted when they are first asked
for, which the loop does off the clock.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

import array_api_compat
import numpy as np
from jaxtyping import Complex

from ptychosuite.backends.arrays import Array, namespace, to_numpy
from ptychosuite.core.problem import Problem
from ptychosuite.errors import BackendError
from ptychosuite.solvers.solver import CountingSolver


class PeerSession(Protocol):
    """A peer's reconstruction under way."""

    iteration: int  # epochs done so far

    @property
    def data_passes(self) -> int: ...
    def object(self) -> np.ndarray: ...  # (H, W) complex, may share the peer's memory
    def probe(self) -> np.ndarray: ...  # (m, m) complex, may share the peer's memory
    def epoch(self, problem: Problem, rng: np.random.Generator) -> None:
        """One more epoch, in place."""


@dataclass(frozen=True)
class PeerState:
    """A peer at one iteration; its arrays can be read until the next step."""

    session: PeerSession
    problem: Problem
    iteration: int
    data_passes: int

    @classmethod
    def of(cls, session: PeerSession, problem: Problem) -> PeerState:
        return cls(session, problem, session.iteration, session.data_passes)

    @cached_property
    def object(self) -> Complex[Array, "H W"]:
        self.refuse_if_past()
        return _copy_like(self.session.object(), self.problem.start_object)

    @cached_property
    def probe(self) -> Complex[Array, "m m"]:
        self.refuse_if_past()
        return _copy_like(self.session.probe(), self.problem.probe)

    def refuse_if_past(self) -> None:
        """Raise RuntimeError where the peer has gone on since: what it held then is lost."""
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
    """

    can_go_back: ClassVar[bool] = False
    remembers: ClassVar[str] = "what the other package keeps to itself"
    can_hold_out: ClassVar[bool] = False  # their masks are one for all patterns

    update_probe: bool | None = None

    def session(self, problem: Problem) -> PeerSession:
        """The peer, ready to begin."""
        raise NotImplementedError

    def init(self, problem: Problem) -> PeerState:
        """The state before the first epoch.

        Raises
        ------
        BackendError
            The peer is not installed.
        """
        return PeerState.of(self.session(problem), problem)

    def step(self, problem: Problem, state: PeerState, rng: np.random.Generator) -> PeerState:
        """The state after one more epoch. Not pure: the peer changes its arrays, and ``state`` is spent."""
        state.refuse_if_past()
        state.session.epoch(problem, rng)
        return PeerState.of(state.session, problem)

    def moves_probe(self, problem: Problem) -> bool:
        return not problem.probe_known if self.update_probe is None else self.update_probe


def shuffled_batches(n_positions: int, batch: int, rng: np.random.Generator) -> list[list[int]]:
    """Scan positions in the order that our own sweeps draw, cut into batches."""
    order = rng.permutation(n_positions).tolist()
    return [order[i : i + batch] for i in range(0, n_positions, batch)]


def loader_of(dataset: Any, batches: list[list[int]]) -> Any:
    """A torch loader that hands out ``batches``, a list to be refilled before each epoch.

    Its own generator keeps torch's global one untouched.
    """
    import torch

    return torch.utils.data.DataLoader(dataset, batch_sampler=batches, generator=torch.Generator())


def intensity(problem: Problem) -> np.ndarray:
    """Measured intensities (N, m, m) on the host, zero frequency at [0, 0]."""
    return to_numpy(problem.diffraction_amplitude[:]) ** 2


@contextmanager
def importing(package: str) -> Iterator[None]:
    """Around the import of a peer; filters of warnings that it sets are put back.

    Raises
    ------
    BackendError
        The package is not installed, or what it needs does not fit together.
    """
    try:
        with warnings.catch_warnings():
            yield
    except (
        ImportError,
        OSError,
        RuntimeError,
    ) as error:  # torchvision of another build than torch: the last two
        raise BackendError(
            f"this solver needs the package {package}, which cannot be imported ({error}); "
            "pip install 'ptychosuite[peers]', with torch and torchvision from the same package index"
        ) from error


@contextmanager
def contained() -> Iterator[None]:
    """Inside, one CPU thread, no warnings or log records below errors; after it, all is as before.

    Peers set torch's default dtype and device, and call ``logging.warning``, which would install a handler.
    """
    import torch

    root, disabled = logging.getLogger(), logging.root.manager.disable
    silent = logging.NullHandler()
    threads, dtype, device = torch.get_num_threads(), torch.get_default_dtype(), torch.get_default_device()
    root.addHandler(silent)
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        torch.set_default_device(None if device.type == "cpu" else device)
        logging.disable(disabled)
        root.removeHandler(silent)


def _copy_like(host: np.ndarray, like: Array) -> Array:
    """A copy of ``host`` in the library, precision and place of ``like``."""
    xp = namespace(like)
    dtype = to_numpy(like[:1]).dtype
    return xp.asarray(host.astype(dtype), device=array_api_compat.device(like))
