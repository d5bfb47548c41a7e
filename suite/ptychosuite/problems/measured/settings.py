"""The settings with which a file of measured data is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt

from ptychosuite.problems.measured.format import Places
from ptychosuite.registry.validation import Registered


@dataclass(frozen=True)
class ReadSettings:
    """Which file to read, and how.

    The defaults are right for CXI files as cdtools writes them, NXcxi_ptycho files, and ptypy's .ptyd.

    Parameters
    ----------
    path
        The file.
    format
        Its layout, by name or as package.module:Class; "auto" looks inside.
    data, positions, probe, mask
        Where these arrays are inside the file, where it is not the format's own place or a usual name.
        In plain arrays, positions may be two names, rows first: "y, x".
    positions_unit
        Unit of the positions; "auto" takes the file's word, else the format's, else guesses by their span.
        "px" are pixels of an object made from whole patterns: a crop scales them.
    columns
        Order of the two position columns.
    flip_rows, flip_columns
        Turn the direction of motion along rows, along columns.
    transpose
        Swap the detector's rows and columns.
    zero_frequency
        Where each pattern has its zero frequency; "auto" looks where the patterns are bright.
    centre_row, centre_column
        Pixel of zero frequency in the file's patterns, where it is neither the middle nor the corner.
    counts
        Whether the file holds intensities or their square roots.
    negative
        Refuse negative counts, or set them to zero (data with a dark image subtracted).
    mask_good
        Value of a good pixel in the mask; "auto" is the format's rule, for plain arrays "nonzero".
    crop
        Detector pixels on a side to keep around zero frequency, before binning; all by default.
    bin
        Sum bin x bin detector pixels.
    every
        Take each n-th pattern.
    wavelength_m, energy_kev, distance_m, detector_pixel_m
        Geometry, over what the file says.
    """

    path: str
    format: Annotated[str, Registered("formats", also="auto")] = "auto"
    data: str = ""
    positions: str = ""
    probe: str = ""
    mask: str = ""
    positions_unit: Literal["auto", "px", "m", "um", "nm"] = "auto"
    columns: Literal["row-column", "column-row"] = "row-column"
    flip_rows: bool = False
    flip_columns: bool = False
    transpose: bool = False
    zero_frequency: Literal["auto", "centre", "corner"] = "auto"
    centre_row: Annotated[int, Ge(1)] | None = None
    centre_column: Annotated[int, Ge(1)] | None = None
    counts: Literal["intensity", "amplitude"] = "intensity"
    negative: Literal["refuse", "zero"] = "refuse"
    mask_good: Literal["auto", "nonzero", "zero"] = "auto"
    crop: Annotated[int, Ge(8)] | None = None
    bin: Annotated[int, Ge(1)] = 1
    every: Annotated[int, Ge(1)] = 1
    wavelength_m: Annotated[float, Gt(0)] | None = None
    energy_kev: Annotated[float, Gt(0)] | None = None
    distance_m: Annotated[float, Gt(0)] | None = None
    detector_pixel_m: Annotated[float, Gt(0)] | None = None
    path_sha256: str = ""

    @property
    def places(self) -> Places:
        """What a format needs of these."""
        return Places(self.path, self.data, self.positions, self.probe, self.mask, self.mask_good)
