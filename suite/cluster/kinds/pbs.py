"""PBS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from suite.cluster.kinds.jobqueue import JobQueue


@dataclass(frozen=True)
class PBS(JobQueue):
    """Jobs by ``qsub``.

    Parameters
    ----------
    account
        Account that is charged.
    resource_spec
        What stands after ``-l``; by default one chunk with the job's cores, memory and GPUs.
    """

    account: str | None = None
    resource_spec: str | None = None

    cluster_class: ClassVar[str] = "PBSCluster"

    def own_options(self, needed: Mapping[str, Any]) -> dict[str, Any]:
        return {"account": self.account, "resource_spec": self.resource_spec or self._gpu_chunk(needed)}

    def _gpu_chunk(self, needed: Mapping[str, Any]) -> str | None:
        """dask-jobqueue's default with GPUs, of which it knows nothing; None leaves it to dask-jobqueue."""
        if not self.gpus:
            return None
        return f"select=1:ncpus={needed['cores']}:ngpus={self.gpus}:mem={needed['memory']}"
