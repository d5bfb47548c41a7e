"""Links of the docs lead to the same place in the repository and on the site."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.conftest import REPOSITORY

pytest.importorskip("mkdocs", reason="the extra 'docs' is not installed: `make site`")
HOME = "https://example.org/ptychosuite"


class OnSite:
    """The files of a site that has these paths."""

    def get_file_from_path(self, path: str) -> str | None:
        known = ("data.md", "reference/changelog.md", "reports/reference/quickstart.png")
        return path if path in known else None


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> Any:
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(REPOSITORY / "docs" / "site"))
    import hooks  # of mkdocs.yml

    yield hooks
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(REPOSITORY / "docs")):
            del sys.modules[name]


def led(hooks: Any, page: str, text: str, repository: str | None = HOME) -> str:
    found: str = hooks.LINK.sub(lambda link: hooks._led(link, page, repository, OnSite()), text)
    return found


@pytest.mark.parametrize(
    ("page", "link", "on_site"),
    [
        ("tutorial.md", "[data](data.md#frames)", "[data](data.md#frames)"),
        ("tutorial.md", "[log](../CHANGELOG.md)", "[log](reference/changelog.md)"),
        ("reference/changelog.md", "[data](docs/data.md)", "[data](../data.md)"),
        ("reference/results-folder.md", "[log](../CHANGELOG.md)", "[log](../reference/changelog.md)"),
        ("index.md", "![it](../reports/reference/quickstart.png)", "![it](reports/reference/quickstart.png)"),
        (
            "tutorial.md",
            "[one](../studies/quickstart.yaml)",
            f"[one]({HOME}/blob/main/studies/quickstart.yaml)",
        ),
        ("tutorial.md", "[all](../studies)", f"[all]({HOME}/tree/main/studies)"),
        ("plug-ins.md", "[copy](plugin-template)", f"[copy]({HOME}/tree/main/docs/plugin-template)"),
        ("tutorial.md", "[else](https://example.com/x)", "[else](https://example.com/x)"),
        ("tutorial.md", "[here](#look)", "[here](#look)"),
        ("tutorial.md", "[wrong](no-such-page.md)", "[wrong](no-such-page.md)"),  # strict mkdocs refuses it
    ],
)
def test_links(hooks, page, link, on_site):
    assert led(hooks, page, link) == on_site


def test_without_an_address_a_file_of_the_repository_is_text(hooks):
    assert led(hooks, "tutorial.md", "See [one](../studies/quickstart.yaml).", None) == "See one."
