"""LSF.

PBS.

Grid Engine.

SLURM.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ptychosuite.cluster.kinds.jobqueue import JobQueue


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
