"""Which GPUs --cluster cuda takes, as NVML would tell of them; there is none here."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from ptychosuite.cluster.cluster_file import cluster_settings
from ptychosuite.cluster.gpus import gpus_here
from ptychosuite.cluster.kinds import cuda
from ptychosuite.errors import ClusterError

PARTS = ["MIG-1fd8bd9c", "MIG-77a2b0e1"]


class NotFoundError(Exception):
    pass


class NotSupportedError(Exception):
    pass


@pytest.fixture
def nvml(monkeypatch):
    """Three GPUs: one that cannot be divided, one that is in two parts of seven, one that could be."""

    def mode(gpu):
        if gpu == 0:
            raise NotSupportedError
        return (1 if gpu == 1 else 0, 0)

    def part(gpu, place):
        if gpu != 1 or place >= len(PARTS):
            raise NotFoundError
        return PARTS[place]

    module = SimpleNamespace(
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 3,
        nvmlDeviceGetHandleByIndex=int,
        nvmlDeviceGetMigMode=mode,
        NVML_DEVICE_MIG_ENABLE=1,
        nvmlDeviceGetMaxMigDeviceCount=lambda gpu: 7,
        nvmlDeviceGetMigDeviceHandleByIndex=part,
        nvmlDeviceGetUUID=str,
        NVMLError_NotFound=NotFoundError,
        NVMLError_NotSupported=NotSupportedError,
    )
    monkeypatch.setitem(sys.modules, "pynvml", module)
    return module


@pytest.fixture
def dask_cuda(monkeypatch):
    """A dask-cuda that parses names as it does."""
    utils = SimpleNamespace(parse_cuda_visible_device=lambda gpu: int(gpu) if gpu.isdigit() else gpu)
    monkeypatch.setitem(sys.modules, "dask_cuda", SimpleNamespace(LocalCUDACluster=object, utils=utils))
    monkeypatch.setitem(sys.modules, "dask_cuda.utils", utils)


def test_a_divided_gpu_is_its_parts(nvml):
    """Each part gets a worker; without its UUID a process would see the first one alone."""
    assert gpus_here() == ["0", *PARTS, "2"]


def test_what_is_visible(monkeypatch, nvml, dask_cuda):
    """What CUDA_VISIBLE_DEVICES names, and all where it is not set."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert cuda.visible_gpus() == [0, *PARTS, 2]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"2,{PARTS[1]}")
    assert cuda.visible_gpus() == [2, PARTS[1]]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,-1,0")
    assert cuda.visible_gpus() == [1]


def test_none(monkeypatch, nvml, dask_cuda):
    """None is visible, none is here, or the driver is missing: the way out is said."""
    for hidden in ("", "-1", "-1,0", "NoDevFiles"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        with pytest.raises(ClusterError, match="CUDA_VISIBLE_DEVICES hides them; use --cluster local"):
            cuda.visible_gpus()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr(nvml, "nvmlDeviceGetCount", lambda: 0)
    with pytest.raises(ClusterError, match="there is none"):
        cuda.visible_gpus()
    monkeypatch.setattr(nvml, "nvmlInit", lambda: 1 / 0)
    with pytest.raises(ClusterError, match="found no GPU on this machine"):
        cuda.visible_gpus()


def test_gpus_are_named_in_a_cluster_file(tmp_path):
    """By index or by UUID, both in one list."""
    file = tmp_path / "cluster.yaml"
    file.write_text(f"cluster: cuda\ngpus: [0, GPU-dae76d0e-3414, {PARTS[0]}]\n")
    assert cluster_settings(str(file)).gpus == [0, "GPU-dae76d0e-3414", PARTS[0]]
