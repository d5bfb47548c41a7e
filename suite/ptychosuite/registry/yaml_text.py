"""Read YAML as plain data that knows where each part of it stands, for error messages with line numbers.

What a text may ask of the machine is bounded: its size, its depth, and the values that its aliases stand for.
"""

from __future__ import annotations

import difflib
import io
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.composer import Composer, ComposerError, MaxDepthExceededError
from ruamel.yaml.constructor import ConstructorError, RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import CollectionNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scalarstring import ScalarString

from ptychosuite.errors import UserError

SWITCHES = {"on": True, "yes": True, "off": False, "no": False}
MOST_BYTES = 2**20  # of a file; the longest that we know has 27 kB
DEEPEST = 40  # mappings and lists inside each other
MOST_VALUES = 100_000  # that aliases stand for
LONGEST = 200  # characters of what the parser says
MOST_BITS = 256  # of a whole number


def read_text(path: Path, what: str, wrong: type[UserError]) -> str:
    """The text of a file; ``wrong`` is the error to raise, and ``what`` what it calls the file."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        siblings = [str(p) for p in path.parent.glob("*.y*ml")] if path.parent.is_dir() else []
        close = difflib.get_close_matches(str(path), siblings, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise wrong(f"cannot read the {what} {path}: {error.strerror}{hint}") from error
    if len(content) > MOST_BYTES:
        raise wrong(f"{path} has more than {MOST_BYTES} bytes; a {what} is a short text")
    try:
        return io.StringIO(content.decode("utf-8"), newline=None).getvalue()
    except UnicodeDecodeError as error:
        line, column = _line_and_column(content[: error.start].decode("utf-8"))
        raise wrong(f"{path}:{line}:{column}: not a text file in UTF-8 ({error.reason})") from error


def parse(text: str, path: Path, wrong: type[UserError]) -> Any:
    """The tree of a YAML text, with line numbers; tags that would build objects are not followed."""
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.max_depth = DEEPEST
    yaml.Composer = BoundedComposer
    yaml.Constructor = LocatedConstructor
    place = str(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other dialects of YAML
            return yaml.load(text)
    except MaxDepthExceededError as error:
        place, problem = _place(path, error.problem_mark), f"more than {DEEPEST} values inside each other"
        raise wrong(f"{place}: not valid YAML: {problem}") from error
    except MarkedYAMLError as error:
        place = _place(path, error.problem_mark or error.context_mark)
        problem = _cut((error.problem or error.context or "not YAML").splitlines()[0])
        raise wrong(f"{place}: not valid YAML: {problem}") from error
    except ReaderError as error:
        line, column = _line_and_column(text[: error.position])
        raise wrong(f"{path}:{line}:{column}: not valid YAML: {error.reason}") from error
    except Exception as error:  # the parser's own, at comments and directives in odd places
        place = _place(path, yaml.reader.get_mark())
        raise wrong(f"{place}: not valid YAML: {_cut(f'{type(error).__name__} {error}')}") from error


class BoundedComposer(Composer):
    """Refuses aliases of what they stand in, and those that would make a short text huge or deep."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False
        self._extents: dict[int, tuple[int, int]] = {}
        self._n_values = 0

    def return_alias(self, node: Any) -> Any:
        """``node``, which an alias stands for."""
        if node.end_mark is None:
            raise ComposerError(None, None, f"&{node.anchor} contains itself", node.start_mark)
        number, depth = self._extent(node)
        self._n_values += number
        if self._n_values > MOST_VALUES:
            problem = f"aliases stand for more than {MOST_VALUES} values, the last for &{node.anchor}"
            raise ComposerError(None, None, problem, node.start_mark)
        if self.depth + depth > DEEPEST:
            raise MaxDepthExceededError(None, None, "too deep", node.start_mark)
        return node

    def _extent(self, node: Any) -> tuple[int, int]:
        """Number of the values of a whole node, and how deep they go."""
        if id(node) not in self._extents:
            parts = node.value if isinstance(node, CollectionNode) else []
            inner = [part for item in parts for part in (item if isinstance(item, tuple) else (item,))]
            numbers, depths = zip(*map(self._extent, inner), strict=True) if inner else ((), ())
            self._extents[id(node)] = (1 + sum(numbers), 1 + max(depths, default=0))
        return self._extents[id(node)]


class LocatedConstructor(RoundTripConstructor):
    """Says where a value stands that is none of what its tag says."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """The value of ``node``."""
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, int) and value.bit_length() > MOST_BITS:
                raise OverflowError(f"a whole number of more than {MOST_BITS} bits")
        except MarkedYAMLError:
            raise
        except Exception as error:
            tag = str(node.tag).replace("tag:yaml.org,2002:", "!!")
            problem = f"no value of the type {tag}: {error}"
            raise ConstructorError(None, None, problem, node.start_mark) from error
        return value


def _cut(problem: str) -> str:
    return problem if len(problem) <= LONGEST else problem[: LONGEST - 3] + "..."


def _place(path: Path, mark: Any) -> str:
    return f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else f"{path}:1:1"


def _line_and_column(before: str) -> tuple[int, int]:
    """Of what follows ``before``, from 1."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _key(key: Any) -> Any:
    """A key of a mapping: "on" is one like any other."""
    return str(key) if isinstance(key, str) else plain(key)


def plain(node: Any) -> Any:
    """The tree as plain Python data; bare on/off/yes/no become booleans, quoted ones stay text."""
    if isinstance(node, CommentedMap):
        return {_key(key): plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [plain(item) for item in node]
    if isinstance(node, ScalarString):
        return str(node)
    if isinstance(node, str):
        return SWITCHES.get(node.lower(), node)
    if isinstance(node, bool) or node is None:
        return node
    if isinstance(node, float):
        return rounded(float(node))
    if isinstance(node, int):
        return int(node)
    return str(node)  # dates and the like: no setting wants one


def rounded(value: float) -> float:
    """``value`` to 15 significant digits, which every decimal number of so many has: 0.1 + 0.2 is 0.3."""
    short = float(f"{value:.15g}")
    return short if math.isfinite(short) else value


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
            if key not in tree.lc.data:  # merged from elsewhere
                break
            line, column = tree.lc.key(key)
            tree = tree[key]
        elif isinstance(tree, CommentedSeq) and isinstance(key, int) and key < len(tree):
            line, column = tree.lc.item(key)
            tree = tree[key]
        else:
            break
    return line + 1, column + 1
