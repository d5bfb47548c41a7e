"""Loops of cdtools and of pty-chi as their users write them, seen in our convention.

The packages' conventions stand in ``ptychosuite.solvers.peers``; what is here reads a model that is being
reconstructed, and writes into it. Neither package is imported: whoever has such an object has imported it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ptychosuite.errors import UserError
from ptychosuite.fastforward.own_loop import LoopData, ObjectAndProbe, on_host
from ptychosuite.solvers.peers import drive_cdtools, drive_ptychi, own_cdtools, own_ptychi


@dataclass(frozen=True, eq=False)
class CdtoolsLoop:
    """A model of cdtools while it is reconstructed: object and probe read and written in our convention.

    Parameters
    ----------
    model
        A SimplePtycho or FancyPtycho with one mode of the probe.
    dataset
        Its Ptycho2DDataset.
    photon
        Intensity of one count, in the units of the dataset's patterns.
    optimizer
        torch's, whose directions a jump makes wrong; None where it cannot be reached.

    Raises
    ------
    UserError
        The model has something that ours cannot have.
    """

    model: Any
    dataset: Any
    photon: float = 1.0
    optimizer: Any = None

    def __post_init__(self) -> None:
        if why := own_cdtools.foreign(self.model):
            raise UserError(f"this model of cdtools cannot be carried ahead: {why}")

    @property
    def data(self) -> LoopData:
        """Patterns and positions, with the background and the offsets that the model has found by now."""
        seen = own_cdtools.seen(self.model, self.dataset)
        size = seen["patterns"].shape[-1]
        return LoopData(
            seen["patterns"] * size**2,
            seen["positions_px"],
            self.photon * size**2,
            seen.get("mask"),
            not self.model.probe.requires_grad,
            seen.get("pattern_weights"),
        )

    @property
    def state(self) -> ObjectAndProbe:
        """Object (H, W) and probe (m, m) as they are now: copies, on the host."""
        return on_host(own_cdtools.images(self.model, self.dataset))

    def go_to(self, state: ObjectAndProbe) -> None:
        """Put object and probe in the place of the model's, and forget the directions that led there."""
        obj, probe = on_host(state)
        told = own_cdtools.told_probe(self.model, self.dataset, np.asarray(probe))
        drive_cdtools.put(self.model, self.optimizer, slice(None), np.asarray(obj), told)


@dataclass(frozen=True, eq=False)
class PtychiLoop:
    """A task of pty-chi between two calls of ``run``: object and probe read and written in our convention.

    Parameters
    ----------
    task
        A PtychographyTask with one slice of the object, one mode of the probe and no OPR modes.
    photon
        Intensity of one count, in the units of the task's patterns.

    Raises
    ------
    UserError
        The task has something that ours cannot have.
    """

    task: Any
    photon: float = 1.0

    def __post_init__(self) -> None:
        if why := own_ptychi.foreign(self.task):
            raise UserError(f"this task of pty-chi cannot be carried ahead: {why}")

    @property
    def data(self) -> LoopData:
        """Patterns, mask and positions, as far as these have been found by now."""
        seen = own_ptychi.seen(self.task)
        known = not self.task.probe_options.optimizable
        return LoopData(seen["patterns"], seen["positions_px"], self.photon, seen["mask"], known)

    @property
    def state(self) -> ObjectAndProbe:
        """Object (H, W) and probe (m, m) as they are now: copies, on the host."""
        return on_host(own_ptychi.images(self.task))

    def go_to(self, state: ObjectAndProbe) -> None:
        """Put object and probe in the place of the task's, and forget the directions that led there."""
        obj, probe = on_host(state)
        drive_ptychi.put(self.task, obj, np.asarray(probe)[None])
