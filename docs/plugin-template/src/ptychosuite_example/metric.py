"""How like the truth a reconstruction is."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np


@dataclass(frozen=True)
class Likeness:
    """|<z*, z>| / (||z*|| ||z||) over the scanned area, with the truth z*."""

    name: ClassVar[str] = "likeness"
    label: ClassVar[str] = "likeness to the truth"
    better: ClassVar[str] = "higher"
    needs: ClassVar[str] = "truth"
    gauge: ClassVar[str] = "removed"

    def value(self, evaluation):
        z, truth = evaluation.scanned_object, evaluation.truth.scanned_object
        return float(abs(np.vdot(truth, z)) / (np.linalg.norm(truth) * np.linalg.norm(z)))
