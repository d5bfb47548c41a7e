"""PtyLab driven from plain arrays, in a process where nothing of ours but this and its neighbours is needed.

https://github.com/PtyLab/PtyLab.py, version 0.3. Where its conventions differ from ours:

    forward model      unitary DFT: patterns are divided by m^2; with its fftshift switched on, zero frequency
                       at [0, 0], as in ours
    positions          in metres from the middle of a square object, rounded to whole pixels
    object, probe      (wavelengths, object modes, probe modes, slices, N, N)
    order              drawn from our generator; when mPIE and mqNewton add momentum, from its own, seeded
    masks              none

An epoch is one of its iterations, with all that it prepares for a reconstruction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ptychosuite.solvers.peers.peer_task import PeerTask

package = "ptylab"

ENGINES = {"epie": "ePIE", "mpie": "mPIE", "mqnewton": "mqNewton"}
PIXEL_M = 1e-6


def load() -> None:
    import PtyLab  # noqa: F401


class Running:
    """A PtyLab engine on one problem."""

    def __init__(self, settings: Mapping[str, Any], task: PeerTask) -> None:
        from PtyLab import Engines, ExperimentalData, Params, Reconstruction
        from PtyLab.Monitor.Monitor import DummyMonitor

        np.random.seed(0)  # noqa: NPY002 - PtyLab draws from it
        self.settings, self.task, self.epochs = settings, task, 0
        self.side = max(task.object.shape)
        params = Params()
        params.gpuSwitch = False
        params.fftshiftSwitch = params.fftshiftFlag = True  # the data are shifted already
        data = self._fill(ExperimentalData())
        self.state = self._start(Reconstruction(data, params))
        self.engine: Any = getattr(Engines, ENGINES[settings["algorithm"]])(
            self.state, data, params, DummyMonitor()
        )
        self.engine.numIterations = 1
        self.engine.betaObject = settings["step_length"]
        self.engine.betaProbe = settings["step_length"] if task.moves_probe else 0.0
        if settings["algorithm"] == "mpie":
            self.engine.alphaObject, self.engine.alphaProbe = settings["alpha"], settings["beta"]

    @property
    def data_passes(self) -> int:
        return self.epochs

    def epoch(self, batches: list[list[int]]) -> None:
        self.engine.positionIndices = np.concatenate(batches)
        self.engine.setPositionOrder = lambda: None
        self.engine.reconstruct()
        self.epochs += 1

    def arrays(self) -> dict[str, np.ndarray]:
        rows, columns = self.task.object.shape
        return {
            "object": self.state.object[0, 0, 0, 0, :rows, :columns],
            "probe": self.state.probe[0, 0, :, 0],
        }

    def go_to(self, obj: np.ndarray | None, probe: np.ndarray | None) -> None:
        rows, columns = self.task.object.shape
        if obj is not None:
            self.state.object[0, 0, 0, 0, :rows, :columns] = obj
        if probe is not None:
            self.state.probe[0, 0, :, 0] = probe
        if self.settings["algorithm"] != "epie":
            self.state.initializeObjectMomentum()
            self.state.initializeProbeMomentum()
            self.state.objectBuffer = self.state.object.copy()
            self.state.probeBuffer = self.state.probe.copy()

    def modelled(self) -> np.ndarray:
        found = []
        for row, column in self.state.positions:
            size = self.task.probe_size
            patch = self.state.object[..., row : row + size, column : column + size]
            self.state.esw = patch * self.state.probe
            self.engine.object2detector()
            found.append(np.sum(np.abs(self.state.ESW) ** 2, axis=(0, 1, 2))[-1])
        return np.stack(found) * size**2

    def _fill(self, data: Any) -> Any:
        task = self.task
        data.ptychogram = task.intensity / task.probe_size**2
        data.wavelength, data.dxd = 1e-9, PIXEL_M
        data.zo = task.probe_size * PIXEL_M**2 / data.wavelength  # pixels of the object are as large
        middle = self.side // 2 - task.probe_size // 2
        data.encoder = (task.positions_px - middle) * PIXEL_M
        data.entrancePupilDiameter = task.probe_size * PIXEL_M / 2
        data.emptyBeam = data.theta = data.spectralDensity = None
        data._setData()
        return data

    def _start(self, state: Any) -> Any:
        task = self.task
        state.No, state.npsm = self.side, len(task.probe)
        rows, columns = task.object.shape
        padded = np.pad(task.object, ((0, self.side - rows), (0, self.side - columns)), mode="edge")
        state.initialGuessObject = padded[None, None, None, None]
        state.initialGuessProbe = task.probe[None, None, :, None]
        state.object, state.probe = state.initialGuessObject.copy(), state.initialGuessProbe.copy()
        return state


def begin(settings: Mapping[str, Any], task: PeerTask) -> Running:
    return Running(settings, task)
