"""A scan that does not stop: the sample moves while a pattern is taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

SPACING_PX = 0.5  # between the places that are averaged, where the study does not say how many there are


@dataclass(frozen=True)
class FlyScan:
    """Motion along the columns, the fast axis, during the exposure; intensities are averaged on the way.

    Parameters
    ----------
    blur_px
        Way during one exposure in pixels. The position of a pattern is the middle of it.
    samples
        Places on the way that are averaged; by default (null) one every half pixel.
    """

    blur_px: Annotated[float, Ge(0)] = 0.0
    samples: Annotated[int, Ge(1), Le(256)] | None = None

    def offsets_px(self) -> np.ndarray:
        """Where the sample is on its way, from its middle (samples, 2); (1, 2) zeros where it stands."""
        number = (self.samples or int(np.ceil(self.blur_px / SPACING_PX)) or 1) if self.blur_px else 1
        along = self.blur_px * ((np.arange(number) + 0.5) / number - 0.5)
        return np.stack([np.zeros(number), along], axis=-1)
