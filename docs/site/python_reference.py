"""The public names of the package, whose docstrings mkdocstrings renders."""

from __future__ import annotations

import ptychosuite


def python_page() -> str:
    """Functions first, then what they return."""
    where: dict[str, str] = vars(ptychosuite)["_WHERE"]
    functions = [name for name in where if name[0].islower()]
    classes = [name for name in where if name[0].isupper()]
    return "\n\n".join(
        [
            "# Python",
            "Everything public of `import ptychosuite`. Arrays are NumPy's, datasets xarray's, tables "
            "pandas'. Mistakes are `ptychosuite.errors.UserError` and its subclasses. Examples, one after "
            "the other, are in [From Python](../api.md).",
            "## Functions",
            *(_name(name, where[name]) for name in functions),
            "## What they return",
            *(_name(name, where[name]) for name in classes),
        ]
    )


def _name(name: str, place: str) -> str:
    module, _, attribute = place.partition(":")
    return f"""::: ptychosuite.api.{module}.{attribute}
    options:
      heading: ptychosuite.{name}
      toc_label: {name}
"""
