"""Whether a dataset that is stored is whole: every file of it is there, and is what was written.

Arrays end each of their chunks with a checksum, and write those that hold nothing as well, so that a chunk
that is lost is no chunk of blanks. Zarr alone would take it for one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import zarr
from zarr.abc.store import Store as ZarrStore
from zarr.core.sync import sync

from ptychosuite.store.place import Place

CHECKSUM = {"name": "crc32c"}
METADATA = "zarr.json"
AT_ONCE = 16  # files read: object storage answers late but to many


def is_whole(dataset: Place, target: ZarrStore) -> bool:
    """Whether the dataset that was committed at ``dataset``, which is ``target`` to Zarr, is whole."""
    root = json.loads((dataset / METADATA).read())
    described = root["consolidated_metadata"]["metadata"]
    lengths = [length for each in described.values() for length in _named_lengths(each)]
    if len(dict(lengths)) != len(set(lengths)):
        return False  # arrays along the same dimension differ in length
    chunks = {key for name, each in described.items() for key, _ in chunks_of(name, each)}
    if not keys_of(target) >= chunks.union(f"{name}/{METADATA}" for name in described):
        return False
    if not all(each["codecs"][-1:] == [CHECKSUM] for each in described.values()):
        return False  # it is an earlier version's
    with ThreadPoolExecutor(AT_ONCE) as pool:
        own = pool.map(lambda name: json.loads((dataset / f"{name}/{METADATA}").read()), described)
        if not all(
            _but_shape(one) == _but_shape(described[name]) for name, one in zip(described, own, strict=True)
        ):
            return False
    return all((dataset / key).ends_with_checksum() for key in sorted(chunks))


def write_lost_chunks(group: zarr.Group, target: ZarrStore) -> None:
    """Write the chunks of ``group``, which is ``target`` to Zarr, that nothing was written into."""
    keys = keys_of(target)
    for name, array in group.arrays():
        for key, place in chunks_of(name, array.metadata.to_dict()):
            if key not in keys:
                array.blocks[place] = array.fill_value


def keys_of(target: ZarrStore) -> set[str]:
    """The names of all files of ``target``."""

    async def listed() -> set[str]:
        return {key async for key in target.list()}

    found: set[str] = sync(listed())
    return found


def chunks_of(name: str, metadata: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The file and the place of each chunk of the array ``name``."""
    sizes = metadata["chunk_grid"]["configuration"]["chunk_shape"]
    numbers = [range(-(-length // size)) for length, size in zip(metadata["shape"], sizes, strict=True)]
    for place in product(*numbers):
        yield "/".join([name, "c", *map(str, place)]), place


def _named_lengths(metadata: Mapping[str, Any]) -> list[tuple[str, int]]:
    return list(zip(metadata["dimension_names"], metadata["shape"], strict=True))


def _but_shape(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Without what a compaction that did not come to its end may have changed."""
    return {key: value for key, value in metadata.items() if key != "shape"}
