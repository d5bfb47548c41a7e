"""pty-chi as a solver: its reconstructors, one epoch a step.

https://github.com/AdvancedPhotonSource/pty-chi, version 2.2. Where its conventions differ from ours:

    patch position     centre of the patch from an origin of our choice: the origin is put at (m - 1) / 2
    diffraction        intensities; the DFT is unnormalised and its zero frequency at [0, 0], as in ours
    rPIE, PIE          alpha of the object is our alpha, alpha of the probe our beta
    ePIE               alpha is a factor of the step, 1 here
    object and probe   (slices, H, W) and (OPR modes, incoherent modes, m, m): one of each here

Batches are drawn from our generator, so that one pattern at a time it sees the scan order of our sweeps.
pty-chi moves scale between object and probe every ten epochs; with a known probe that is switched off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

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

Algorithm = Literal["pie", "epie", "rpie", "lsqml", "dm", "raar", "autodiff"]
OPTIONS: Mapping[Algorithm, str] = {
    "pie": "PIEOptions",
    "epie": "EPIEOptions",
    "rpie": "RPIEOptions",
    "lsqml": "LSQMLOptions",
    "dm": "DMOptions",
    "raar": "RAAROptions",
    "autodiff": "AutodiffPtychographyOptions",
}
DEFAULT_STEPS: Mapping[Algorithm, float] = {
    "pie": 1.0, "epie": 1.0, "rpie": 1.0, "lsqml": 0.9, "dm": 1.0, "raar": 0.75, "autodiff": 0.01,
}  # fmt: skip
WHOLE_SCAN = ("dm", "raar")  # algorithms that take all patterns at once


@dataclass(frozen=True, kw_only=True)
class PtyChi(PeerSettings):
    """A reconstructor of the package pty-chi on one CPU thread; ``step`` is not pure.

    Parameters
    ----------
    algorithm
        "pie", "epie", "rpie", "lsqml", "dm" (difference map), "raar" or "autodiff" (Adam on the amplitudes).
    alpha, beta
        Regularisation in (0, 1] of object and probe, for "pie" and "rpie".
    step_length
        PIE family: length of the steps. LSQML: share of the optimal step. dm: relaxation. raar: its beta,
        above 0.5. autodiff: Adam's step. By default (null) 1, 0.9, 1, 0.75 and 0.01.
    momentum
        PIE family: Nesterov momentum, which makes rPIE mPIE. LSQML: gain of its acceleration.
    batch
        Patterns of a batch; dm and raar take all at once.
    probe_start
        Iterations before the first update of the probe.
    """

    label: ClassVar[str] = "pty-chi"
    typical_cost: ClassVar[float] = 25.0
    packages: ClassVar[tuple[str, ...]] = ("ptychi",)

    algorithm: Algorithm = "rpie"
    alpha: Annotated[float, Gt(0), Le(1)] = 0.01
    beta: Annotated[float, Gt(0), Le(1)] = 0.5
    step_length: Annotated[float, Gt(0), Le(1)] | None = None
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.0
    batch: Annotated[int, Ge(1)] = 1
    probe_start: Annotated[int, Ge(0)] = 0

    def check(self, probe_size: int) -> None:
        if self.algorithm == "raar" and self.step_length is not None and self.step_length <= 0.5:
            raise ValueError(f"step_length is {self.step_length}; RAAR's beta has to be above 0.5")

    def session(self, problem: Problem) -> PtyChiSession:
        return PtyChiSession(self, problem)


class PtyChiSession:
    """A pty-chi task on one problem."""

    def __init__(self, settings: PtyChi, problem: Problem) -> None:
        self.batch = settings.batch
        self.iteration = 0
        with contained():
            with importing("pty-chi (ptychi>=2.2)"):
                from ptychi.api.task import PtychographyTask

            mask = problem.common_mask
            rows, columns = problem.positions_px.T
            self.task = PtychographyTask(
                task_options(settings, problem),
                diffraction_data=intensity(problem),
                object_data=to_numpy(problem.start_object)[None],
                probe_data=to_numpy(problem.probe)[None, None],
                probe_position_y_px=rows,
                probe_position_x_px=columns,
                valid_pixel_mask=None if mask is None else to_numpy(mask) > 0,
            )
            self.batches: list[list[int]] = []
            if settings.algorithm not in WHOLE_SCAN:
                self.task.reconstructor.dataloader = loader_of(self.task.dataset, self.batches)

    @property
    def data_passes(self) -> int:
        return self.iteration

    def object(self) -> np.ndarray:
        return self.task.get_data_to_cpu("object", as_numpy=True)[0]

    def probe(self) -> np.ndarray:
        return self.task.get_data_to_cpu("probe", as_numpy=True)[0, 0]

    def epoch(self, problem: Problem, rng: np.random.Generator) -> None:
        self.batches[:] = shuffled_batches(problem.n_positions, self.batch, rng)
        with contained():
            self.task.build_default_dtype()  # a global of pty-chi's, which another task may have changed
            self.task.run(n_epochs=1)
        self.iteration += 1


def task_options(settings: PtyChi, problem: Problem) -> Any:
    """pty-chi's options for ``settings`` on ``problem``."""
    import ptychi.api as api

    options: Any = getattr(api, OPTIONS[settings.algorithm])()
    options.data_options.fft_shift = False
    reconstructor, obj, probe = options.reconstructor_options, options.object_options, options.probe_options
    reconstructor.default_device = api.Devices.CPU
    single = to_numpy(problem.probe).dtype == np.complex64
    reconstructor.default_dtype = api.Dtypes.FLOAT32 if single else api.Dtypes.FLOAT64
    obj.determine_position_origin_coords_by = api.ObjectPosOriginCoordsMethods.SPECIFIED
    obj.position_origin_coords = np.full(2, (problem.probe_size - 1) / 2)
    obj.remove_object_probe_ambiguity.enabled = settings.moves_probe(problem)
    probe.optimizable = settings.moves_probe(problem)
    probe.optimization_plan.start = settings.probe_start
    if settings.algorithm not in WHOLE_SCAN:
        reconstructor.batch_size = settings.batch
    set_algorithm(settings, problem, options)
    return options


def set_algorithm(settings: PtyChi, problem: Problem, options: Any) -> None:
    """Write alpha, beta, step length and momentum where the algorithm has them."""
    reconstructor, obj, probe = options.reconstructor_options, options.object_options, options.probe_options
    step_length = settings.step_length or DEFAULT_STEPS[settings.algorithm]
    match settings.algorithm:
        case "lsqml":
            obj.optimal_step_size_scaler = probe.optimal_step_size_scaler = step_length
            reconstructor.momentum_acceleration_gain = settings.momentum
            reconstructor.rescale_probe_intensity_in_first_epoch = settings.moves_probe(problem)
        case "dm":
            reconstructor.exit_wave_update_relaxation = step_length
        case "raar":
            reconstructor.beta = step_length
        case "autodiff":
            obj.optimizer = probe.optimizer = "adam"
            obj.step_size = step_length
            probe.step_size = step_length * float(np.abs(to_numpy(problem.probe)).max())
        case _:
            unit = settings.algorithm == "epie"  # its alpha is a factor of the step
            obj.alpha, probe.alpha = (1.0, 1.0) if unit else (settings.alpha, settings.beta)
            for factor in (obj, probe):
                factor.step_size = step_length
                if settings.momentum:
                    factor.optimizer_params = {"momentum": settings.momentum, "nesterov": True}
