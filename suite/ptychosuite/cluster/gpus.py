"""The GPUs of this machine, and how one is named: by its index or its UUID.

A GPU may be divided (MIG). A process then sees a single part of it, whichever it is, unless it names one,
which it can by UUID alone.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Annotated, Any

from pydantic import AfterValidator

UUID = re.compile(r"(GPU|MIG)-[\w/-]+")


def _named(gpu: int | str) -> int | str:
    if gpu < 0 if isinstance(gpu, int) else not UUID.fullmatch(gpu):
        raise ValueError(
            "expected an index from 0 on, or a UUID as nvidia-smi -L lists it, GPU-... or MIG-..."
        )
    return gpu


Gpu = Annotated[int | str, AfterValidator(_named)]
"""A GPU, or a part of one, as a cluster file names it."""


def names_a_gpu(text: str) -> bool:
    """Whether a part of CUDA_VISIBLE_DEVICES does; CUDA hides all from the first that does not, as -1."""
    return text.strip().isdigit() or UUID.fullmatch(text.strip()) is not None


def gpus_here() -> list[str]:
    """All GPUs by index, as text; in the place of one that is divided, the UUIDs of its parts.

    Raises
    ------
    pynvml.NVMLError
        The driver is missing, or says no.
    """
    import pynvml

    pynvml.nvmlInit()
    found: list[str] = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        gpu = pynvml.nvmlDeviceGetHandleByIndex(index)
        found += _parts_of(gpu) if _is_divided(gpu) else [str(index)]
    return found


def _is_divided(gpu: Any) -> bool:
    import pynvml

    try:
        current, _after_reset = pynvml.nvmlDeviceGetMigMode(gpu)
    except pynvml.NVMLError_NotSupported:
        return False
    return bool(current == pynvml.NVML_DEVICE_MIG_ENABLE)


def _parts_of(gpu: Any) -> list[str]:
    import pynvml

    found: list[str] = []
    for place in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(gpu)):
        with suppress(pynvml.NVMLError_NotFound):  # as many as there may be need not be there
            part = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu, place)
            found.append(pynvml.nvmlDeviceGetUUID(part))
    return found
