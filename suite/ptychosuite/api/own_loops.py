"""Reconstructions in loops of somebody's own, carried ahead: ours step in for one call and are gone."""

from __future__ import annotations

from typing import Any

from ptychosuite.fastforward.own_loop import (
    LoopData,
    ObjectAndProbe,
    OperatorLike,
    carried_ahead,
    deviance_of,
    operator_of,
)
from ptychosuite.fastforward.peer_loops import CdtoolsLoop, PtychiLoop

__all__ = ["LoopData", "carry_ahead", "cdtools_loop", "deviance", "ptychi_loop"]


def carry_ahead(
    data: LoopData,
    now: ObjectAndProbe,
    before: ObjectAndProbe | None = None,
    *,
    operator: OperatorLike = "network",
) -> ObjectAndProbe:
    """Carry a reconstruction ahead, in a loop of your own.

    Nothing is judged here: what a jump was worth shows some iterations later, by :func:`deviance`, and it is
    for the loop to go back. Of a first call, loading the network takes a second or two.

    Parameters
    ----------
    data
        Patterns and positions, in the convention of :class:`LoopData`.
    now
        Object (H, W) and probe (m, m), complex, of NumPy, torch or CuPy; the work is done where they are.
    before
        The same, ten iterations earlier; None where there is none since the last jump.
    operator
        A kind of ``fast_forward``, its settings as a dict, or the path of a .safetensors checkpoint.

    Returns
    -------
    Object and probe further on, of the library, shape and precision of ``now``, which stays as it is.

    Raises
    ------
    CannotAdvance
        Nothing can be proposed from here: values are not finite, or the operator has to know ``before``. The
        loop can go on as it is.
    UserError
        Shapes do not go together, or there is no such operator.
    """
    return carried_ahead(data, now, before, operator_of(operator))


def deviance(data: LoopData, now: ObjectAndProbe) -> float:
    """Say how badly an object and a probe explain the counts: Poisson deviance per good detector pixel.

    Parameters
    ----------
    data
        Patterns and positions.
    now
        Object (H, W) and probe (m, m).

    Returns
    -------
    Lower is better. Costs a forward pass over the data.

    Raises
    ------
    UserError
        Shapes do not go together.
    """
    return deviance_of(data, now)


def cdtools_loop(model: Any, dataset: Any, *, photon: float = 1.0, optimizer: Any = None) -> CdtoolsLoop:
    """See a model of cdtools that is being reconstructed in our convention.

    Parameters
    ----------
    model
        A SimplePtycho, or a FancyPtycho with one mode of the probe.
    dataset
        The Ptycho2DDataset that it is reconstructed from.
    photon
        Intensity of one count, in the units of the dataset's patterns.
    optimizer
        torch's, of a reconstructor's ``.optimizer``: a jump then makes it forget its directions, and keep the
        sizes of gradients. ``model.Adam_optimize`` has one that cannot be reached.

    Returns
    -------
    An object with ``data``, ``state`` (object and probe now) and ``go_to``.

    Raises
    ------
    UserError
        The model has something that ours cannot have, such as several modes or oversampling.
    """
    return CdtoolsLoop(model, dataset, photon, optimizer)


def ptychi_loop(task: Any, *, photon: float = 1.0) -> PtychiLoop:
    """See a task of pty-chi, between two calls of its ``run``, in our convention.

    Parameters
    ----------
    task
        A PtychographyTask with one slice of the object, one mode of the probe and no OPR modes.
    photon
        Intensity of one count, in the units of the task's patterns.

    Returns
    -------
    An object with ``data``, ``state`` (object and probe now) and ``go_to``.

    Raises
    ------
    UserError
        The task has something that ours cannot have.
    """
    return PtychiLoop(task, photon)
