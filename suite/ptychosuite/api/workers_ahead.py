"""Worker processes start while the rest of the suite is still being imported.

That takes the program as long as it takes them to import what carries out a run; side by side, one of the two
is saved. So nothing is imported here that is not needed for it.
"""

from __future__ import annotations

from ptychosuite.cluster.cluster_file import cluster_settings


def start_ahead(cluster: str, workers: int | None) -> None:
    """Let the workers of ``--cluster CLUSTER --workers WORKERS`` start, where they are on this machine.

    Raises
    ------
    ClusterError
        There is no such cluster.
    """
    cluster_settings(cluster, workers).prepare()
