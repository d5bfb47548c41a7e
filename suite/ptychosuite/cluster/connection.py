"""What kinds of cluster have in common: settings that connect, numbers of workers, the connection."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt

from ptychosuite.cluster.waiting import Waits
from ptychosuite.registry.validation import SettingError

if TYPE_CHECKING:
    from distributed import Client


IDLE_CHECK = {"interval": "5s", "wait_count": 12}  # what has been idle for a minute is given back


@dataclass(frozen=True)
class Adapt:
    """Grow and shrink with the work that is left.

    Parameters
    ----------
    minimum, maximum
        Jobs of a batch system; workers of any other cluster.
    """

    maximum: Annotated[int, Ge(1)]
    minimum: Annotated[int, Ge(0)] = 0

    def __post_init__(self) -> None:
        if self.minimum > self.maximum:
            raise SettingError(("adapt",), f"found minimum {self.minimum} above maximum {self.maximum}")


@dataclass
class Demand:
    """How many workers a sweep could use now; the sweep keeps it up to date."""

    workers: int = 0


def adapt_to(cluster: Any, demand: Demand, **limits: Any) -> None:
    """Let Dask's adaptive scaling follow ``demand``: the runs that wait are ours, not the scheduler's."""
    from distributed.deploy import Adaptive

    class Following(Adaptive):  # type: ignore[misc]
        async def target(self) -> int:
            return demand.workers

    cluster.adapt(Adaptive=Following, **limits, **IDLE_CHECK)


@dataclass(frozen=True)
class Connection:
    """A cluster that is up; without one (``--cluster none``) the client is None.

    Parameters
    ----------
    client
        Dask's client.
    description
        What it is, for people and for the session file.
    dashboard
        Address of Dask's dashboard; empty where there is none.
    offers
        Dask resources that the workers declare, "GPU" and "CPU" among them.
    workers
        How many workers there are, or will be once every job has started.
    demand
        What a cluster that grows and shrinks goes by.
    waits
        What the sweep on it waits for.
    """

    client: Client | None
    description: str
    dashboard: str = ""
    offers: frozenset[str] = frozenset()
    workers: int = 1
    demand: Demand = field(default_factory=Demand)
    waits: Waits = field(default_factory=Waits)


@dataclass(frozen=True)
class ClusterKind:
    """Settings of one kind of cluster. Its fields are the keys of a cluster file.

    Parameters
    ----------
    cluster
        What stands after ``--cluster``: a kind, an address, a scheduler file or a class.
    wait_for_workers_s
        How long a sweep waits for a worker while none can take a run, in seconds; null for ever.
    """

    cluster: str
    wait_for_workers_s: Annotated[float, Gt(0)] | None = 600.0

    on_this_machine: ClassVar[bool] = False  # whether runs meet the devices that this process sees

    @property
    def processes_here(self) -> int:
        """Processes that carry out runs on this machine; 0 where others do."""
        return 0

    def prepare(self) -> None:
        """Begin, in the background, what takes time and needs no knowledge of the runs."""

    def connect(self) -> AbstractContextManager[Connection]:
        """Start or reach the cluster; at the end, take down what was started.

        Raises
        ------
        ClusterError
            It does not start or does not answer.
        """
        raise NotImplementedError

    def job_script(self) -> str:
        """The script a batch system would be given; empty for other kinds."""
        return ""


def at_most_one(**settings: Any) -> None:
    """Raise SettingError where more than one of ``settings``, which say the same thing, is given."""
    given = [name for name, value in settings.items() if value is not None]
    if len(given) > 1:
        raise SettingError((given[1],), f"it stands beside '{given[0]}', and one of them is enough")
