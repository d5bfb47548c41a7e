"""Grid Engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from suite.cluster.kinds.jobqueue import JobQueue


@dataclass(frozen=True)
class SGE(JobQueue):
    """Jobs by ``qsub``. Sites differ in how cores and GPUs are asked for: write it in ``directives``.

    Parameters
    ----------
    project
        Project that is charged.
    resource_spec
        What stands after ``-l``.
    """

    project: str | None = None
    resource_spec: str | None = None

    cluster_class: ClassVar[str] = "SGECluster"

    def own_options(self, needed: Mapping[str, Any]) -> dict[str, Any]:
        return {"project": self.project, "resource_spec": self.resource_spec}
