"""One measurement from the files that a study names, each read by its own format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import fields, replace

from ptychosuite.errors import DataFileError
from ptychosuite.problems.files import check_unchanged, files_of
from ptychosuite.problems.guard import place_of_damage
from ptychosuite.problems.measured.format import PARTS, Places, ReadSettings, format_of
from ptychosuite.problems.measured.pattern_stack import PatternStack
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.source import DAMAGED, Source, as_told

HELD: Mapping[str, tuple[str, ...]] = {
    "data": ("stack", "convention", "centre"),
    "positions": ("positions", "positions_unit"),
    "probe": ("probe",),
    "object": ("object_guess",),
    "mask": ("good",),
    "dark": ("dark",),
    "flat": ("flat",),
    "intensities": ("intensities",),
}
"""Where a :class:`Raw` keeps each part."""
GEOMETRY = ("wavelength_m", "distance_m", "detector_pixel_m", "reciprocal_pixel_per_m", "angular_pixel_rad")


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
        raw = _read(settings.path, settings.format, settings.places, opened)
        for part, place in settings.beside.items():
            check_unchanged(place["path"], place.get("path_sha256", ""))
            _add(raw, part, _beside(part, place, settings, opened), place["path"])
        if raw.stack is None:
            raise DataFileError(f"{settings.path} holds no patterns; name them with 'data'")
        yield raw


def _read(path: str, format_name: str, places: Places, opened: ExitStack) -> Raw:
    source = opened.enter_context(Source(path))
    name, chosen = format_of(source, format_name)
    try:
        raw = chosen.read(source, places)
    except DAMAGED as error:
        raise DataFileError(
            f"{path} cannot be read as '{name}' ({as_told(error)}{place_of_damage(path)}); the file is "
            "damaged, or give another 'format'"
        ) from error
    raw.source = {"format": name} | raw.source
    for part, (held, *_) in HELD.items():
        if getattr(raw, held) is not None:
            raw.source.setdefault(part, raw.stack.name if part == "data" and raw.stack else part)
    return raw


def _beside(part: str, place: Mapping[str, str], settings: ReadSettings, opened: ExitStack) -> Raw:
    """What another file holds of one ``part``; of patterns in several files all, one after the other."""
    places = Places(
        place["path"],
        mask_good=settings.mask_good,
        elsewhere=frozenset(PARTS) - {part},
        **{part: place.get("key", "")},
    )
    files = files_of(place["path"])
    found = [_read(file, "auto", replace(places, path=file), opened) for file in files]
    if part == "data" and len(found) > 1:
        stacks = [raw.stack for raw in found if raw.stack is not None]
        frames = {stack.frame for stack in stacks}
        if len(frames) > 1:
            raise DataFileError(f"{place['path']}: patterns of several sizes: {sorted(frames)}")
        parts = tuple(each for stack in stacks for each in stack.parts)
        found[0].stack = PatternStack(parts, stacks[0].name)
    return found[0]


def _add(raw: Raw, part: str, other: Raw, path: str) -> None:
    """Put a ``part`` of another file into ``raw``, and the geometry where ``raw`` has none."""
    held = HELD[part]
    if getattr(other, held[0]) is None:
        raise DataFileError(f"{path} holds nothing for '{part}'; name the array with 'key'")
    for name in held:
        setattr(raw, name, getattr(other, name))
    raw.source[part] = f"{other.source[part]} of {path}"
    for name in (field.name for field in fields(Raw) if field.name in GEOMETRY):
        if getattr(raw, name) is None and getattr(other, name) is not None:
            setattr(raw, name, getattr(other, name))
            what = name.removesuffix("_m").replace("_", " ")
            raw.source[what] = f"{other.source.get(what, what)} of {path}"
    raw.radiation = raw.radiation or other.radiation
    raw.propagation = raw.propagation or other.propagation
