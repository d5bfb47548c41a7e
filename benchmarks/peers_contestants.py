"""Who takes part in ``peers.py``, and the settings each may try: three at most, on every side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any

OURS, PTYCHI, CDTOOLS = "ptychosuite", "pty-chi", "cdtools"
ALPHAS = (0.3, 0.1, 0.03)
STEPS = (0.03, 0.05, 0.02)  # of Adam
BATCHES = (8, 16, 49)


@dataclass(frozen=True)
class Contestant:
    """A solver with the settings it may try."""

    package: str
    method: str
    tries: tuple[dict[str, Any], ...]

    @property
    def label(self) -> str:
        return f"{self.method}, {self.package}"


def contestants(blind: bool) -> list[Contestant]:
    """Every solver that applies where the probe is known, or where it is not."""
    regularised = {"alpha": ALPHAS, "beta": (1.0,)} if blind else {"alpha": ALPHAS}
    known_only = [
        Contestant(OURS, "mPIE", tries("mpie", alpha=ALPHAS)),
        Contestant(OURS, "MAGPIE", tries("magpie", alpha=ALPHAS, levels=(7,))),
        Contestant(OURS, "L-BFGS", tries("lbfgs", history=(5, 10, 20))),
    ]
    return [
        Contestant(OURS, "rPIE", tries("rpie", **regularised)),
        Contestant(OURS, "ePIE", tries("epie")),
        Contestant(OURS, "eMAGPIE", tries("emagpie", **regularised)),
        Contestant(OURS, "LSQML", tries("lsqml", batch=BATCHES)),
        *([] if blind else known_only),
        Contestant(PTYCHI, "rPIE", ptychi("rpie", **regularised)),
        Contestant(PTYCHI, "PIE", ptychi("pie", **regularised)),
        Contestant(PTYCHI, "ePIE", ptychi("epie")),
        Contestant(PTYCHI, "mPIE", ptychi("rpie", momentum=(0.5,), **regularised)),
        Contestant(PTYCHI, "LSQML", ptychi("lsqml", batch=BATCHES)),
        Contestant(PTYCHI, "LSQML with momentum", ptychi("lsqml", momentum=(0.5,), batch=BATCHES)),
        Contestant(PTYCHI, "difference map", ptychi("dm", step_length=(0.8, 1.0, 0.6))),
        Contestant(PTYCHI, "RAAR", ptychi("raar", step_length=(0.75, 0.9, 0.6))),
        Contestant(PTYCHI, "Adam", ptychi("autodiff", batch=(8,), step_length=STEPS)),
        Contestant(CDTOOLS, "Adam", cdtools("adam", batch=(8,), step_length=STEPS)),
        Contestant(CDTOOLS, "SGD", cdtools("sgd", batch=(8,), step_length=(1.0, 3.0, 0.3))),
        Contestant(CDTOOLS, "L-BFGS", cdtools("lbfgs", history=(10,), step_length=(1.0, 0.5, 0.2))),
    ]


def tries(name: str, **axes: Iterable[Any]) -> tuple[dict[str, Any], ...]:
    """The settings of the solver ``name`` for every combination of ``axes``."""
    return tuple({"name": name, **dict(zip(axes, values, strict=True))} for values in product(*axes.values()))


def ptychi(algorithm: str, **axes: Iterable[Any]) -> tuple[dict[str, Any], ...]:
    return tries("ptychi", algorithm=(algorithm,), **axes)


def cdtools(algorithm: str, **axes: Iterable[Any]) -> tuple[dict[str, Any], ...]:
    return tries("cdtools", algorithm=(algorithm,), **axes)
