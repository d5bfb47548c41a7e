"""Groups of a NeXus file: its entries, and what lies below one by class instead of by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import h5py
import numpy as np

from ptychosuite.errors import DataFileError, nearest
from ptychosuite.problems.measured.finding import pick
from ptychosuite.problems.measured.format import Places
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.whole import check_whole

MOST_NUMBERS = 10_000_000  # of one setting of an instrument, if it is recorded for every pattern


def text(value: Any) -> str:
    """A string from HDF5: bytes, text or an array of one of them."""
    if isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def text_at(file: Any, name: str) -> str:
    """The string in the array ``name``; "" where there is none, or it holds something else."""
    item = file.get(name)
    if not isinstance(item, h5py.Dataset) or not is_text(item) or item.size != 1:
        return ""
    return text(item[()]).strip()


def is_text(array: Any) -> bool:
    """Whether a dataset holds strings."""
    return h5py.check_string_dtype(array.dtype) is not None


def exists(file: Any, name: str) -> bool:
    """Whether there is an array or a group of that name, and not a link to nowhere."""
    return file.get(name) is not None


def pick_given(file: Any, names: Sequence[str], what: str, path: str) -> str:
    """The first of ``names`` that is there and not 0, as detectors write what they have not been told.

    Raises
    ------
    DataFileError
        It holds more than a setting of an instrument, or what is held is not there.
    """
    for name in names:
        if not pick(file, "", [name], what, path):
            continue
        if file[name].shape is not None:
            check_whole(file[name], name, path)
        if (file[name].size or 0) > MOST_NUMBERS:
            raise DataFileError(f"{path}: '{name}' has shape {file[name].shape}; expected a number")
        if not _is_nothing(file[name]):
            return name
    return ""


def _is_nothing(array: Any) -> bool:
    if array.shape is None:
        return True
    if array.dtype.kind not in "uifb":
        return False
    values = np.asarray(array[()], dtype=np.float64)
    return not (np.isfinite(values).all() and values.any())


def class_of_group(group: Any) -> str:
    """Its NX_class, "" where it has none."""
    return text(group.attrs.get("NX_class", ""))


def entries_that_follow(file: Any, definitions: Sequence[str]) -> list[str]:
    """Paths of the entries and subentries that follow one of the application ``definitions``."""
    found = []
    for group in [file, *file.values()]:
        if not isinstance(group, h5py.Group):
            continue
        for item in [group, *group.values()]:
            if isinstance(item, h5py.Group) and item.name != "/" and _definition(item) in definitions:
                found.append(str(item.name))
    return list(dict.fromkeys(found))


def _definition(group: Any) -> str:
    return text(group.attrs.get("definition", "")) or text_at(group, "definition")


def entries_of_class(file: Any) -> list[str]:
    """Paths of all groups of the class NXentry."""
    groups = (item for item in file.values() if isinstance(item, h5py.Group))
    return [str(group.name) for group in groups if class_of_group(group) == "NXentry"]


def choose_entry(found: Sequence[str], raw: Raw, places: Places) -> str:
    """The entry that the user names, else the first one; the others are left in the source.

    Raises
    ------
    DataFileError
        There is none of that name.
    """
    short = {name.strip("/"): name for name in found}
    wanted = places.entry.strip("/")
    if wanted and wanted not in short:
        raise DataFileError(f"{places.path} has no entry '{places.entry}'; {nearest(wanted, short)}")
    chosen = short[wanted] if wanted else found[0]
    if others := [name.strip("/") for name in found if name != chosen]:
        raw.source["other entries"] = ", ".join(others)
    return chosen


def groups_of(file: Any, place: str, *nx_classes: str) -> Iterator[Any]:
    """Every group of one of the classes below ``place``, three levels deep at most."""
    start = file.get(place)
    found = [start] if isinstance(start, h5py.Group) else []
    for _ in range(3):
        found = [item for group in found for item in group.values() if isinstance(item, h5py.Group)]
        yield from (group for group in found if class_of_group(group) in nx_classes)


def group_of(file: Any, entry: str, nx_class: str, usual: str) -> str:
    """Path of the group called ``usual`` below the entry, else of the first one of its class."""
    if exists(file, f"{entry}/{usual}"):
        return f"{entry}/{usual}"
    return next((str(group.name) for group in groups_of(file, entry, nx_class)), f"{entry}/{usual}")


def detector_of(file: Any, entry: str, raw: Raw) -> str:
    """Path of the detector that holds images; further ones are left in the source."""
    usual = f"{entry}/instrument_1/detector_1"
    if exists(file, usual):
        return usual
    groups = list(groups_of(file, entry, "NXdetector"))
    images = [str(group.name) for group in groups if has_images(group.get("data"))]
    if len(images) > 1:
        raw.source["other detectors"] = ", ".join(images[1:])
    return next(iter(images or [str(group.name) for group in groups]), usual)


def has_images(item: Any) -> bool:
    """Whether this is an array of images, one for each place of a scan."""
    return isinstance(item, h5py.Dataset) and len(item.shape or ()) >= 3 and min(item.shape[-2:]) > 1


def signal_of(plot: Any) -> Any:
    """The array that an NXdata group is there to show, or None."""
    name = text(plot.attrs.get("signal", "")) or "data"
    item = plot.get(name)
    if isinstance(item, h5py.Dataset):
        return item
    marked = (item for item in plot.values() if isinstance(item, h5py.Dataset) and "signal" in item.attrs)
    return next(marked, None)
