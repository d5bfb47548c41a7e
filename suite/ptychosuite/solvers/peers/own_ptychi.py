"""A pty-chi task of somebody's own, as ``drive_ptychi`` says its conventions, seen in ours.

What is read is what the task has found by now; nothing is changed. Written into it is by
``drive_ptychi.put``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

EXIT_WAVES = ("DMReconstructor", "RAARReconstructor")  # what these go on from, beside object and probe


def foreign(task: Any) -> str:
    """What a pty-chi task of somebody's own has that our model cannot have; empty where there is nothing."""
    slices, (varying, modes) = len(task.object.data), task.probe.data.shape[:2]
    distance = task.dataset.free_space_propagation_distance_m
    has = {
        f"{slices} slices of the object": slices > 1,
        f"{varying} OPR modes of the probe": varying > 1,
        f"{modes} incoherent modes of the probe": modes > 1,
        "a detector in the near field": np.isfinite(distance),
        "exit waves as its state": type(task.reconstructor).__name__ in EXIT_WAVES,
    }
    return ", ".join(what for what, found in has.items() if found)


def seen(task: Any) -> dict[str, np.ndarray]:
    """Patterns (N, m, m), mask (m, m) and first corners (N, 2) of a pty-chi task, in our convention."""
    origin, size = on_host(task.object.pos_origin_coords), task.dataset.patterns.shape[-1]
    return {
        "patterns": on_host(task.dataset.patterns),
        "mask": on_host(task.dataset.valid_pixel_mask).astype(bool),
        "positions_px": first_corners(on_host(task.probe_positions.data), origin, size),
    }


def first_corners(centres_px: np.ndarray, origin: np.ndarray, size: int) -> np.ndarray:
    """First corners (N, 2) of patches with centres (N, 2) that count from ``origin`` (2,), as in pty-chi.

    All are in pixels, of which ``size`` are the side of a patch.
    """
    return centres_px.astype(np.float64) + origin - (size - 1) / 2


def images(task: Any) -> tuple[np.ndarray, np.ndarray]:
    """Object (H, W) and probe (m, m) of a pty-chi task."""
    return on_host(task.object.data)[0], on_host(task.probe.data)[0, 0]


def on_host(tensor: Any) -> np.ndarray:
    """A tensor of any shape."""
    found: np.ndarray = tensor.detach().cpu().numpy()
    return found
