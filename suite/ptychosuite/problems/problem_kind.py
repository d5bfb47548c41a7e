"""What a problem's kind is: the base of the classes behind ``problem: {kind: ...}``."""

from __future__ import annotations

from typing import ClassVar


class ProblemKind:
    """Base of the problems."""

    label: ClassVar[str] = ""
