"""All that can be told of a file of measured data, also where a run would refuse it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ptychosuite.errors import DataFileError
from ptychosuite.problems.files import files_of
from ptychosuite.problems.measured import reading
from ptychosuite.problems.measured.format import ReadSettings
from ptychosuite.problems.measured.listing import ListedArray, listed
from ptychosuite.problems.measured.measurement import Measurement, describe
from ptychosuite.problems.measured.suspicions import suspicions, unused_arrays

SOURCE = "source of "  # what describe() calls where a part comes from
MOST_ARRAYS = 300  # that are listed of a file


@dataclass(frozen=True)
class Description:
    """What a file of measured data holds; ``measurement`` is None where ``refused`` says why not."""

    measurement: Measurement | None
    arrays: Mapping[str, list[ListedArray]]  # by file
    suspicions: Mapping[str, str]
    refused: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for people and for JSON."""
        content: dict[str, Any] = {}
        if self.measurement is not None:
            lines = describe(self.measurement)
            content = {key: line for key, line in lines.items() if not key.startswith(SOURCE)}
            content["from"] = {
                key.removeprefix(SOURCE): line for key, line in lines.items() if key.startswith(SOURCE)
            }
        lists = {path: _lines(arrays) for path, arrays in self.arrays.items() if arrays}
        if len(lists) == 1:
            content["arrays"] = next(iter(lists.values()))
        elif lists:
            content["arrays of"] = lists
        if self.suspicions:
            content["suspicions"] = dict(self.suspicions)
        if self.refused:
            content["not read"] = self.refused
        return content


def description(settings: ReadSettings) -> Description:
    """Look at all that the files of ``settings`` hold.

    Raises
    ------
    DataFileError
        The file is missing or damaged, or cannot be read and has no arrays that could be listed.
    """
    try:
        measurement = reading.measurement(settings)
    except DataFileError as error:
        arrays = _arrays(settings, {})
        if not any(arrays.values()):
            raise
        return Description(None, arrays, {}, str(error))
    arrays = _arrays(settings, measurement.source)
    found = suspicions(measurement)
    found |= {about: f"{words} (a run is refused)" for about, words in reading.doubts_of(settings).items()}
    everything = [array for listing in arrays.values() for array in listing]
    if odd := unused_arrays(everything, measurement.n_positions):
        found["unused arrays"] = odd
    return Description(measurement, arrays, found)


def _arrays(settings: ReadSettings, source: Mapping[str, str]) -> dict[str, list[ListedArray]]:
    """The arrays of the file, and of those that have parts of it."""
    beside = [file for place in settings.beside.values() for file in files_of(place["path"])[:1]]
    found = {settings.path: listed(settings.path, source, main=True)}
    return found | {path: listed(path, source, main=False) for path in beside if path not in found}


def _lines(arrays: list[ListedArray]) -> dict[str, str]:
    lines = {array.name: str(array) for array in arrays[:MOST_ARRAYS]}
    if len(arrays) > MOST_ARRAYS:
        lines["..."] = f"and {len(arrays) - MOST_ARRAYS} more"
    return lines
