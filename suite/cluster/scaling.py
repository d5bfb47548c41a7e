"""How many workers a cluster gets, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge

from suite.core.settings import SettingError

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
