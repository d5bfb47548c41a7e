"""The solver of the peer that does what a test tells it to."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

from ptychosuite.solvers.peers.session import PeerSettings


@dataclass(frozen=True, kw_only=True)
class Unruly(PeerSettings):
    """It does ``does`` in the epoch ``after``."""

    packages: ClassVar[tuple[str, ...]] = ("numpy",)
    driver: ClassVar[Any] = SimpleNamespace(__name__="unruly", package="numpy")

    does: str = "nothing"
    after: int = 4  # the warm-up has one epoch of a reconstruction of its own

    @property
    def patterns_of_a_batch(self) -> int | None:
        return None
