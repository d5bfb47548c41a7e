"""Read YAML as plain data that knows where each part of it stands, for error messages with line numbers."""

from __future__ import annotations

import difflib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scalarstring import ScalarString

from ptychosuite.errors import UserError

SWITCHES = {"on": True, "yes": True, "off": False, "no": False}


def read_text(path: Path, what: str, wrong: type[UserError]) -> str:
    """The text of a file; ``wrong`` is the error to raise, and ``what`` what it calls the file."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise wrong(f"{path}: not a text file ({error.reason} at byte {error.start})") from error
    except OSError as error:
        siblings = [str(p) for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        close = difflib.get_close_matches(str(path), siblings, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise wrong(f"cannot read the {what} {path}: {error.strerror}{hint}") from error


def parse(text: str, path: Path, wrong: type[UserError]) -> Any:
    """The tree of a YAML text, with line numbers; tags that would build objects are not followed."""
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    try:
        return yaml.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        problem = (error.problem or error.context or "not YAML").splitlines()[0]
        raise wrong(f"{place}: not valid YAML: {problem}") from error
    except ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - before.rfind("\n")
        raise wrong(f"{path}:{line}:{column}: not valid YAML: {error.reason}") from error
    except (YAMLError, ValueError) as error:
        raise wrong(f"{path}: not valid YAML: {error}") from error


def plain(node: Any) -> Any:
    """The tree as plain Python data; bare on/off/yes/no become booleans, quoted ones stay text."""
    if isinstance(node, CommentedMap):
        return {plain(key): plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [plain(item) for item in node]
    if isinstance(node, ScalarString):
        return str(node)
    if isinstance(node, str):
        return SWITCHES.get(node.lower(), node)
    if isinstance(node, bool) or node is None:
        return node
    if isinstance(node, float):
        return float(node)
    if isinstance(node, int):
        return int(node)
    return str(node)  # dates and the like: no setting wants one


def as_text(data: Any) -> str:
    """Plain data as YAML that reads back as the same data."""
    yaml = YAML(typ="rt")
    yaml.width = 110
    text = io.StringIO()
    yaml.dump(data, text)
    return text.getvalue()


def position(tree: Any, keys: Sequence[str | int]) -> tuple[int, int]:
    """Line and column, from 1, of the deepest part of ``keys`` in a round-trip tree."""
    line, column = 0, 0
    for key in keys:
        if isinstance(tree, CommentedMap) and key in tree:
            line, column = tree.lc.key(key)
            tree = tree[key]
        elif isinstance(tree, CommentedSeq) and isinstance(key, int) and key < len(tree):
            line, column = tree.lc.item(key)
            tree = tree[key]
        else:
            break
    return line + 1, column + 1
