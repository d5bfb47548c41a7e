"""TIFF files of patterns: a page a pattern, or one file a pattern; neither says more than the counts."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ptychosuite.errors import DataFileError
from ptychosuite.problems.measured.format import DataFormat, Places
from ptychosuite.problems.measured.pattern_stack import single_stack
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.source import Source, as_told

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True)
class TIFF(DataFormat):
    """Patterns as the pages of a TIFF file, or one in each of several files."""

    label: ClassVar[str] = "TIFF"
    suffixes: ClassVar[tuple[str, ...]] = (".tif", ".tiff")

    def recognises(self, source: Source) -> bool:
        return source.head.startswith(MAGIC)

    def read(self, source: Source, places: Places) -> Raw:
        raw = Raw(None, None, "", convention="")
        if places.wants("data"):
            raw.stack = single_stack(Pages(source), "pages", places.path)
        return raw


class Pages:
    """The pages of a TIFF file's first series, read when they are sliced; axes of length one are left out."""

    def __init__(self, source: Source) -> None:
        self._source = source
        with self._open() as file:
            series = file.series[0]
            if "S" in series.axes:
                raise DataFileError(f"{source.path} is a picture in colours, not patterns of counts")
            self.shape = (*(n for n in series.shape[:-2] if n > 1), *series.shape[-2:])
            self.dtype = np.dtype(series.dtype)

    def __getitem__(self, key: tuple[Any, ...]) -> np.ndarray:
        stacked = self.shape[:-2]
        numbers = np.arange(math.prod(stacked)).reshape(stacked)[key[: len(stacked)]]
        with self._open() as file:
            pages = file.series[0].asarray() if len(file.series[0].pages) == 1 else None
            if pages is not None:
                return np.asarray(pages.reshape(self.shape)[key])
            read = file.asarray(key=[int(number) for number in numbers.ravel()], series=0)
        whole = np.asarray(read).reshape(*numbers.shape, *self.shape[-2:])
        return whole[(..., *key[len(stacked) :])]

    @contextmanager
    def _open(self) -> Iterator[Any]:
        import tifffile

        path = self._source.path
        logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it finds is told in one sentence
        try:
            with tifffile.TiffFile(self._source.whole()) as file:
                yield file
        except DataFileError:
            raise
        except Exception as error:  # tifffile raises many kinds of them at damaged files
            packed_by = "imagecodecs" in str(error)
            cause = "pip install imagecodecs" if packed_by else "the file is damaged or was not copied whole"
            raise DataFileError(f"{path} cannot be read as TIFF ({as_told(error)}); {cause}") from error
