"""The operator kind ``network``: settings that name a checkpoint, loaded when it is first applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from suite.core.arrays import Array
from suite.core.fast_forward import Schedule
from suite.core.problem import Problem
from suite.fastforward.operator import Operator, Snapshot
from suite.problems.files import check_unchanged

DEFAULT = Path(__file__).parent / "checkpoints" / "default.safetensors"


@dataclass(frozen=True, kw_only=True)
class Trained(Schedule):
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
def _loaded(path: Path, sha256: str) -> Operator:
    from suite.fastforward.network import Network

    check_unchanged(str(path), sha256)
    return Network.load(path)
