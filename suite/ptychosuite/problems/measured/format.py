"""What a data format is, which one a file has, and the settings with which a file is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.source import Source
from ptychosuite.registry import lookup as registry
from ptychosuite.registry.validation import Registered


@dataclass(frozen=True)
class Places:
    """Where the user says that a file's arrays are; what is empty is left to the format."""

    path: str  # the file, for messages
    data: str = ""
    positions: str = ""
    probe: str = ""
    mask: str = ""
    mask_good: str = "auto"  # value of a good pixel: "nonzero", "zero", or the format's own rule


class DataFormat:
    """Base of the data formats: one layout of a file of measured patterns, a frozen dataclass without fields.

    ``recognises`` and ``read`` are all that a format has to bring; everything else has a default here.

    ``label`` is what people call the format, its name by default; ``suffixes`` are the usual endings of its
    files, for messages only. Where the user names no format, those of a higher ``priority`` are asked first,
    those of the same in the order of their names in the registry.
    """

    label: ClassVar[str] = ""
    suffixes: ClassVar[tuple[str, ...]] = ()
    priority: ClassVar[int] = 0

    def recognises(self, source: Source) -> bool:
        """Whether the file has this layout, from its first bytes or the names of its arrays."""
        raise NotImplementedError

    def read(self, source: Source, places: Places) -> Raw:
        """What the file holds, in its own orientation and units; the patterns stay in the file.

        Raises
        ------
        DataFileError
            Something is missing or has an unexpected shape; the message names the array inside the file.
        """
        raise NotImplementedError

    def describe(self) -> str:
        """The format in a few words, for lists and messages."""
        endings = f" ({', '.join(self.suffixes)})" if self.suffixes else ""
        return (self.label or type(self).__name__) + endings


def format_of(source: Source, name: str) -> tuple[str, DataFormat]:
    """Name and format of a file: the one called ``name``, for "auto" the first that recognises the file.

    Raises
    ------
    DataFileError
        No format recognises the file, or it is damaged.
    StudyError
        There is no format of that name.
    """
    if name != "auto":
        chosen: DataFormat = registry.class_of("formats", name)()
        return name, chosen
    known = {kind: cls() for kind, cls in registry.classes("formats").items()}
    damage: DataFileError | None = None
    trouble = ""
    for candidate in sorted(known, key=lambda kind: -known[kind].priority):
        try:
            if known[candidate].recognises(source):
                return candidate, known[candidate]
        except DataFileError as error:  # damaged as far as this format sees; another may know the file
            damage = damage or error
        except Exception as error:  # a plug-in's fault, which disturbs no other format
            trouble += f"; the format '{candidate}' fails at it: {type(error).__name__}: {error}"
    if damage:
        raise damage
    expected = ", ".join(each.describe() for each in known.values())
    raise DataFileError(
        f"{source.path} is not a file of measured data; expected {expected}, "
        f"plain or packed with bzip2 or gzip{trouble}"
    )


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
