"""The arrays of a file, and what each is used for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import h5py
import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.source import DAMAGED, Source

NO_ARRAYS = (
    "format",
    "zero frequency",
    "positions unit",
    "other entries",
)  # no places
TEXT = "text"
SMALL = 3  # numbers that are shown themselves
LETTERS = 60
COMPLEX = (("real", "imag"), ("r", "i"))  # fields of what MATLAB and others keep as complex numbers


@dataclass(frozen=True)
class ListedArray:
    """One array inside a file."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    value: str = ""  # of a small one
    use: str = ""  # the parts of the measurement that it is
    alias_of: str = ""  # the array that it is another name of

    @property
    def unused(self) -> bool:
        """Whether it has numbers, more than a few, that nothing is made of."""
        return not (self.use or self.alias_of or self.value or self.dtype == TEXT) and 0 not in self.shape

    def __str__(self) -> str:
        size = " x ".join(map(str, self.shape))
        kind = f"{size}, {self.dtype}" if size else self.dtype
        note = self.use or (f"the same as {self.alias_of}" if self.alias_of else "")
        if self.unused:
            note = "in the file, not used"
        return ": ".join(filter(None, [kind, " = ".join(filter(None, [note, self.value]))]))


def listed(path: str, source: Mapping[str, str], main: bool) -> list[ListedArray]:
    """The arrays of the file ``path``; none where it is of a kind without.

    Parameters
    ----------
    source
        What a measurement says of where its parts come from.
    main
        Whether this is the file that is read, or one that has some parts of it.

    Raises
    ------
    DataFileError
        The file is missing or damaged.
    """
    with Source(path) as file:
        if not file.holds_arrays:
            return []
        uses = _uses(path, source, main)
        named = {name: _used_for(name, uses) for name in file.arrays}
        # names of one array: the used one first, whichever the file has first
        order = sorted(file.arrays, key=lambda name: not named[name])
        first: dict[Any, str] = {}
        for name in order:
            first.setdefault(_identity(file.arrays[name], name), name)
        return [
            ListedArray(
                name,
                tuple(array.shape or ()),
                _type(array),
                _value(array),
                named[name],
                "" if (own := first[_identity(array, name)]) == name else own,
            )
            for name, array in file.arrays.items()
        ]


def _uses(path: str, source: Mapping[str, str], main: bool) -> dict[str, list[str]]:
    """Part -> names (with wildcards) of the arrays of this file that it comes from."""
    end = f" of {path}"
    found = {}
    for part, where in source.items():
        here = where.endswith(end) or (main and " of /" not in where)
        if here and part not in NO_ARRAYS:
            found[part] = [name.strip().strip("/") for name in where.removesuffix(end).split(",")]
    return found


def _used_for(name: str, uses: Mapping[str, list[str]]) -> str:
    return ", ".join(
        part for part, names in uses.items() if any(fnmatchcase(name.strip("/"), each) for each in names)
    )


def _identity(array: Any, name: str) -> Any:
    """Equal for two names of one array."""
    dataset = getattr(array, "dataset", None)
    if not isinstance(dataset, h5py.Dataset):
        return name
    info = h5py.h5o.get_info(dataset.id)
    return info.fileno, info.addr


def _type(array: Any) -> str:
    kind = array.dtype
    if kind.kind in "OSU":
        return TEXT
    return f"complex of {kind[0]}" if kind.names in COMPLEX else str(kind)


def _value(array: Any) -> str:
    """The content of a small array, or of a text."""
    if trouble := getattr(array, "trouble", ""):  # a link that leads nowhere
        return str(trouble)
    if array.shape is None or np.prod(array.shape) > SMALL or array.dtype.kind not in "OSUuifb":
        return ""
    try:
        values = list(np.ravel(np.asarray(array[()])))
    except (DataFileError, *DAMAGED):
        return "cannot be read"
    texts = [value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in values]
    text = " ".join(", ".join(texts).split())
    return text if len(text) <= LETTERS else text[: LETTERS - 3] + "..."
