"""What the settings of a class mean, as its docstrings say: for editors and for the reference pages."""

from __future__ import annotations

import inspect
import re
from typing import Any

SECTION = re.compile(r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n-{3,}$|\Z)", re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r"^(\w[\w, ]*)\n((?:(?:    .*)?\n)+)", re.MULTILINE)
ROLE = re.compile(r":\w+:`~?([^`]*)`")


def meanings(cls: type[Any]) -> dict[str, str]:
    """Setting -> a sentence or two, from the sections "Parameters" of the class and its bases."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        section = SECTION.search(inspect.cleandoc(vars(base).get("__doc__") or "") + "\n")
        for settings, meaning in ENTRY.findall(section[1] if section else ""):
            found |= dict.fromkeys(settings.split(", "), plain(meaning))
    return found


def summary(cls: type[Any]) -> str:
    """What a class is: its docstring before the sections, a line for each paragraph."""
    text = re.split(r"^\S.*\n-{3,}$", inspect.getdoc(cls) or "", maxsplit=1, flags=re.MULTILINE)[0]
    return "\n\n".join(plain(paragraph) for paragraph in text.strip().split("\n\n"))


def plain(text: str) -> str:
    """Without marks of cross-references, in one line; code stands between single backticks."""
    return " ".join(ROLE.sub(r"`\1`", text).replace("``", "`").split())
