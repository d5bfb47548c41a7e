"""What a study may ask to be drawn. Settings only; ``ptychosuite.reporting`` draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge

ImagePanel = Literal["magnitude", "phase", "difference", "phase-difference"]


@dataclass(frozen=True)
class ConvergenceFigure:
    """Curves of ``metric``, one line a ``line`` value, one panel a ``panel`` value, a band over the rest.

    ``x`` is "iteration", "seconds" or "data_passes".
    """

    metric: str = "residual"
    x: Literal["iteration", "seconds", "data_passes"] = "iteration"
    line: str = "solver"
    panel: str | None = None
    where: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""


@dataclass(frozen=True)
class ImagesFigure:
    """Reconstructed objects, one row a run of the first seed, and their differences to the truth."""

    show: tuple[ImagePanel, ...] = ("magnitude", "phase", "difference", "phase-difference")
    where: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""


@dataclass(frozen=True)
class HeatmapFigure:
    """Median of the metric ``value`` over two factors, one panel a ``panel`` value."""

    x: str
    y: str
    value: str = "error"
    panel: str | None = None
    where: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""


@dataclass(frozen=True)
class SetupFigure:
    """What was simulated: object, probe and scan of the first run."""

    where: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""


@dataclass(frozen=True)
class ProbeFigure:
    """Reconstructed probes of the first seed, magnitude and phase, one column a run."""

    where: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""


@dataclass(frozen=True)
class RingsFigure:
    """Fourier ring correlation against spatial frequency, one line a ``line`` value, with its threshold."""

    line: str = "solver"
    where: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""


@dataclass(frozen=True)
class SpeedUpFigure:
    """How much sooner fast-forwarded runs reach what their plain partners end with, in ``metric``.

    ``x`` is what is saved: "seconds", "iteration" or "data_passes". ``within`` is how much more than the
    plain run's final value will do, as a share of it: 0.01 for one per cent.
    """

    metric: str = "poisson_nll"
    x: Literal["seconds", "iteration", "data_passes"] = "seconds"
    within: Annotated[float, Ge(0)] = 0.0
    where: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""


Figure = (
    ConvergenceFigure | ImagesFigure | HeatmapFigure | SetupFigure | ProbeFigure | RingsFigure | SpeedUpFigure
)

FIGURES: Mapping[str, type[Figure]] = {
    "convergence": ConvergenceFigure,
    "images": ImagesFigure,
    "heatmap": HeatmapFigure,
    "setup": SetupFigure,
    "probe": ProbeFigure,
    "rings": RingsFigure,
    "speed-up": SpeedUpFigure,
}
