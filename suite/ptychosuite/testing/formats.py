"""Check of data formats."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ptychosuite.errors import DataFileError, StudyError
from ptychosuite.problems.measured import MeasuredFile, Measurement, reading
from ptychosuite.problems.measured.format import DataFormat
from ptychosuite.problems.measured.source import Source
from ptychosuite.testing.common import ROUNDING, noun_of


def check_format(
    data_format: Any,
    file: str | Path,
    expected: Measurement | None = None,
    foreign: Sequence[str | Path] = (),
    **settings: Any,
) -> None:
    """Check what every data format promises, with a file of that format.

    It recognises ``file``, and neither the ``foreign`` ones nor an .npz and an .h5 without arrays; it reads
    as many patterns as positions, the same again, and leaves the file as it is.

    Parameters
    ----------
    data_format
        A frozen dataclass with ``recognises`` and ``read``, at the top level of a module.
    file
        A file of this format.
    expected
        What :class:`MeasuredFile` should read from it; what is None there is not compared.
    foreign
        Files of other formats.
    settings
        Settings of :class:`MeasuredFile` that the file does not do without, such as a raster where the format
        has no positions.

    Raises
    ------
    AssertionError
        Something does not hold; the message says what.
    """
    cls, data_format = type(data_format), noun_of("formats", data_format)
    assert _recognises(data_format, file), f"it does not recognise {file}"
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/empty.npz")
        h5py.File(f"{folder}/empty.h5", "w").close()
        for other in (*foreign, f"{folder}/empty.npz", f"{folder}/empty.h5"):
            assert not _recognises(data_format, other), f"it recognises {other}, a file of another format"
    content = Path(file).read_bytes()
    with Source(str(file)) as source:
        places = MeasuredFile(str(file), **settings).places
        raw = data_format.read(source, places)
        n, positions = raw.stack.n_patterns, np.shape(raw.positions)
        if places.wants("positions"):
            assert positions == (n, 2), f"{n} patterns, and positions of shape {positions}; expected ({n}, 2)"
    where = f"{cls.__module__}:{cls.__qualname__}"
    one, again = (_measured(str(file), where, settings) for _ in range(2))
    _check_same(one, again, 0.0, "two readings differ in")
    if expected is not None:
        _check_same(one, expected, ROUNDING["complex64"], "not as expected:")
    assert Path(file).read_bytes() == content, "read writes into the file"


def _recognises(data_format: DataFormat, file: str | Path) -> bool:
    with Source(str(file)) as source:
        try:
            return bool(data_format.recognises(source))
        except DataFileError:  # damaged, as far as this format sees
            return False


def _measured(file: str, where: str, settings: dict[str, Any]) -> Measurement:
    reading.measurement.cache_clear()
    try:
        return MeasuredFile(file, format=where, **settings).read()
    except (DataFileError, StudyError) as error:
        raise AssertionError(f"a study cannot read it: {error}") from error


def _check_same(found: Measurement, expected: Measurement, tolerance: float, words: str) -> None:
    for name in (field.name for field in dataclasses.fields(Measurement) if field.name != "source"):
        a, b = getattr(found, name), getattr(expected, name)
        if b is None:
            continue
        assert np.shape(a) == np.shape(b), f"{words} {name} of shape {np.shape(a)}; expected {np.shape(b)}"
        assert np.allclose(a, b, rtol=tolerance, atol=tolerance), f"{words} the numbers of {name}"
