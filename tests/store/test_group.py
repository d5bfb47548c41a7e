"""Packed groups are what Zarr itself would write, and Zarr reads them."""

from __future__ import annotations

import io
import json
import warnings
import zipfile

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from ptychosuite.store.group import pack, unpack
from zarr.codecs import BloscCodec
from zarr.storage import MemoryStore, ZipStore

ATTRIBUTES = {"name": "ü", "nested": {"list": [1, 2.5, None, True]}}
ARRAYS = {
    "image": (np.arange(12) * (1 - 2j)).astype(np.complex64).reshape(3, 4),
    "curves": np.array([[1.0, np.nan, np.inf], [0.0, -0.0, 1e-300]]),
    "zeros": np.zeros(5),
}
DIMENSIONS = {"image": ("y", "x"), "curves": ("curve", "iteration"), "zeros": ("metric",)}


def by_zarr() -> dict[str, bytes]:
    """Key -> content of the group that Zarr writes."""
    content: dict[str, object] = {}
    group = zarr.create_group(MemoryStore(content), attributes=ATTRIBUTES)
    for name, array in ARRAYS.items():
        typesize = array.real.dtype.itemsize
        codec = BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle", typesize=typesize)
        group.create_array(
            name, data=array, chunks=array.shape, compressors=codec, dimension_names=DIMENSIONS[name]
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(group.store)
    return {key: value.to_bytes() for key, value in content.items()}


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_content_is_what_zarr_writes():
    """Metadata say the same, chunks are the same bytes; Zarr leaves out a chunk of zeros."""
    ours, theirs = members(pack(ARRAYS, DIMENSIONS, ATTRIBUTES)), by_zarr()
    assert set(ours) - set(theirs) == {"zeros/c/0"}
    for key, content in theirs.items():
        if key.endswith("zarr.json"):
            assert json.loads(ours[key]) == json.loads(content), key
        else:
            assert ours[key] == content, key


def test_zarr_reads_what_is_packed(tmp_path):
    """Values, types, attributes and dimension names come back."""
    path = tmp_path / "group.zarr.zip"
    path.write_bytes(pack(ARRAYS, DIMENSIONS, ATTRIBUTES))
    with ZipStore(path, mode="r") as store:
        group = zarr.open_group(store, mode="r")
        assert group.metadata.consolidated_metadata is not None
        assert dict(group.attrs) == ATTRIBUTES
        for name, array in ARRAYS.items():
            assert group[name].metadata.dimension_names == DIMENSIONS[name]
            assert group[name].dtype == array.dtype
            np.testing.assert_array_equal(group[name][...], array)


def test_what_zarr_writes_is_unpacked():
    """Files that Zarr wrote are read as well."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for key, content in by_zarr().items():
            archive.writestr(key, content)
    attributes, found = unpack(packed)
    assert attributes == ATTRIBUTES
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)


numbers = st.sampled_from([np.float64, np.complex64]).flatmap(
    lambda dtype: arrays(dtype, array_shapes(max_dims=2, max_side=9))
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from("abc"), numbers))
def test_unpacking_undoes_packing(content):
    """Every number comes back bit for bit, whatever the shape."""
    names = {name: ("y", "x")[: array.ndim] for name, array in content.items()}
    attributes, found = unpack(io.BytesIO(pack(content, names, {})))
    assert attributes == {}
    assert set(found) == set(content)
    for name, array in content.items():
        assert found[name].dtype == array.dtype
        assert found[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("left_out", [(), ("image",), ("image", "curves", "zeros")])
def test_arrays_can_be_left_out(left_out):
    """What is not asked for is not there."""
    _, found = unpack(io.BytesIO(pack(ARRAYS, DIMENSIONS, ATTRIBUTES)), left_out)
    assert set(found) == set(ARRAYS) - set(left_out)
