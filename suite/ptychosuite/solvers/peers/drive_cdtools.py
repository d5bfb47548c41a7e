"""cdtools driven from plain arrays, in a process where nothing of ours but this and its neighbours is needed.

https://github.com/cdtools-developers/cdtools, version 0.3. Where its conventions differ from ours:

    forward model      unitary DFT, zero frequency in the centre: patterns are divided by m^2 and shifted
    translation        in metres in a basis of pixels; the basis is the identity here, so that both are pixels
    patch position     its first corner, as in ours; between pixels cut at the pixel below, not the nearest:
                       translations are half a pixel larger here, and the probe lies half a pixel before
    loss               sum (|F psi| - sqrt(d))^2 with the unitary F, which is 2 Phi
    probe              held divided by its largest modulus, so that object and probe share a step
    masks              one for all patterns; where they differ, the loss is asked for the pixels of each
    precision          single

Whole pixels and no detector mask take its SimplePtycho, the faster model, everything else its FancyPtycho
with no background.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ptychosuite.solvers.peers.peer_task import PeerTask
from ptychosuite.solvers.peers.torch_loader import forget_directions, load_optimisers, loader_of

package = "cdtools-py"

PIXELS = np.eye(3, 2, dtype=np.float32)  # basis vectors of rows and columns, as columns
HALF_PX = 0.5
MARGIN_PX = 8  # around the object, where positions move
NOT_FITTED = -1.0


def load() -> None:

    load_optimisers()


class Running:
    """A cdtools model, its data and its optimiser on one problem."""

    def __init__(self, settings: Mapping[str, Any], task: PeerTask) -> None:
        self.settings, self.task, self.epochs = settings, task, 0
        self.margin = 0 if settings["positions"] is None else MARGIN_PX
        self.is_simple = (
            not task.is_between_pixels
            and settings["positions"] is None
            and not settings["intensity"]
            and task.mask is None
            and task.fitted is None
            and len(task.probe) == 1
        )
        self.dataset = self._dataset()
        self.model = self._simple() if self.is_simple else self._fancy()
        self.model.probe.requires_grad_(task.moves_probe)
        self.reconstructor = make_reconstructor(settings, self.model, self.dataset)
        self.batches: list[list[int]] = []
        self.reconstructor.data_loader = loader_of(self.dataset, self.batches)

    @property
    def data_passes(self) -> int:
        """Evaluations of the loss over all patterns; L-BFGS counts its own."""
        counts = [entry.get("func_evals") for entry in self.reconstructor.optimizer.state.values()]
        return int(counts[0]) if counts and counts[0] is not None else self.epochs

    def epoch(self, batches: list[list[int]]) -> None:
        self.batches[:] = batches
        if not self.is_simple and self.model.translation_offsets is not None:
            self.model.translation_offsets.requires_grad_(self.epochs >= self.settings["positions_start"])
        self.reconstructor.run_epoch()
        self.epochs += 1

    def go_to(self, obj: np.ndarray | None, probe: np.ndarray | None) -> None:
        put(self.model, self.reconstructor.optimizer, self.inside, obj, self._told(probe))

    def _told(self, probe: np.ndarray | None) -> np.ndarray | None:
        return probe if probe is None or self.is_simple else moved(probe, -HALF_PX)

    @property
    def inside(self) -> slice:
        """What is the object, without its margin."""
        return slice(self.margin, -self.margin or None)

    def arrays(self) -> dict[str, np.ndarray]:
        model, inside = self.model, self.inside
        probe = on_host(model.probe_norm * model.probe).reshape(self.task.probe.shape)
        if self.is_simple:
            return {"object": on_host(model.obj), "probe": probe}
        found = {"object": on_host(model.obj)[inside, inside], "probe": moved(probe, HALF_PX)}
        if model.translation_offsets is not None:
            offsets = on_host(model.translation_scale * model.translation_offsets)
            found["positions_px"] = self.task.positions_px + offsets
        if model.weights is not None:
            found["intensity"] = on_host(model.weights).astype(np.float64) ** 2
        return found

    def modelled(self) -> np.ndarray:
        import torch

        size = self.task.probe_size
        with torch.no_grad():
            found = [
                self.model.forward(*self.dataset[each][0])
                for each in torch.arange(len(self.task.positions_px)).split(1)
            ]
        return np.fft.ifftshift(on_host(torch.cat(found)), axes=(-2, -1)) * size**2

    def _dataset(self) -> Any:
        """Patterns and translations as cdtools takes them."""
        from cdtools.datasets import Ptycho2DDataset

        task = self.task
        patterns = np.fft.fftshift(task.intensity, axes=(-2, -1)) / task.probe_size**2
        if task.fitted is not None:
            patterns = np.where(np.fft.fftshift(task.fitted, axes=(-2, -1)), patterns, NOT_FITTED)
        positions = task.positions_px if self.is_simple else half_a_pixel_on(task.positions_px + self.margin)
        return Ptycho2DDataset(
            np.pad(positions, ((0, 0), (0, 1))).astype(np.float32),
            patterns.astype(np.float32),
            mask=None if task.mask is None else np.fft.fftshift(task.mask),
            wavelength=1.0,
            detector_geometry={"distance": 1.0, "basis": PIXELS},
        )

    def _simple(self) -> Any:
        from cdtools.models import SimplePtycho

        obj, probe = (x.astype(np.complex64) for x in (self.task.object, self.task.probe[0]))
        return SimplePtycho(self.dataset.wavelength, PIXELS, probe, obj)

    def _fancy(self) -> Any:
        from cdtools.models import FancyPtycho

        task, settings = self.task, self.settings
        count, shape = len(task.positions_px), task.probe.shape[-2:]
        model = FancyPtycho(
            self.dataset.wavelength,
            self.dataset.detector_geometry,
            PIXELS,
            moved(task.probe, -HALF_PX).astype(np.complex64),
            np.pad(task.object, self.margin, mode="edge").astype(np.complex64),
            background=np.zeros(shape, np.float32),
            mask=self.dataset.mask,
            translation_offsets=None if settings["positions"] is None else np.zeros((count, 2)),
            translation_scale=settings["positions_step"] / settings["step_length"],
            weights=np.ones(count, np.float32) if settings["intensity"] else None,
        )
        model.background.requires_grad_(False)
        if task.fitted is not None:
            model.loss = loss_of_fitted
        return model


def begin(settings: Mapping[str, Any], task: PeerTask) -> Running:
    return Running(settings, task)


def put(model: Any, optimizer: Any, inside: slice, obj: np.ndarray | None, probe: np.ndarray | None) -> None:
    """Put ``obj`` and ``probe``, where given, in the place of a cdtools model's own.

    ``obj`` is (H, W), ``probe`` as it lies on patches, (M, m, m), or (m, m) of a single mode.
    ``optimizer``, where it can be reached, forgets its directions.
    """
    import torch

    with torch.no_grad():
        if obj is not None:
            model.obj[inside, inside] = model.obj.new_tensor(obj)
        if probe is not None:
            told = probe.astype(np.complex64).reshape(model.probe.shape)
            model.probe[:] = model.probe.new_tensor(told) / model.probe_norm
    if optimizer is not None:
        forget_directions(optimizer, (model.obj, model.probe))


def loss_of_fitted(patterns: Any, modelled: Any, mask: Any = None) -> Any:
    """cdtools' own loss over the pixels that each pattern has."""
    from cdtools.tools.losses import amplitude_mse

    return amplitude_mse(patterns, modelled, mask=patterns >= 0, use_sum=True)


def half_a_pixel_on(positions_px: np.ndarray) -> np.ndarray:
    """Positions (N, 2) plus half a pixel, in single precision: the pixel below is then the nearest one."""
    nearest = np.rint(positions_px).astype(np.float32)
    return np.clip((positions_px + HALF_PX).astype(np.float32), nearest, np.nextafter(nearest + 1, nearest))


def moved(images: np.ndarray, shift_px: float) -> np.ndarray:
    """Images (..., m, m) moved along both axes, as cdtools moves its probe."""
    rows, columns = (np.fft.fftfreq(size) for size in images.shape[-2:])
    phases = np.exp(-2j * np.pi * shift_px * (rows[:, None] + columns))
    return np.fft.ifft2(np.fft.fft2(images) * phases)


def on_host(tensor: Any) -> np.ndarray:
    """A copy of a tensor of any shape."""
    found: np.ndarray = tensor.detach().cpu().numpy().copy()
    return found


def make_reconstructor(settings: Mapping[str, Any], model: Any, dataset: Any) -> Any:
    """The optimiser with its settings."""
    from cdtools.reconstructors import AdamReconstructor, LBFGSReconstructor, SGDReconstructor

    step_length, reconstructor = settings["step_length"], None
    match settings["algorithm"]:
        case "adam":
            reconstructor = AdamReconstructor(model, dataset)
            reconstructor.adjust_optimizer(lr=step_length)
        case "lbfgs":
            reconstructor = LBFGSReconstructor(model, dataset)
            reconstructor.adjust_optimizer(lr=step_length, history_size=settings["history"])
        case "sgd":
            reconstructor = SGDReconstructor(model, dataset)
            momentum = settings["momentum"]
            reconstructor.adjust_optimizer(lr=step_length, momentum=momentum, nesterov=momentum > 0)
    return reconstructor
