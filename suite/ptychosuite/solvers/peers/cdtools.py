"""cdtools as a solver: its automatic differentiation with Adam, L-BFGS or SGD, one epoch a step.

https://github.com/cdtools-developers/cdtools, version 0.3. Where its conventions differ from ours:

    forward model      unitary DFT, zero frequency in the centre: patterns are divided by m^2 and shifted
    translation        in metres in a basis of pixels; the basis is the identity here, so that both are pixels
    patch position     its first corner, as in ours; between pixels cut at the pixel below, not the nearest
    loss               sum (|F psi| - sqrt(d))^2 with the unitary F, which is 2 Phi
    probe              held divided by its largest modulus, so that object and probe share a step
    precision          single

Whole pixels and no detector mask take its SimplePtycho, the faster model, everything else its FancyPtycho
with one mode and no background. Batches are drawn from our generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import scipy.fft
from annotated_types import Ge, Gt, Lt

from ptychosuite.backends.arrays import to_numpy
from ptychosuite.core.problem import Problem
from ptychosuite.solvers.peers.session import (
    PeerSettings,
    contained,
    importing,
    intensity,
    loader_of,
    shuffled_batches,
)

Optimiser = Literal["adam", "lbfgs", "sgd"]
DEFAULT_STEPS: Mapping[Optimiser, float] = {"adam": 0.005, "lbfgs": 0.1, "sgd": 0.1}
PIXELS = np.eye(3, 2, dtype=np.float32)  # basis vectors of rows and columns, as columns
EVERY_PATTERN = 10**9  # patterns of a batch


@dataclass(frozen=True, kw_only=True)
class CDTools(PeerSettings):
    """An optimiser of the package cdtools on one CPU thread; ``step`` is not pure.

    Parameters
    ----------
    algorithm
        "adam", "lbfgs" or "sgd". An epoch of L-BFGS is up to 20 of its iterations.
    step_length
        The optimiser's learning rate; by default (null) 0.005, 0.1 and 0.1.
    momentum
        Nesterov momentum of "sgd".
    history
        Pairs that "lbfgs" keeps.
    batch
        Patterns of a batch; "lbfgs" takes all at once.
    """

    label: ClassVar[str] = "cdtools"
    typical_cost: ClassVar[float] = 6.0  # L-BFGS fifteen times that
    packages: ClassVar[tuple[str, ...]] = ("cdtools-py",)

    algorithm: Optimiser = "adam"
    step_length: Annotated[float, Gt(0)] | None = None
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.0
    history: Annotated[int, Ge(1)] = 2
    batch: Annotated[int, Ge(1)] = 15

    def session(self, problem: Problem) -> CDToolsSession:
        return CDToolsSession(self, problem)


class CDToolsSession:
    """A cdtools model, its data and its optimiser on one problem."""

    def __init__(self, settings: CDTools, problem: Problem) -> None:
        self.batch = EVERY_PATTERN if settings.algorithm == "lbfgs" else settings.batch
        self.iteration = 0
        with contained():
            with importing("cdtools (cdtools-py>=0.3)"):
                import cdtools.models  # noqa: F401 - missing packages are noticed here
            dataset = make_dataset(problem)
            self.model = make_model(problem, dataset)
            self.model.probe.requires_grad_(settings.moves_probe(problem))
            self.reconstructor = make_reconstructor(settings, self.model, dataset)
            self.batches: list[list[int]] = []
            self.reconstructor.data_loader = loader_of(dataset, self.batches)

    @property
    def data_passes(self) -> int:
        """Evaluations of the loss over all patterns; L-BFGS counts its own."""
        counts = [entry.get("func_evals") for entry in self.reconstructor.optimizer.state.values()]
        return counts[0] if counts and counts[0] is not None else self.iteration

    def object(self) -> np.ndarray:
        return to_numpy(self.model.obj)

    def probe(self) -> np.ndarray:
        return to_numpy(self.model.probe_norm * self.model.probe).reshape(self.model.probe.shape[-2:])

    def epoch(self, problem: Problem, rng: np.random.Generator) -> None:
        self.batches[:] = shuffled_batches(problem.n_positions, self.batch, rng)
        with contained():
            self.reconstructor.run_epoch()
        self.iteration += 1


def make_dataset(problem: Problem) -> Any:
    """Patterns and translations as cdtools takes them."""
    from cdtools.datasets import Ptycho2DDataset

    size = problem.probe_size
    unitary = scipy.fft.fftshift(intensity(problem), axes=(-2, -1)) / size**2
    mask = problem.common_mask
    return Ptycho2DDataset(
        np.pad(problem.positions_px, ((0, 0), (0, 1))).astype(np.float32),
        unitary.astype(np.float32),
        mask=None if mask is None else scipy.fft.fftshift(to_numpy(mask) > 0),
        wavelength=1.0,
        detector_geometry={"distance": 1.0, "basis": PIXELS},
    )


def make_model(problem: Problem, dataset: Any) -> Any:
    """The model that computes the patterns of ``problem``, at its starting object and probe."""
    from cdtools.models import FancyPtycho, SimplePtycho

    obj, probe = (to_numpy(x).astype(np.complex64) for x in (problem.start_object, problem.probe))
    if problem.subpixel_shifts_px is None and problem.common_mask is None:
        return SimplePtycho(dataset.wavelength, PIXELS, probe, obj)
    model = FancyPtycho(
        dataset.wavelength,
        dataset.detector_geometry,
        PIXELS,
        probe[None],
        obj,
        background=np.zeros(probe.shape, np.float32),
        mask=dataset.mask,
    )
    model.background.requires_grad_(False)
    return model


def make_reconstructor(settings: CDTools, model: Any, dataset: Any) -> Any:
    """The optimiser with its settings."""
    from cdtools.reconstructors import AdamReconstructor, LBFGSReconstructor, SGDReconstructor

    step_length = settings.step_length or DEFAULT_STEPS[settings.algorithm]
    reconstructor: Any
    match settings.algorithm:
        case "adam":
            reconstructor = AdamReconstructor(model, dataset)
            reconstructor.adjust_optimizer(lr=step_length)
        case "lbfgs":
            reconstructor = LBFGSReconstructor(model, dataset)
            reconstructor.adjust_optimizer(lr=step_length, history_size=settings.history)
        case "sgd":
            reconstructor = SGDReconstructor(model, dataset)
            nesterov = settings.momentum > 0
            reconstructor.adjust_optimizer(lr=step_length, momentum=settings.momentum, nesterov=nesterov)
    return reconstructor
