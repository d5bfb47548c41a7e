"""One measurement from the files that a study names, each read by its own format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields, replace
from typing import Any

import numpy as np

from ptychosuite.errors import DataFileError, nearest
from ptychosuite.problems.files import check_unchanged, files_of
from ptychosuite.problems.guard import place_of_damage
from ptychosuite.problems.measured.format import PARTS, Places, ReadSettings, format_of
from ptychosuite.problems.measured.pairing import pair
from ptychosuite.problems.measured.pattern_stack import PatternStack, refuse_one_pattern
from ptychosuite.problems.measured.raw import Raw, as_image, joined_masks
from ptychosuite.problems.measured.source import DAMAGED, Source, as_told

HELD: Mapping[str, tuple[str, ...]] = {
    "data": ("stack", "convention", "centre", "pattern_numbers"),
    "positions": ("positions", "positions_unit", "position_numbers"),
    "probe": ("probe",),
    "object": ("object_guess",),
    "mask": ("good",),
    "dark": ("dark",),
    "flat": ("flat",),
    "intensities": ("intensities",),
}
"""Where a :class:`Raw` keeps each part."""
GEOMETRY = ("wavelength_m", "distance_m", "detector_pixel_m", "reciprocal_pixel_per_m", "angular_pixel_rad",
            "object_pixel_m")  # fmt: skip


@contextmanager
def described(settings: ReadSettings) -> Iterator[Raw]:
    """The files described by their formats, open for as long as their patterns are wanted.

    Raises
    ------
    DataFileError
        A file is missing, damaged, has changed, or has no format that is known; or no file has patterns.
    """
    check_unchanged(settings.path, settings.path_sha256)
    with ExitStack() as opened:
        raw = _read_all(settings.path, settings.format, settings.places, opened)
        for part, place in settings.beside.items():
            check_unchanged(place["path"], place.get("path_sha256", ""))
            _add(raw, part, _beside(part, place, settings, opened), place["path"])
        if raw.stack is None:
            raise DataFileError(f"{settings.path} holds no patterns; name them with 'data'")
        refuse_one_pattern(raw.stack, settings.path)
        pair(raw, settings.path)
        _check_masks(raw, settings.path)
        yield raw


def _check_masks(raw: Raw, path: str) -> None:
    if raw.good is None:
        return
    name, stack = raw.source["mask"], raw.patterns
    if raw.good.ndim == 3 and len(raw.good) != stack.n_patterns:
        raise DataFileError(f"{path}: '{name}' holds {len(raw.good)} masks for {stack.n_patterns} patterns")
    if raw.good.shape[-2:] != stack.frame:
        raise DataFileError(f"{path}: '{name}' has shape {raw.good.shape}; the patterns have {stack.frame}")


def _read_all(path: str, format_name: str, places: Places, opened: ExitStack) -> Raw:
    """What a file holds; of several of one format, which wildcards stand for, one after the other.

    All else than patterns, positions, intensities and masks is that of the first.
    """
    files = files_of(path)
    if len(files) < 2:
        return _read(files[0] if files else path, format_name, places, opened)
    first = _read_closed(files[0], format_name, places)
    others = [_read_closed(file, first.source["format"], places) for file in files[1:]]
    if first.stack is not None:
        first.stack = _joined([first, *others], path)
    if len(units := {raw.positions_unit for raw in (first, *others)}) > 1:
        raise DataFileError(f"{path}: positions in several units: {', '.join(sorted(units))}")
    for name in ("positions", "intensities"):
        arrays = [getattr(raw, name) for raw in (first, *others)]
        given = [array for array in arrays if array is not None]
        setattr(first, name, np.concatenate(given) if len(given) == len(files) else None)
    masks = [raw.good for raw in (first, *others) if raw.good is not None]
    if len(masks) == len(files) and first.stack is not None:
        numbers = [raw.patterns.n_patterns for raw in (first, *others)]
        blocks = (np.broadcast_to(m, (n, *m.shape[-2:])) for m, n in zip(masks, numbers, strict=True))
        first.good = joined_masks(blocks, sum(numbers))
    return first


def _read_closed(file: str, format_name: str, places: Places) -> Raw:
    """What one of many files holds, with patterns that open it again when they are read."""
    places = replace(places, path=file)
    with ExitStack() as opened:
        raw = _read(file, format_name, places, opened)
        if raw.stack is not None:
            only = replace(places, elsewhere=frozenset(PARTS) - {"data"})
            parts = tuple(
                replace(part, array=ArrayOfFile(file, raw.source["format"], only, i, part.array))
                for i, part in enumerate(raw.stack.parts)
            )
            raw.stack = PatternStack(parts, raw.stack.name)
    return raw


class ArrayOfFile:
    """Patterns of one file of many, which is open only while they are read: systems limit open files."""

    def __init__(self, file: str, format_name: str, places: Places, number: int, array: Any) -> None:
        self._file, self._format, self._places, self._number = file, format_name, places, number
        self.shape, self.dtype = tuple(array.shape), array.dtype
        self.chunks = getattr(array, "chunks", None)

    def __getitem__(self, key: Any) -> np.ndarray:
        with ExitStack() as opened:
            stack = _read(self._file, self._format, self._places, opened).patterns
            return np.asarray(stack.parts[self._number].array[key])


def _joined(several: Sequence[Raw], path: str) -> PatternStack:
    stacks = [raw.stack for raw in several if raw.stack is not None]
    frames = {stack.frame for stack in stacks}
    if len(frames) > 1:
        raise DataFileError(f"{path}: patterns of several sizes: {sorted(frames)}")
    return PatternStack(tuple(part for stack in stacks for part in stack.parts), stacks[0].name)


def _read(path: str, format_name: str, places: Places, opened: ExitStack) -> Raw:
    source = opened.enter_context(Source(path))
    name, chosen = format_of(source, format_name)
    if places.entry and not chosen.has_entries:
        raise DataFileError(f"{path}: a file of the format '{name}' has no entries; leave 'entry' out")
    try:
        raw = chosen.read(source, places)
    except DAMAGED as error:
        raise DataFileError(
            f"{path} cannot be read as '{name}' ({as_told(error)}{place_of_damage(path)}); the file is "
            "damaged, or give another 'format'"
        ) from error
    for part in ("dark", "flat", "intensities"):
        if getattr(places, part) and places.wants(part) and getattr(raw, part) is None:
            _take_named(raw, part, source, places)
    raw.source = {"format": name} | raw.source
    for part, (held, *_) in HELD.items():
        if getattr(raw, held) is not None:
            raw.source.setdefault(part, raw.stack.name if part == "data" and raw.stack else part)
    return raw


def _take_named(raw: Raw, part: str, source: Source, places: Places) -> None:
    """An array that the user names, and the format knows nothing of."""
    given = getattr(places, part).strip("/")
    if given not in source.arrays:
        raise DataFileError(
            f"{places.path} has no array '{given}' for '{part}'; {nearest(given, source.arrays)}"
        )
    values = np.asarray(source.arrays[given][...])
    setattr(raw, part, np.ravel(values) if part == "intensities" else as_image(values, given, places.path))
    raw.source[part] = given


def _beside(part: str, place: Mapping[str, str], settings: ReadSettings, opened: ExitStack) -> Raw:
    """What another file holds of one ``part``; of patterns in several files all, one after the other."""
    places = Places(
        place["path"],
        mask_good=settings.mask_good,
        elsewhere=frozenset(PARTS) - {part},
        **{part: place.get("key", "")},
    )
    return _read_all(place["path"], "auto", places, opened)


def _add(raw: Raw, part: str, other: Raw, path: str) -> None:
    """Put a ``part`` of another file into ``raw``, and the geometry where ``raw`` has none."""
    held = HELD[part]
    if getattr(other, held[0]) is None:
        raise DataFileError(f"{path} holds nothing for '{part}'; name the array with 'key'")
    for name in held:
        setattr(raw, name, getattr(other, name))
    for what in (part, *(name.replace("_", " ") for name in held)):
        if what in other.source:
            raw.source[what] = f"{other.source[what]} of {path}"
    for name in (field.name for field in fields(Raw) if field.name in GEOMETRY):
        if getattr(raw, name) is None and getattr(other, name) is not None:
            setattr(raw, name, getattr(other, name))
            what = name.removesuffix("_m").replace("_", " ")
            raw.source[what] = f"{other.source.get(what, what)} of {path}"
    raw.radiation = raw.radiation or other.radiation
    raw.propagation = raw.propagation or other.propagation
