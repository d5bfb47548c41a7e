"""Modes of a probe as files have them, and as a problem does."""

from __future__ import annotations

import numpy as np


def strongest_and_all(probe: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The strongest mode with the power of all (m, m), and all that have any, strongest first (M, m, m).

    ``probe`` is (m, m) or (M, m, m); of a single mode the second is None.
    """
    modes = probe.reshape(-1, *probe.shape[-2:])
    with np.errstate(over="ignore"):  # numbers beyond all sense are refused by ``check_wave``
        powers = np.sum(np.abs(modes) ** 2, axis=(1, 2))
    if not np.isfinite(powers).all():
        return np.full_like(modes[0], np.inf), None
    order = np.argsort(-powers, kind="stable")
    order = order[powers[order] > 0] if powers.any() else order[:1]
    modes, powers = modes[order], powers[order]
    if len(modes) == 1:
        return modes[0], None
    return modes[0] * np.sqrt(powers.sum() / powers[0]), modes


def modes_first(wave: np.ndarray, matlab: bool) -> np.ndarray:
    """Modes before rows and columns, where MATLAB has them behind: (r, c, M, V) becomes (V, M, r, c).

    An array from MATLAB whose last two axes alone are equal has them in front already.
    """
    if not matlab or wave.ndim < 3 or (wave.shape[0] != wave.shape[1] and wave.shape[-2] == wave.shape[-1]):
        return wave
    return np.swapaxes(wave.T, -1, -2)
