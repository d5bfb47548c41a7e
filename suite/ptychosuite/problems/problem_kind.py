"""What a problem's kind is: the base of the classes behind ``problem: {kind: ...}``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar


class ProblemKind:
    """Base of the problems."""

    label: ClassVar[str] = ""
    bundled_files: ClassVar[Mapping[str, Path]] = {}  # that come with the package, by their names in a study
