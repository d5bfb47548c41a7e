"""What a kind of figure is, and what comes of drawing it.

Planning a study loads the classes of its figures and must not wait for matplotlib and pandas: the modules of
the kinds import them where they draw, not at their top.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

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


@dataclass(frozen=True, kw_only=True)
class FigureKind:
    """Base of the kinds of figures: the settings that a study gives, and how they are drawn.

    ``draw`` is all that a kind has to bring; everything else has a default here.

    ``runs`` says which runs the figure is about: those that "ended" of their own (completed or diverged), or
    "all", failed ones too.

    Parameters
    ----------
    where
        Factors, by short name or dotted path, with the value or the list of values that the runs have; all
        runs by default.
    title
        Stands before the caption.
    """

    runs: ClassVar[Literal["ended", "all"]] = "ended"

    where: Mapping[str, Any] | None = None
    title: str = ""

    @property
    def stem(self) -> str:
        """Name of the figure's files; that of the class by default, "speed-up" for ``SpeedUpFigure``."""
        name = type(self).__name__
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name.removesuffix("Figure") or name).lower()

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
