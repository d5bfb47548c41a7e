"""LSF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from suite.cluster.kinds.jobqueue import JobQueue


@dataclass(frozen=True)
class LSF(JobQueue):
    """Jobs by ``bsub``.

    Parameters
    ----------
    project
        Project that is charged.
    """

    project: str | None = None

    cluster_class: ClassVar[str] = "LSFCluster"

    def own_options(self, needed: Mapping[str, Any]) -> dict[str, Any]:
        return {"project": self.project}

    def gpu_directives(self) -> list[str]:
        return [f'-gpu "num={self.gpus}"'] if self.gpus else []
