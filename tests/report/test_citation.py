"""Authors and licences."""

from __future__ import annotations

import pytest
from ptychosuite.errors import UserError
from ptychosuite.reporting.crate_metadata import Author, author_of, checked_licence


@pytest.mark.parametrize(
    ("text", "author"),
    [
        ("Josiah Carberry", Author("Josiah Carberry")),
        (" Josiah Carberry <0000-0002-1825-0097> ", Author("Josiah Carberry", "0000-0002-1825-0097")),
        ("A <https://orcid.org/0000-0002-1694-233X>", Author("A", "0000-0002-1694-233X")),
    ],
)
def test_authors(text, author):
    assert author_of(text) == author


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a name"),
        ("<0000-0002-1825-0097>", "expected a name"),
        ("A <0000-0002-1825-0098>", "no ORCID"),
        ("A <a@b.org>", "no ORCID"),
        ("A <>", "no ORCID"),
    ],
)
def test_no_authors(text, message):
    """A wrong check digit is noticed, and so is an address."""
    with pytest.raises(UserError, match=message):
        author_of(text)


def test_licences():
    """Any spelling of one SPDX identifier, and nothing else."""
    pytest.importorskip("packaging.licenses", reason="licences are checked by packaging >= 24.2")
    assert checked_licence("cc-by-4.0") == "CC-BY-4.0"
    for wrong in ("CC-BY", "MIT OR CC0-1.0", "LicenseRef-mine", ""):
        with pytest.raises(UserError, match="SPDX"):
            checked_licence(wrong)
