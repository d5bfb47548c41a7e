"""What a data format is, which one a file has, and the settings with which a file is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, MaxLen

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.finding import pick
from ptychosuite.problems.measured.measurement import Measurement
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.source import Source
from ptychosuite.registry import lookup as registry
from ptychosuite.registry.validation import Registered

NONE = "none"
PARTS = ("data", "positions", "probe", "object", "mask", "dark", "flat", "intensities")
"""What a measurement is made of; each may lie in a file of its own."""

Place = str | Mapping[str, str]
"""Name of an array in the file, or ``{path: FILE, key: NAME}`` in another one."""


@dataclass(frozen=True)
class Places:
    """Where the user says that a file's arrays are; what is empty is left to the format.

    ``elsewhere`` has the parts that come from another file, or from the settings. The word "none" for a part
    says that it is not to be used. A format looks for neither, and leaves them None.
    """

    path: str  # the file, for messages
    data: str = ""
    positions: str = ""
    probe: str = ""
    object: str = ""
    mask: str = ""
    dark: str = ""
    flat: str = ""
    intensities: str = ""
    mask_good: str = "auto"  # value of a good pixel: "nonzero", "zero", or the format's own rule
    entry: str = ""  # which of several entries
    elsewhere: frozenset[str] = frozenset()

    def wants(self, part: str) -> bool:
        """Whether a ``part`` is to be looked for in this file."""
        return part not in self.elsewhere and getattr(self, part) != NONE

    def find(self, file: Any, part: str, usual: Sequence[str]) -> str:
        """Name of the array of a ``part`` in an HDF5 file; "" where there is none, or none is wanted."""
        if not self.wants(part):
            return ""
        return pick(file, getattr(self, part), usual, part, self.path)


class DataFormat:
    """Base of the data formats: one layout of a file of measured patterns, a frozen dataclass without fields.

    ``recognises`` and ``read`` are all that a format has to bring; everything else has a default here.

    ``label`` is what people call the format, its name by default; ``suffixes`` are the usual endings of its
    files, for messages only. Where the user names no format, those of a higher ``priority`` are asked first,
    those of the same in the order of their names in the registry. ``writes`` are the parts that ``write`` has
    a place for, of :data:`PARTS`, and "masks", of single patterns; a format that is only read has none.
    ``has_entries`` says that a file may hold several measurements, of which ``Places.entry`` names one.
    """

    label: ClassVar[str] = ""
    suffixes: ClassVar[tuple[str, ...]] = ()
    priority: ClassVar[int] = 0
    has_entries: ClassVar[bool] = False
    writes: ClassVar[tuple[str, ...]] = ()

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

    def write(self, path: str, measurement: Measurement) -> None:
        """Write a measurement to ``path``, and to files beside it where the layout takes several.

        Raises
        ------
        DataFileError
            The layout cannot do without something that is not known, or the file cannot be written.
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

    The defaults are right for files that say all about themselves: CXI as cdtools writes it, NeXus, ptypy's
    .ptyd, ptychodus.

    Parameters
    ----------
    path
        The file. With "*" in its name it stands for several, scan_2 before scan_10: a pattern in each, or
        patterns with their positions, one after the other.
    format
        Its layout, by name or as package.module:Class; "auto" looks inside.
    entry
        Which entry of a file that has several, by name.
    data, positions, probe, object, mask, dark, flat, intensities
        Where these arrays are, where it is not the format's own place or a usual name: a name inside the
        file, or ``{path: FILE, key: NAME}`` in another one, whose own format is asked where no key is given.
        Patterns may lie in several files, one after the other: ``data: {path: "scan_*.h5"}``. "none": not
        used. In plain arrays, positions may be two names, rows first: "y, x".
    positions_unit
        Unit of the positions; "auto" takes the file's word, else the format's. Where neither says it, a study
        has to. "px" are pixels of an object made from whole patterns: a crop scales them.
    columns
        Order of the two position columns.
    flip_rows, flip_columns
        Turn the direction of motion along rows, along columns.
    rotation_deg
        Turn the scan, from the direction of the rows towards that of the columns, after all of the above.
    affine
        Four numbers a, b, c, d: (row, column) becomes (a row + b column, c row + d column), after the
        rotation.
    scan_shape, scan_step
        A raster instead of positions: rows and columns of it, columns fast, which stacks of four axes know
        themselves, and the step of each (or one for both) in ``positions_unit``.
    transpose
        Swap the detector's rows and columns.
    zero_frequency
        Where each pattern has its zero frequency; "auto" looks where the patterns are bright.
    centre_row, centre_column
        Pixel of zero frequency in the file's patterns, where it is neither the middle nor the corner.
    counts
        Whether the file holds intensities or their square roots.
    negative
        Refuse negative counts, set them to zero (data with a dark image subtracted; but pixels that are -1 or
        -2 in every pattern, where no others are below zero, are gaps, and masked), or mask them in the
        pattern where they are, and NaN with them.
    saturation
        Counts from which on a pixel is bad in the pattern where it has them. "auto" is the largest number of
        an integer type, which detectors write into gaps and overflown pixels; "none" is no limit.
    mask_good
        Value of a good pixel in the mask; "auto" is the format's rule, else what the mask's name means.
    first, last
        Numbers of the first and the last pattern to take, counted from 0.
    every
        Take each n-th of them.
    drop
        Numbers of patterns to leave out.
    drop_empty
        Leave out patterns without a count.
    drop_outliers
        Leave out patterns whose counts in all are so many robust standard deviations from the median.
    crop
        Detector pixels on a side to keep around zero frequency, before binning; all by default.
    bin
        Sum bin x bin detector pixels.
    wavelength_m, energy_kev, accelerating_voltage_kv
        Wavelength, over what the file says; an energy is that of photons, a voltage accelerates electrons.
    distance_m, detector_pixel_m
        Geometry, over what the file says.
    detector_pixel_mrad, detector_pixel_per_angstrom
        The detector's pixel as an angle, or as a spatial frequency, instead of these two.
    propagation
        "far" says that a measurement is one of the far field, whatever it looks like.
    """

    path: str
    format: Annotated[str, Registered("formats", also="auto")] = "auto"
    entry: str = ""
    data: Place = ""
    positions: Place = ""
    probe: Place = ""
    object: Place = ""
    mask: Place = ""
    dark: Place = ""
    flat: Place = ""
    intensities: Place = ""
    positions_unit: Literal["auto", "px", "m", "mm", "um", "nm", "angstrom", "pm"] = "auto"
    columns: Literal["row-column", "column-row"] = "row-column"
    flip_rows: bool = False
    flip_columns: bool = False
    rotation_deg: float = 0.0
    affine: Annotated[Sequence[float], MaxLen(4)] = ()
    scan_shape: Annotated[Sequence[Annotated[int, Ge(1)]], MaxLen(2)] = ()
    scan_step: Annotated[Sequence[float], MaxLen(2)] | float | None = None
    transpose: bool = False
    zero_frequency: Literal["auto", "centre", "corner"] = "auto"
    centre_row: Annotated[int, Ge(1)] | None = None
    centre_column: Annotated[int, Ge(1)] | None = None
    counts: Literal["intensity", "amplitude"] = "intensity"
    negative: Literal["refuse", "zero", "mask"] = "refuse"
    saturation: Annotated[float, Gt(0)] | Literal["auto", "none"] = "auto"
    mask_good: Literal["auto", "nonzero", "zero"] = "auto"
    first: Annotated[int, Ge(0)] = 0
    last: Annotated[int, Ge(0)] | None = None
    every: Annotated[int, Ge(1)] = 1
    drop: Sequence[Annotated[int, Ge(0)]] = ()
    drop_empty: bool = False
    drop_outliers: Annotated[float, Gt(0)] | None = None
    crop: Annotated[int, Ge(8)] | None = None
    bin: Annotated[int, Ge(1)] = 1
    wavelength_m: Annotated[float, Gt(0)] | None = None
    energy_kev: Annotated[float, Gt(0)] | None = None
    accelerating_voltage_kv: Annotated[float, Gt(0)] | None = None
    distance_m: Annotated[float, Gt(0)] | None = None
    detector_pixel_m: Annotated[float, Gt(0)] | None = None
    detector_pixel_mrad: Annotated[float, Gt(0)] | None = None
    detector_pixel_per_angstrom: Annotated[float, Gt(0)] | None = None
    propagation: Literal["auto", "far"] = "auto"
    path_sha256: str = ""

    def __hash__(self) -> int:  # lists and mappings among the values have none
        return hash(repr(self))

    @property
    def places(self) -> Places:
        """What a format needs of these, of the file itself."""
        given = {part: getattr(self, part) for part in PARTS}
        named = {part: place for part, place in given.items() if isinstance(place, str)}
        elsewhere = set(given) - set(named) | ({"positions"} if self.scan_step is not None else set())
        return Places(
            self.path, **named, mask_good=self.mask_good, entry=self.entry, elsewhere=frozenset(elsewhere)
        )

    @property
    def beside(self) -> dict[str, Mapping[str, str]]:
        """The parts that are in other files, with ``path``, ``key`` and ``path_sha256`` of each."""
        return {part: place for part in PARTS if not isinstance(place := getattr(self, part), str)}


NEW = ("entry", "object", "dark", "flat", "intensities", "rotation_deg", "affine", "scan_shape", "scan_step",
       "saturation", "first", "last", "drop", "drop_empty", "drop_outliers", "accelerating_voltage_kv",
       "detector_pixel_mrad", "detector_pixel_per_angstrom", "propagation")  # fmt: skip
LEFT_OUT = {f.name: f.default for f in fields(ReadSettings) if f.name in NEW}
"""Settings that are no part of a run's identity where they have these values."""
