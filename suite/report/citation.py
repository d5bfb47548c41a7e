"""Who is to be cited for a bundle, and under which licence it may be used."""

from __future__ import annotations

import re
from dataclasses import dataclass

from suite.errors import UserError

AUTHOR = re.compile(r"\s*(?P<name>[^<>]+?)\s*(<\s*(https?://orcid\.org/)?(?P<orcid>[^<>]*?)\s*>)?\s*")


@dataclass(frozen=True)
class Author:
    """Who is to be cited."""

    name: str
    orcid: str = ""  # without the address: 0000-0002-1825-0097


def author_of(text: str) -> Author:
    """Read "Name" or "Name <ORCID>".

    Raises
    ------
    UserError
        There is no name, or no ORCID between the brackets.
    """
    match = AUTHOR.fullmatch(text)
    if match is None:
        raise UserError(f"--author {text}: expected a name, as in 'Josiah Carberry <0000-0002-1825-0097>'")
    orcid = match["orcid"]
    if orcid is not None and not _is_orcid(orcid):
        raise UserError(
            f"--author {text}: '{orcid}' is no ORCID; expected sixteen digits of which the last one checks "
            "the others, as in 0000-0002-1825-0097"
        )
    return Author(match["name"], orcid or "")


def _is_orcid(text: str) -> bool:
    """Whether the last digit is right: ISO 7064, MOD 11-2."""
    if not re.fullmatch(r"(\d{4}-){3}\d{3}[\dX]", text):
        return False
    total = 0
    for digit in text.replace("-", "")[:-1]:
        total = (total + int(digit)) * 2
    return text[-1] == "0123456789X"[(12 - total % 11) % 11]


def checked_licence(text: str) -> str:
    """The SPDX identifier that ``text`` means, in its proper spelling.

    Raises
    ------
    UserError
        There is no such licence.
    """
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        found = str(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        found = ""
    if not found or " " in found or found.startswith("LicenseRef-"):
        raise UserError(
            f"--license {text}: expected one SPDX identifier, as in CC-BY-4.0, CC0-1.0 or MIT; "
            "https://spdx.org/licenses lists them"
        )
    return found
