"""SLURM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from suite.cluster.kinds.jobqueue import JobQueue


@dataclass(frozen=True)
class Slurm(JobQueue):
    """Jobs by ``sbatch``.

    Parameters
    ----------
    account
        Account that is charged.
    """

    account: str | None = None

    cluster_class: ClassVar[str] = "SLURMCluster"

    def own_options(self, needed: Mapping[str, Any]) -> dict[str, Any]:
        return {"account": self.account}

    def gpu_directives(self) -> list[str]:
        return [f"--gres=gpu:{self.gpus}"] if self.gpus else []
