"""Every field of a study says what it means, in editors and on the reference pages."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ptychosuite.study.json_schema import study_schema
from ptychosuite.study.meanings import meanings, summary


def untold(schema: Any, path: str = "") -> Iterator[str]:
    """Fields below ``schema`` without a description; the keys that only name a kind need none."""
    if isinstance(schema, list):
        for place, each in enumerate(schema):
            yield from untold(each, f"{path}[{place}]")
    if not isinstance(schema, dict):
        return
    for name, field in schema.get("properties", {}).items():
        if "const" not in field and not field.get("description"):
            yield f"{path}.{name}"
    for key, value in schema.items():
        if key not in (
            "patternProperties",
            "enum",
            "default",
        ):  # what stands for dotted paths and their values
            yield from untold(value, f"{path}/{key}")


def test_every_field_says_what_it_means():
    schema = study_schema()
    judged = schema["properties"]["check"]["properties"]["tolerance"]
    judged["properties"] = {}  # each is a metric
    schema["properties"]["tune"]["properties"]["over"]["oneOf"] = []  # dotted paths
    assert list(untold(schema)) == []


def test_no_marks_of_another_language_are_left():
    """What editors show is plain text with code between backticks."""
    text = repr(study_schema())
    assert "``" not in text
    assert ":class:" not in text
    assert ":attr:" not in text


@dataclass
class Base:
    """Of all.

    Parameters
    ----------
    first, second
        Two that are ``alike``,
        as :class:`~package.Other` says.
    third
        Of the base.

    Raises
    ------
    ValueError
        Never.
    """

    first: int
    second: int
    third: int


@dataclass
class Derived(Base):
    """Of some.

    More of it.

    Parameters
    ----------
    third
        In two paragraphs.

        This is the second.
    """


def test_meanings_are_those_of_the_docstrings():
    alike = "Two that are `alike`, as `package.Other` says."
    assert meanings(Base) == {"first": alike, "second": alike, "third": "Of the base."}
    assert meanings(Derived) == {
        "first": alike,
        "second": alike,
        "third": "In two paragraphs. This is the second.",
    }
    assert summary(Derived) == "Of some.\n\nMore of it."
