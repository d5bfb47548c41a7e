"""What a kind of figure is, and what comes of drawing it.

Planning a study loads the classes of its figures and must not wait for matplotlib and pandas: the modules of
the kinds import them where they draw, not at their top.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ptychosuite.reporting.figures.wanted import Where

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from ptychosuite.core.problem import Problem
    from ptychosuite.reporting.figures.material import Material


@dataclass(frozen=True)
class Drawn:
    """A figure, what it says in words, and the numbers it shows."""

    figure: Figure
    caption: str  # what is shown, over what, and how many of the planned runs are in it
    numbers: pd.DataFrame
    alt: str = ""  # what is to be seen, for those who cannot see it: not the caption again
    is_photograph: bool = False  # pixels rather than lines: the page embeds a PNG
    table: pd.DataFrame | None = None  # text that the page shows below the figure


@dataclass(frozen=True)
class Names:
    """Which settings of a figure name what; a study is refused whose runs will not have it.

    A setting may hold one name or a list of them; what is no text is not looked at.

    Parameters
    ----------
    metrics
        Settings that name a metric.
    curves
        Settings that name a metric with a curve.
    factors
        Settings that name a factor, by short name or dotted path.
    axes
        Settings that name factors, which are to be different.
    """

    metrics: Sequence[str] = ()
    curves: Sequence[str] = ()
    factors: Sequence[str] = ()
    axes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class FigureKind:
    """Base of the kinds of figures: the settings that a study gives, and how they are drawn.

    ``draw`` is all that a kind has to bring; everything else has a default here.

    ``runs`` says which runs the figure is about: those that "ended" of their own (completed or diverged), or
    "all" that were planned, failed and missing ones too. ``names`` says which settings name factors and
    metrics.

    Parameters
    ----------
    where
        Factors, by short name or dotted path, with the value or the list of values that the runs have; a list
        of such sets for alternatives; all runs by default.
    title
        Stands above the figure, and before the caption.
    key
        Name of the figure's files; by default one made of what it shows.
    width
        "column" (3.5 inches) or "page" (7.2 inches) of a journal; by default as wide as its content.
    """

    runs: ClassVar[Literal["ended", "all"]] = "ended"
    names: ClassVar[Names] = Names()

    where: Where = None
    title: str = ""
    key: str = ""
    width: Literal["column", "page"] | None = None

    @property
    def stem(self) -> str:
        """Name of the figure's files without a key; that of the class, "speed-up" for ``SpeedUpFigure``."""
        name = type(self).__name__
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name.removesuffix("Figure") or name).lower()

    @property
    def asks_for(self) -> Sequence[Sequence[str]]:
        """Metrics that it cannot do without, beside those that settings name: one of each group is enough.

        A study is refused none of whose runs will have one.
        """
        return ()

    def lacks(self, problem: Problem, solver: Any) -> str:
        """Why it can show nothing of runs of ``solver`` on ``problem``; empty where it can.

        Asked when a study is planned, of an outline of the problem; a study is refused all of whose runs
        lack what it shows.
        """
        return ""

    def pictured(self, material: Material) -> Iterable[str]:
        """The run files, as in the column ``path``, whose images (object, probe) the drawing needs.

        Asked before any run file is read.
        """
        return ()

    def draw(self, material: Material) -> Drawn:
        """Draw the figure.

        Raises
        ------
        NothingToDraw
            The runs have none of what it shows.
        StudyError
            A setting names what the results do not have.
        """
        raise NotImplementedError
