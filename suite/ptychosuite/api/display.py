"""What the API shows: tables, trees, sizes, and reasons of failures, as text and HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from ptychosuite.core.counting import count
from ptychosuite.core.reason import reason_of
from ptychosuite.errors import printable


class Displayed:
    """What shows itself: its text on a terminal, and as HTML in a notebook."""

    def _repr_html_(self) -> str:
        """For notebooks; by default the text as it is."""
        return f"<pre>{escape(str(self))}</pre>"


def text_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns of text, each row one line; what would steer the terminal is written out."""
    header, *rows = [[printable(str(value), kept="") for value in row] for row in (header, *rows)]
    widths = [max(len(str(value)) for value in column) for column in zip(header, *rows, strict=True)]
    return "\n".join(
        "  ".join(str(value).ljust(width) for value, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    )


def html_table(header: Sequence[str], rows: Sequence[Sequence[Any]], below: str = "") -> str:
    """A table, with text below it, whose lines stay lines."""

    def line(tag: str, values: Sequence[Any]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(str(value))}</{tag}>" for value in values) + "</tr>"

    body = "".join(line("td", row) for row in rows)
    table = f"<table><thead>{line('th', header)}</thead><tbody>{body}</tbody></table>" if rows else ""
    return table + (f'<p style="white-space: pre-line">{escape(below)}</p>' if below else "")


def tree_text(content: Mapping[str, Any]) -> str:
    """Keys and values, a line each; what is nested is indented, what would steer the terminal written out."""
    return printable("\n".join(_branches(content, "")))


def _branches(content: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}:"
            yield from _branches(value, indent + "  ")
        elif isinstance(value, str) and "\n" in value:
            yield f"{indent}{key}:"
            yield from (f"{indent}  {line}" for line in value.rstrip().splitlines())
        else:
            yield f"{indent}{key}: {'' if value is None else value}"


def cell(value: Any) -> str:
    """A value as in a table of results."""
    if isinstance(value, float):
        return "" if value != value else f"{value:.5g}"
    return str(value)


def count_runs(number: int) -> str:
    return count(number, "run")


def counts_text(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


MOST_LINES = 20  # of a reason, beside other lines
LONGEST_LINE = 500


def reason_text(message: str, whole: str) -> str:
    """Why a run failed, for a terminal: all lines of its exception.

    Of a very long one the beginning, and ``whole``, the command that shows the rest.
    """
    lines = printable(reason_of(message)).splitlines()
    shown = [line[:LONGEST_LINE] for line in lines[:MOST_LINES]]
    left_out = shown != lines
    return "\n  ".join([*shown, f"... all of it with: {whole}"] if left_out else shown)


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def size_text(n_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"
