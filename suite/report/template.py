"""The pages' templates, which share one style sheet."""

from __future__ import annotations

from typing import Any

import jinja2


def render(name: str, /, **content: Any) -> str:
    """The page of template ``name``, below ``suite/report/templates``."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("suite.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name).render(**content)
