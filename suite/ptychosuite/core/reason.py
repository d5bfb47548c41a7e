"""Why a run failed, told from its message: a traceback, the words of a worker that died, or a sentence."""

from __future__ import annotations

import re

TRACEBACK = re.compile(r"(?:\A|\n\n)Traceback \(most recent call last\):\n(?:  .*\n|\n(?=  ))*")
GROUP = re.compile(r"(?:\A|\n\n)  \+ Exception Group Traceback \(most recent call last\):\n(?:  \|   .*\n)*")
TREE = re.compile(r"^  \| ", re.MULTILINE)


def reason_of(message: str) -> str:
    """All lines of the exception that ended a run; of a message without a traceback its last paragraph."""
    text = message.strip("\n")
    plain, group = list(TRACEBACK.finditer(text)), list(GROUP.finditer(text))
    if plain and (not group or plain[-1].end() > group[-1].end()):
        return text[plain[-1].end() :].strip()
    if group:
        return TREE.sub("", text[group[-1].end() :]).strip()
    return text.strip().rpartition("\n\n")[2]


def first_line(text: str) -> str:
    """The first line of a text, and how many more it has."""
    first, *more = text.strip().splitlines() or [""]
    return (
        f"{first} (and {len(more)} more lines)"
        if len(more) > 1
        else f"{first} (and 1 more line)"
        if more
        else first
    )
