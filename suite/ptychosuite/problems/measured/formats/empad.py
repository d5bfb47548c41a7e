"""The .raw files of the EMPAD detector: frames of 130 x 128 float32, the last two rows of which are a footer.

M. Tate et al., *Microscopy and Microanalysis* 22, 237 (2016). The scan's shape is in the name that the
detector's program gives, scan_x128_y64.raw; step and geometry are not in the file.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.format import DataFormat, Places
from ptychosuite.problems.measured.pattern_stack import single_stack
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.source import Source

WRITTEN, FRAME = (130, 128), (128, 128)
FRAME_BYTES = 4 * math.prod(WRITTEN)
SCAN = re.compile(r"_x(\d+)_y(\d+)$")


@dataclass(frozen=True)
class EMPAD(DataFormat):
    """Frames of 128 x 128 pixels without a header, as the EMPAD's program writes them."""

    label: ClassVar[str] = "EMPAD"
    suffixes: ClassVar[tuple[str, ...]] = (".raw",)

    def recognises(self, source: Source) -> bool:
        path = Path(source.path)
        return path.suffix.lower() == ".raw" and path.stat().st_size % FRAME_BYTES == 0

    def read(self, source: Source, places: Places) -> Raw:
        raw = Raw(None, None, "", convention="centre", radiation="electrons")
        if places.wants("data"):
            raw.stack = single_stack(_frames(Path(source.path)), "frames", places.path)
        return raw


def _frames(path: Path) -> np.ndarray:
    """The frames (y, x, rows, columns), or (N, rows, columns) where the file's name has no shape; on disk."""
    n, rest = divmod(path.stat().st_size, FRAME_BYTES)
    if rest or not n:
        raise DataFileError(
            f"{path} has {path.stat().st_size} bytes, no whole number of frames of 130 x 128 float32; the "
            "file was not copied whole, or is no EMPAD's"
        )
    frames = np.memmap(path, "<f4", mode="r", shape=(n, *WRITTEN))[:, : FRAME[0]]
    named = SCAN.search(path.stem)
    columns, rows = (int(number) for number in named.groups()) if named else (0, 0)
    return frames.reshape(rows, columns, *FRAME) if rows * columns == n else frames
