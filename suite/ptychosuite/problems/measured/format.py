"""What a data format is, and which one a file has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.source import Source
from ptychosuite.registry import lookup as registry


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
