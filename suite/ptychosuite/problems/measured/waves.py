"""Modes of a probe as files have them, and as a problem does."""

from __future__ import annotations

import numpy as np


def strongest_and_all(probe: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The strongest mode with the power of all (m, m), and all that have any, strongest first (M, m, m).

    ``probe`` is (m, m) or (M, m, m); of a single mode the second is None. Where a mode's power is not finite,
    the first is neither.
    """
    modes = probe.reshape(-1, *probe.shape[-2:])
    powers = np.array([power_of(mode) for mode in modes])
    order = np.argsort(-powers, kind="stable")
    order = order[powers[order] != 0] if powers.any() else order[:1]
    modes, powers = modes[order], powers[order]
    if len(modes) == 1:
        return modes[0], None
    with np.errstate(invalid="ignore"):
        return modes[0] * np.sqrt(powers.sum() / powers[0]), modes


def power_of(wave: np.ndarray) -> float:
    """Sum of |wave|^2, of any shape; not finite where one of its values is not, or too large for it."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.sum(np.abs(wave) ** 2))


def modes_first(wave: np.ndarray, matlab: bool) -> np.ndarray:
    """Modes before rows and columns, where MATLAB has them behind: (r, c, M, V) becomes (V, M, r, c).

    An array from MATLAB whose last two axes alone are equal has them in front already.
    """
    if not matlab or wave.ndim < 3 or (wave.shape[0] != wave.shape[1] and wave.shape[-2] == wave.shape[-1]):
        return wave
    return np.swapaxes(wave.T, -1, -2)
