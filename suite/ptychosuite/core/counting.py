"""Numbers of things in words."""

from __future__ import annotations


def count(number: int, what: str) -> str:
    """ "1 run", "2 runs"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
