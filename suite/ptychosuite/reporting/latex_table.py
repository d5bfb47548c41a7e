r"""Tables for papers: LaTeX with booktabs, to be taken in with ``\input``."""

from __future__ import annotations

import re

import pandas as pd

from ptychosuite.reporting.page_content import TextTable

NUMBER = r"[-+\u2212]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
QUANTITY = re.compile(rf"({NUMBER})( ?\\%)?(?: \(({NUMBER}) to ({NUMBER})\))?")
"""A cell that is a number: its unit may be per cent, and an interval may follow it."""

SYMBOLS = {
    "−": "$-$", "×": r"$\times$", "±": r"$\pm$", "≤": r"$\leq$", "≥": r"$\geq$", "µ": r"$\mu$", "μ": r"$\mu$",
    "<": "$<$", ">": "$>$", "|": "$|$", "\n": " ",
}  # fmt: skip
"""What not every LaTeX sets as it stands."""


def latex_table(table: TextTable, study: str, command: str) -> str:
    r"""A ``tabular`` environment with the rules of booktabs, behind comments that say where it is from.

    Numbers are in mathematics, the best cells are bold. ``\usepackage{booktabs}`` is all that it needs.

    Parameters
    ----------
    study, command
        What the table is of, and what draws it again.
    """
    columns = [f"{number} {name}" for number, name in enumerate(table.header)]  # none twice
    content = pd.DataFrame([list(row) for row in table.rows], columns=columns, dtype=object)
    bold = pd.DataFrame("", index=content.index, columns=columns)
    for row, column in table.best:
        bold.iloc[row, column] = "textbf:--rwrap; boldmath:--nowrap;"
    styled = (
        content.style.hide(axis="index")
        .format(_cell, escape="latex")
        .format_index(lambda name: _text(name.partition(" ")[2]), axis="columns", escape="latex")
        .apply(lambda _: bold, axis=None)
    )
    alignment = "".join("r" if any(map(_is_quantity, content[name])) else "l" for name in columns)
    text: str = styled.to_latex(hrules=True, column_format=alignment)
    notes = (f"study {study}", command, r"needs \usepackage{booktabs}")
    return "".join(f"% {' '.join(note.split())}\n" for note in notes) + text


def _is_quantity(text: str) -> bool:
    return QUANTITY.fullmatch(text.replace("%", r"\%")) is not None


def _cell(text: str) -> str:
    """A cell whose special characters are escaped already."""
    found = QUANTITY.fullmatch(text)
    if found is None:
        return _text(text)
    value, per_cent, low, high = found.groups()
    interval = f" ({_number(low)} to {_number(high)})" if low else ""
    return _number(value) + (r"\,\%" if per_cent else "") + interval


def _number(text: str) -> str:
    """In mathematics, where a minus is one: "1.2e-05" is 1.2 times ten to the minus five."""
    mantissa, _, exponent = text.replace("−", "-").partition("e")
    return f"${mantissa}" + (rf" \times 10^{{{int(exponent)}}}" if exponent else "") + "$"


def _text(text: str) -> str:
    r"""Text, escaped already, behind a ``\\`` that takes "[" and "*" for its own."""
    return re.sub(r"^\s*([\[*])", r"{\1}", "".join(SYMBOLS.get(letter, letter) for letter in text))
