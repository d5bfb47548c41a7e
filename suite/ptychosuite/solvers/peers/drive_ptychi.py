"""pty-chi driven from plain arrays, in a process where nothing of ours but this and its neighbours is needed.

https://github.com/AdvancedPhotonSource/pty-chi, version 2.2. Where its conventions differ from ours:

    patch position     centre of the patch from an origin of our choice: the origin is put at (m - 1) / 2
    diffraction        intensities; the DFT is unnormalised and its zero frequency at [0, 0], as in ours
    rPIE, PIE          alpha of the object is our alpha, alpha of the probe our beta
    ePIE               alpha is a factor of the step, 1 here
    object             (slices, H, W)
    probe              (OPR modes, incoherent modes, m, m); pattern k has sum_j w_kj of the OPR modes, in the
                       first incoherent mode alone
    between pixels     the first incoherent mode is shifted, the others stay at the nearest pixel
    masks              one for all patterns; where they differ, a pixel of no intensity is not fitted, and
                       what was measured as none is the smallest number instead

pty-chi moves scale between object and probe every ten epochs, and mixes modes until they are orthogonal; with
a known probe both are switched off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ptychosuite.solvers.peers.peer_task import PeerTask
from ptychosuite.solvers.peers.torch_loader import forget_directions, load_optimisers, loader_of

package = "ptychi"

OPTIONS: Mapping[str, str] = {
    "pie": "PIEOptions",
    "epie": "EPIEOptions",
    "rpie": "RPIEOptions",
    "lsqml": "LSQMLOptions",
    "dm": "DMOptions",
    "raar": "RAAROptions",
    "autodiff": "AutodiffPtychographyOptions",
}
SMALLEST = float(np.finfo(np.float32).tiny)  # of a pixel without counts, where zeros are not fitted
FIRST_WEIGHT = 1e-6  # of the probe, that OPR modes have at the start: pty-chi refuses none


def load() -> None:
    import ptychi.api.task  # noqa: F401

    load_optimisers()


class Running:
    """A pty-chi task on one problem."""

    def __init__(self, settings: Mapping[str, Any], task: PeerTask) -> None:
        import torch
        from ptychi.api.task import PtychographyTask

        self.settings, self.epochs = settings, 0
        rows, columns = task.positions_px.T
        probe, weights = opr_probe(task)
        self.task = PtychographyTask(
            task_options(settings, task),
            diffraction_data=told_intensity(task),
            object_data=task.object[None],
            probe_data=probe,
            probe_position_y_px=rows,
            probe_position_x_px=columns,
            valid_pixel_mask=task.mask,
            opr_mode_weights_data=weights,
        )
        torch.set_default_device(None)  # pty-chi sets the CPU, which costs a fifth and changes nothing
        self.batches: list[list[int]] = []
        if not settings["takes_all"]:
            self.task.reconstructor.dataloader = loader_of(self.task.dataset, self.batches)

    @property
    def data_passes(self) -> int:
        return self.epochs

    def epoch(self, batches: list[list[int]]) -> None:
        self.batches[:] = batches
        self.task.run(n_epochs=1)
        self.epochs += 1

    def arrays(self) -> dict[str, np.ndarray]:
        probe = self._data("probe")
        found = {"object": self._data("object")[0], "probe": probe[0]}
        if self.settings["positions"] is not None:
            found["positions_px"] = self._data("probe_positions")
        if len(probe) > 1:
            weights = self._data("opr_mode_weights")
            found["intensity"] = weights[:, 0] ** 2
            found["variations"], found["weights"] = probe[1:, 0], weights[:, 1:] / weights[:, :1]
        return found

    def modelled(self) -> np.ndarray:
        import torch

        model = self.task.reconstructor.forward_model
        count = len(self.task.dataset)
        with torch.no_grad():
            found = [model(torch.arange(k, k + 1)) for k in range(count)]
        return torch.cat(found).numpy()

    def go_to(self, obj: np.ndarray | None, probe: np.ndarray | None) -> None:
        put(self.task, obj, probe)

    def _data(self, name: str) -> np.ndarray:
        found: np.ndarray = self.task.get_data_to_cpu(name, as_numpy=True)
        return found


def begin(settings: Mapping[str, Any], task: PeerTask) -> Running:
    return Running(settings, task)


def put(task: Any, obj: np.ndarray | None, probe: np.ndarray | None) -> None:
    """Put ``obj`` (H, W) and ``probe`` (M, m, m), where given, in the place of a pty-chi task's own."""
    import torch

    with torch.no_grad():
        if obj is not None:
            task.object.set_data(obj[None])
        if probe is not None:
            task.probe.set_data(probe, slicer=0)
    for parameter in (task.object, task.probe):
        if parameter.optimizer is not None:
            forget_directions(parameter.optimizer, parameter.optimizer.state)
    if hasattr(task.reconstructor, "object_momentum_params"):
        from ptychi.reconstructors.lsqml import MomentumState

        task.reconstructor.object_momentum_params = MomentumState()
        task.reconstructor.probe_momentum_params = MomentumState()


def told_intensity(task: PeerTask) -> np.ndarray:
    """Intensities (N, m, m); where masks differ from pattern to pattern 0 marks what is not fitted."""
    if task.fitted is None:
        return task.intensity
    return np.where(task.fitted, np.maximum(task.intensity, SMALLEST), 0)


def opr_probe(task: PeerTask) -> tuple[np.ndarray, np.ndarray | None]:
    """The probe (1 + J, M, m, m), and what each pattern has of its OPR modes, (N, 1 + J), hardly anything."""
    if task.variations is None:
        return task.probe[None], None
    varying = np.zeros((len(task.variations), *task.probe.shape), task.probe.dtype)
    varying[:, 0] = task.variations
    size = np.sqrt(np.mean(np.abs(task.probe[0]) ** 2))
    weights = np.full((len(task.positions_px), 1 + len(varying)), FIRST_WEIGHT * size)
    weights[:, 0] = 1
    return np.concatenate([task.probe[None], varying]), weights


def task_options(settings: Mapping[str, Any], task: PeerTask) -> Any:
    """pty-chi's options for ``settings`` on ``task``."""
    import ptychi.api as api

    options: Any = getattr(api, OPTIONS[settings["algorithm"]])()
    options.data_options.fft_shift = False
    reconstructor, obj, probe = options.reconstructor_options, options.object_options, options.probe_options
    reconstructor.default_device = api.Devices.CPU
    single = task.probe.dtype == np.complex64
    reconstructor.default_dtype = api.Dtypes.FLOAT32 if single else api.Dtypes.FLOAT64
    if task.fitted is not None:
        reconstructor.exclude_measured_pixels_below = 0.0
    obj.determine_position_origin_coords_by = api.ObjectPosOriginCoordsMethods.SPECIFIED
    obj.position_origin_coords = np.full(2, (task.probe_size - 1) / 2)
    obj.remove_object_probe_ambiguity.enabled = task.moves_probe
    probe.optimizable = task.moves_probe
    probe.optimization_plan.start = settings["probe_start"]
    probe.orthogonalize_incoherent_modes.enabled = task.moves_probe
    if not settings["takes_all"]:
        reconstructor.batch_size = settings["batch"]
    set_algorithm(settings, task, options)
    set_positions(settings, options)
    set_variation(settings, options)
    return options


def set_algorithm(settings: Mapping[str, Any], task: PeerTask, options: Any) -> None:
    """Write alpha, beta, step length and momentum where the algorithm has them."""
    reconstructor, obj, probe = options.reconstructor_options, options.object_options, options.probe_options
    step_length, momentum = settings["step_length"], settings["momentum"]
    match settings["algorithm"]:
        case "lsqml":
            obj.optimal_step_size_scaler = probe.optimal_step_size_scaler = step_length
            reconstructor.momentum_acceleration_gain = momentum
            reconstructor.rescale_probe_intensity_in_first_epoch = task.moves_probe
        case "dm":
            reconstructor.exit_wave_update_relaxation = step_length
        case "raar":
            reconstructor.beta = step_length
        case "autodiff":
            obj.optimizer = probe.optimizer = "adam"
            obj.step_size = step_length
            probe.step_size = step_length * float(np.abs(task.probe).max())
        case algorithm:
            unit = algorithm == "epie"  # its alpha is a factor of the step
            obj.alpha, probe.alpha = (1.0, 1.0) if unit else (settings["alpha"], settings["beta"])
            for factor in (obj, probe):
                factor.step_size = step_length
                if momentum:
                    factor.optimizer_params = {"momentum": momentum, "nesterov": True}


def set_positions(settings: Mapping[str, Any], options: Any) -> None:
    """Correction of the positions, where it is asked for."""
    if settings["positions"] is None:
        return
    positions = options.probe_position_options
    positions.optimizable = True
    positions.optimization_plan.start = settings["positions_start"]
    positions.step_size = settings["positions_step"]
    positions.correction_options.correction_type = settings["positions"].replace("-", "_")
    if settings["algorithm"] == "autodiff":
        positions.optimizer = "adam"


def set_variation(settings: Mapping[str, Any], options: Any) -> None:
    """Orthogonal probe relaxation, where it is asked for."""
    if not settings["probe_variations"]:
        return
    weights = options.opr_mode_weight_options
    weights.optimizable = True
    weights.optimize_intensity_variation = settings["intensity"]
    weights.optimization_plan.start = settings["variation_start"]
