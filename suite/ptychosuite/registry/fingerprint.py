"""Fingerprint of the code that computes: it changes when results might."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
COMPUTING = ("core", "physics", "problems", "solvers", "fastforward", "metrics", "execute")


@cache
def code_fingerprint() -> str:
    """SHA-256 over the sources of the packages that take part in a run, first 16 digits.

    Study files, cluster, store and report are left out: changing them changes no number.
    """
    content = hashlib.sha256()
    for package in COMPUTING:
        for source in sorted((PACKAGE / package).rglob("*.py")):
            content.update(source.relative_to(PACKAGE).as_posix().encode())
            content.update(source.read_bytes())
    return content.hexdigest()[:16]
