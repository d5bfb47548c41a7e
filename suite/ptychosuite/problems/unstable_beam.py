"""An illumination that is not the same for all patterns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Lt

from ptychosuite.problems.coherence import orthogonal_multiples
from ptychosuite.problems.position_errors import CUT, random_moves


@dataclass(frozen=True)
class UnstableBeam:
    """How the illumination changes from pattern to pattern.

    Parameters
    ----------
    intensity_rms
        Rms of the intensity relative to its mean; log-normally distributed.
    position_rms_px
        Rms of the beam's moves along either axis in pixels. They add to the true positions.
    variation
        Share of the power in a second field, the probe times x made orthogonal to it, that is added
        coherently with a random weight in each pattern (as in M. Odstrcil et al., Opt. Express 24, 8360,
        2016). Of several modes it is the first one's.
    """

    intensity_rms: Annotated[float, Ge(0)] = 0.0
    position_rms_px: Annotated[float, Ge(0)] = 0.0
    variation: Annotated[float, Ge(0), Lt(1)] = 0.0

    @property
    def reach_px(self) -> float:
        """Largest move along either axis."""
        return CUT * self.position_rms_px

    def intensities(self, n_positions: int, rng: np.random.Generator) -> np.ndarray:
        """Relative intensity of each pattern (N,), of mean 1."""
        variance = np.log1p(self.intensity_rms**2)
        drawn = np.exp(rng.normal(-variance / 2, np.sqrt(variance), n_positions))
        return drawn / drawn.mean()

    def moves(self, n_positions: int, rng: np.random.Generator) -> np.ndarray:
        """Moves (N, 2) of the beam in pixels."""
        return random_moves(self.position_rms_px, n_positions, rng)

    def varied(self, modes: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """``modes`` (M, m, m) without what varies of the first one, and that (1, m, m) or None."""
        if not self.variation:
            return modes, None
        steady = np.concatenate([np.sqrt(1 - self.variation) * modes[:1], modes[1:]])
        return steady, np.sqrt(self.variation) * orthogonal_multiples(modes[0], 2)[1:]

    def weights(self, n_positions: int, rng: np.random.Generator) -> np.ndarray:
        """Weights (N, 1) of the second mode, normally distributed, of mean 0 and mean square 1."""
        drawn = rng.normal(0, 1, (n_positions, 1))
        drawn -= drawn.mean()
        return np.asarray(drawn / (np.sqrt(np.mean(drawn**2)) or 1))
