"""Docstrings as mkdocstrings reads them: ours are plain sentences where numpydoc wants a type first."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import griffe
import ptychosuite
from ptychosuite.study.meanings import ROLE

RETURNS = re.compile(r"^(Returns\n-------\n)(\S.*?)(?=^\S[^\n]*\n-{3,}$|\Z)", re.MULTILINE | re.DOTALL)
SEVERAL = re.compile(r"^(\w+(?:, \w+)+)\n((?:    .*\n?|\n(?=    ))+)", re.MULTILINE)
PUBLIC = {
    f"ptychosuite.api.{place.replace(':', '.')}": f"ptychosuite.{name}"
    for name, place in vars(ptychosuite)["_WHERE"].items()
}


class PlainDocstrings(griffe.Extension):
    """Rewrites docstrings before their sections are parsed."""

    def on_object(self, *, obj: griffe.Object, **others: Any) -> None:
        """Of every object that is documented."""
        if obj.docstring is None or obj.is_alias:
            return
        text = ROLE.sub(_name, obj.docstring.value)
        text = SEVERAL.sub(_one_by_one, text)
        returned = str(getattr(obj, "returns", None) or getattr(obj, "annotation", None) or "")
        obj.docstring.value = RETURNS.sub(lambda found: _typed(found, returned), text)


def _name(found: re.Match[str]) -> str:
    """A name in a text; one that is public leads to its place."""
    public = PUBLIC.get(found[1])
    return f"[`{public}`][{found[1]}]" if public else f"`{found[1]}`"


def _one_by_one(found: re.Match[str]) -> str:
    """An entry for each of several parameters that share their words."""
    names, words = found.groups()
    return "".join(f"{name}\n{words.rstrip()}\n" for name in names.split(", "))


def _typed(found: re.Match[str], returned: str) -> str:
    """What is returned, below its type."""
    head, words = found.groups()
    is_plain = returned and not re.match(r"\S[^\n]*\n    ", words)
    return f"{head}{returned}\n{textwrap.indent(words, '    ')}" if is_plain else found[0]
