"""No cluster: runs are carried out in this process, one after another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from suite.cluster.connection import ClusterKind, Connection
from suite.cluster.resources import CPU, GPU


@dataclass(frozen=True)
class ThisProcess(ClusterKind):
    """This process, with the devices it sees."""

    on_this_machine: ClassVar[bool] = True

    @property
    def processes_here(self) -> int:
        return 1

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        yield Connection(None, "this process", offers=frozenset({CPU, GPU}))
