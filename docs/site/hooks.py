"""What mkdocs does beside the pages: reference pages from the code, and links that leave the docs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path, PurePosixPath
from posixpath import normpath
from urllib.parse import quote

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from notebooks import notebook_pages
from reference_pages import reference_pages

REPOSITORY = Path(__file__).parents[2]
FROM_OUTSIDE = {  # pages of the site -> files of the repository that they are
    "reference/results-folder.md": "results/README.md",
    "reference/changelog.md": "CHANGELOG.md",
    "reference/contributing.md": "CONTRIBUTING.md",
}
ASSETS = ("site.css", "iframe-worker.js")
PICTURES = {".png", ".svg"}
LINK = re.compile(r"(?P<is_picture>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")
ROLE = re.compile(r":\w+:(<code>)~?")  # of docstrings


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The repository's address is that of the project, where it says one."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    config.repo_url = project.get("urls", {}).get("Repository", config.repo_url)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is generated, and what lies outside the docs."""
    pages = reference_pages() | notebook_pages()
    pages |= {page: (REPOSITORY / file).read_text(encoding="utf-8") for page, file in FROM_OUTSIDE.items()}
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    for asset in ASSETS:
        files.append(File.generated(config, asset, abs_src_path=str(Path(__file__).parent / asset)))
    for picture in sorted(_pictures(files)):
        files.append(File.generated(config, picture, abs_src_path=str(REPOSITORY / picture)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links and pictures of a page lead where they lead in the repository, or to the page made of it."""
    return LINK.sub(lambda link: _led(link, page.file.src_uri, config.repo_url, files), markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Names in docstrings are code, without the mark of what they are."""
    return ROLE.sub(r"\1", html)


def _led(link: re.Match[str], page: str, repository: str | None, files: Files) -> str:
    """``link`` of ``page`` as it is on the site.

    A file that the site lacks is a link into the repository, and where its address is not known plain text.
    """
    target = _in_repository(page, link["target"])
    if not (REPOSITORY / target).exists():
        return link[0]  # strict mkdocs complains, where it is a link
    on_site = _on_site(target)
    if files.get_file_from_path(on_site) is not None:
        up = "../" * page.count("/")
        return f"{link['is_picture']}[{link['text']}]({up}{on_site}{link['anchor'] or ''})"
    if repository is None:
        return link["text"]
    kind = "tree" if (REPOSITORY / target).is_dir() else "blob"
    address = f"{repository.rstrip('/')}/{kind}/main/{quote(target)}{link['anchor'] or ''}"
    return f"[{link['text']}]({address})"


def _in_repository(page: str, target: str) -> str:
    """The path in the repository to which ``target`` leads from ``page`` of the site."""
    source = FROM_OUTSIDE.get(page, f"docs/{page}")
    return normpath(str(PurePosixPath(source).parent / target))


def _on_site(target: str) -> str:
    """The path on the site of a file of the repository, if it is there."""
    moved = {file: page for page, file in FROM_OUTSIDE.items()}
    return moved.get(target, target.removeprefix("docs/").replace(".ipynb", ".md"))


def _pictures(files: Files) -> set[str]:
    """Pictures outside the docs that pages show, by their paths in the repository."""
    shown = set()
    for file in files.documentation_pages():
        for link in LINK.finditer(file.content_string):
            target = _in_repository(file.src_uri, link["target"])
            if PurePosixPath(target).suffix in PICTURES and not target.startswith("docs/"):
                shown.add(target)
    return shown
