"""A small Zarr v3 group in one zip file, packed and unpacked in memory.

Zarr opens these files, and finds consolidated metadata in them. It is not used here because it takes
milliseconds, as long as a small run takes to compute. Every array is one chunk: little-endian bytes, then
Blosc (zstd, bitshuffle).
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Collection, Mapping
from typing import Any, BinaryIO

import numpy as np
from numcodecs.blosc import Blosc

ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # a fixed time, so that equal content gives equal files
MOST_BYTES, MOST_TIMES = 2**30, 300  # what a file may unpack to, or so many times its own size
BLOSC = Blosc(cname="zstd", clevel=3, shuffle=Blosc.BITSHUFFLE)


def pack(
    arrays: Mapping[str, np.ndarray], dimensions: Mapping[str, tuple[str, ...]], attributes: Mapping[str, Any]
) -> bytes:
    """A zip file with ``arrays`` (none of them empty), the names of their dimensions, and ``attributes``.

    Large arrays come first: the rest is then found in the file's tail.
    """
    members = {name: _array_metadata(array, dimensions[name]) for name, array in arrays.items()}
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays, key=lambda name: -arrays[name].nbytes):
            content = np.ascontiguousarray(arrays[name], _stored_type(members[name]))
            _add(archive, _chunk_key(name, content.ndim), BLOSC.encode(_real(content)))
        for name, metadata in sorted(members.items()):
            _add(archive, f"{name}/zarr.json", _json(metadata))
        _add(archive, "zarr.json", _json(_group_metadata(attributes, members)))
    return result.getvalue()


def unpack(file: BinaryIO, leave_out: Collection[str] = ()) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Attributes and arrays of a file written by :func:`pack`, without the arrays named in ``leave_out``.

    Raises
    ------
    zipfile.BadZipFile, KeyError, ValueError, RuntimeError
        The file is damaged.
    """
    with zipfile.ZipFile(file) as archive:
        left = max(MOST_BYTES, MOST_TIMES * file.seek(0, io.SEEK_END))
        root = json.loads(_member(archive, "zarr.json", left))
        present = set(archive.namelist())
        arrays = {}
        for name, metadata in root["consolidated_metadata"]["metadata"].items():
            if name in leave_out:
                continue
            shape, dtype = metadata["shape"], _stored_type(metadata)
            left -= math.prod(shape) * dtype.itemsize
            if left < 0:
                raise ValueError(f"its arrays are too large for its size, '{name}' among them")
            key = _chunk_key(name, len(shape))
            if key in present:
                content = _decoded(_member(archive, key, left), math.prod(shape) * dtype.itemsize)
                arrays[name] = np.frombuffer(content, dtype).reshape(shape).copy()
            else:  # Zarr leaves out a chunk that holds nothing but zeros
                arrays[name] = np.zeros(shape, dtype)
    return root["attributes"], arrays


def _member(archive: zipfile.ZipFile, key: str, most: int) -> bytes:
    if archive.getinfo(key).file_size > most:
        raise ValueError(f"'{key}' is too large for the size of the file")
    return archive.read(key)


def _decoded(chunk: bytes, n_bytes: int) -> bytes:
    """What Blosc has packed, if it says itself that this has ``n_bytes``."""
    said = int.from_bytes(chunk[4:8], "little")
    if said != n_bytes:
        raise ValueError(f"a chunk has {said} bytes instead of {n_bytes}")
    decoded: bytes = BLOSC.decode(chunk)
    return decoded


def _add(archive: zipfile.ZipFile, key: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(key, ZIP_TIME), content)


def _json(metadata: Mapping[str, Any]) -> bytes:
    return json.dumps(metadata, separators=(",", ":")).encode()


def _chunk_key(name: str, n_dimensions: int) -> str:
    return "/".join([name, "c", *["0"] * n_dimensions])


def _stored_type(metadata: Mapping[str, Any]) -> np.dtype[Any]:
    return np.dtype(metadata["data_type"]).newbyteorder("<")


def _real(array: np.ndarray) -> np.ndarray:
    """Complex numbers as pairs: bits are shuffled within each half, which compresses better."""
    return array.view(array.real.dtype)


def _group_metadata(attributes: Mapping[str, Any], members: Mapping[str, Any]) -> dict[str, Any]:
    consolidated = {"kind": "inline", "must_understand": False, "metadata": dict(sorted(members.items()))}
    return {
        "attributes": dict(attributes),
        "zarr_format": 3,
        "consolidated_metadata": consolidated,
        "node_type": "group",
    }


def _array_metadata(array: np.ndarray, dimensions: tuple[str, ...]) -> dict[str, Any]:
    is_complex = array.dtype.kind == "c"
    blosc = {
        "typesize": array.real.dtype.itemsize,
        "cname": BLOSC.cname,
        "clevel": BLOSC.clevel,
        "shuffle": "bitshuffle",
        "blocksize": 0,
    }
    return {
        "shape": list(array.shape),
        "data_type": array.dtype.name,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(array.shape)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": [0.0, 0.0] if is_complex else 0.0,
        "codecs": [
            {"name": "bytes", "configuration": {"endian": "little"}},
            {"name": "blosc", "configuration": blosc},
        ],
        "attributes": {},
        "dimension_names": list(dimensions),
        "zarr_format": 3,
        "node_type": "array",
        "storage_transformers": [],
    }
