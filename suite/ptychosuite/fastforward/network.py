"""A trained network as a fast-forward operator.

The operator kind ``network``: settings that name a checkpoint, loaded when it is first applied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ptychosuite.backends.arrays import Array, is_on_gpu, namespace
from ptychosuite.core.problem import Problem
from ptychosuite.errors import DataFileError
from ptychosuite.fastforward.checkpoint import Checkpoint
from ptychosuite.fastforward.features import CHANNELS, from_pupil, views
from ptychosuite.fastforward.operator import Operator, Snapshot
from ptychosuite.problems.files import check_unchanged


@dataclass(frozen=True, eq=False)
class Network:
    """Object and probe further on, as the networks of a checkpoint see them.

    A known probe stays as it is.
    """

    modules: Any  # ptychosuite.fastforward.unet.Pair, in evaluation mode on the CPU

    @classmethod
    def load(cls, path: str | Path) -> Network:
        """The networks of a checkpoint file. No code in the file is executed.

        Raises
        ------
        DataFileError
            The file is missing, damaged, or its weights do not fit the architecture its card names.
        """
        import torch

        from ptychosuite.fastforward.unet import Pair

        checkpoint = Checkpoint.read(Path(path))
        try:
            architecture = checkpoint.card["architecture"]
            if architecture["channels"] != CHANNELS:
                raise ValueError(f"it sees {architecture['channels']} channels, this version has {CHANNELS}")
            modules = Pair(CHANNELS, architecture["width"])
            modules.load_state_dict(
                {name: torch.from_numpy(value) for name, value in checkpoint.weights.items()}
            )
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise DataFileError(f"{path} does not fit this version's network: {reason}") from error
        return cls(modules.eval())

    def advance(self, problem: Problem, now: Snapshot, before: Snapshot | None) -> tuple[Array, Array]:
        """Object (H, W) and probe (m, m) further on; costs a forward pass and one pass over the data."""
        seen = views(problem, now, before)
        obj = now.object + seen.object.step(self._apply("object", seen.object.channels))
        if problem.probe_known:
            return obj, now.probe
        step = seen.probe.step(self._apply("probe", seen.probe.channels))
        return obj, now.probe + from_pupil(step)

    def _apply(self, name: str, channels: Array) -> Array:
        """The change (2, h, w) that one network predicts, in the library of ``channels`` (7, h, w)."""
        import torch

        module = self._on_gpu[name] if is_on_gpu(channels) else getattr(self.modules, name)
        with torch.inference_mode():
            x = torch.from_dlpack(channels)[None].to(torch.float32, memory_format=torch.channels_last)
            change = module(x)[0].contiguous()
        if isinstance(channels, np.ndarray):
            return change.numpy()
        return namespace(channels).from_dlpack(change)

    @cached_property
    def _on_gpu(self) -> dict[str, Callable[[Any], Any]]:
        import copy

        return {name: copy.deepcopy(getattr(self.modules, name)).cuda() for name in ("object", "probe")}


DEFAULT = Path(__file__).parent / "checkpoints" / "default.safetensors"


@dataclass(frozen=True, kw_only=True)
class Trained(Operator):
    """A trained network.

    Parameters
    ----------
    checkpoint
        "default", which comes with the package, or the path of a .safetensors file.
    """

    bundled_files: ClassVar[Mapping[str, Path]] = {"default": DEFAULT}

    checkpoint: str = "default"
    checkpoint_sha256: str = ""

    def advance(self, problem: Problem, now: Snapshot, before: Snapshot | None) -> tuple[Array, Array]:
        """What the network makes of ``now`` and ``before``.

        Raises
        ------
        DataFileError
            The checkpoint is missing, damaged, or no longer the one that was planned.
        """
        path = self.bundled_files.get(self.checkpoint, Path(self.checkpoint))
        return _loaded(path, self.checkpoint_sha256).advance(problem, now, before)


@lru_cache(maxsize=4)
def _loaded(path: Path, sha256: str) -> Network:
    from ptychosuite.fastforward.network import Network

    check_unchanged(str(path), sha256)
    return Network.load(path)
