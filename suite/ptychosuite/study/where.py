"""Conditions on runs, as in ``noise < 0.2 and solver == magpie``.

They are read by Python's own parser and never evaluated by it: comparisons, ``in``, ``and``, ``or``, ``not``,
names of settings, numbers and words are understood, anything else is refused. A setting goes by the name that
tables show, or by its dotted path. A word needs no quotes unless it has spaces.
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ptychosuite.core.plan import Plan
from ptychosuite.errors import StudyError, nearest
from ptychosuite.registry.factors import (
    NOTHING,
    SAME_NUMBER,
    SWITCHES,
    factor_names,
    factor_value,
    is_hash,
    is_value,
    value_in_words,
)

LONGEST = 2000  # characters
QUOTED = 200  # of them in a message
SHOWN_VALUES = 8
EXAMPLE = "expected comparisons of settings, as in 'noise < 0.2 and solver in (rpie, magpie)'"

Condition = Callable[[Mapping[str, Any]], bool]
"""Tells of a run's settings, by their dotted paths, whether it is meant."""

ORDERS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
MIRRORED: Mapping[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.Gt,
    ast.Gt: ast.Lt,
    ast.LtE: ast.GtE,
    ast.GtE: ast.LtE,
    ast.Eq: ast.Eq,
    ast.NotEq: ast.NotEq,
}


class NoCondition(Exception):
    """What an expression says that no condition is."""


def where(text: str, plan: Plan) -> list[bool]:
    """Of each run of ``plan``, whether it meets the condition ``text``.

    Raises
    ------
    StudyError
        It is no condition, names what no run has, or no run meets it.
    """
    leaves = [run.leaves() for run in plan.runs]
    reader = _Reader(text, settings_by_name(plan, leaves), leaves)
    try:
        condition = reader.condition(_parsed(text))
        met = [condition(run) for run in leaves]
    except RecursionError as error:
        raise StudyError(f"--where: the condition is nested too deeply; {EXAMPLE}") from error
    except NoCondition as error:
        raise StudyError(f"--where '{_shortened(text)}': {error}") from error
    if not any(met):
        values = "; ".join(f"{name} is {reader.values(path)}" for name, path in reader.asked.items())
        raise StudyError(f"--where '{_shortened(text)}' matches no run of the study; {values}")
    return met


def settings_by_name(plan: Plan, leaves: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Name -> dotted path: as in tables, as in tables that had all settings, and the paths themselves."""
    paths = dict.fromkeys(path for run in leaves for path in run if not is_hash(path))
    dotted = {path: path for path in [*paths, "fast_forward"]}
    others = {name: path for path, name in factor_names(dotted).items()}
    factors = {name: path for path, name in factor_names(plan.factors).items()}
    return dotted | others | {"iterations": "stop.iterations"} | factors


def _parsed(text: str) -> ast.expr:
    if len(text) > LONGEST:
        raise NoCondition(f"{len(text)} characters; at most {LONGEST} are read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about what Python programs should not have
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError) as error:
        raise NoCondition(EXAMPLE) from error


@dataclass(frozen=True)
class _Setting:
    """A name that runs know."""

    name: str
    path: str


class _Reader:
    """Makes conditions of expressions; keeps what they ask about in ``asked``."""

    def __init__(self, text: str, paths: Mapping[str, str], leaves: Sequence[Mapping[str, Any]]) -> None:
        self.text, self.paths, self.leaves = text.strip(), paths, leaves
        self.asked: dict[str, str] = {}

    def condition(self, node: ast.expr) -> Condition:
        if isinstance(node, ast.BoolOp):
            parts = [self.condition(value) for value in node.values]
            every = all if isinstance(node.op, ast.And) else any
            return lambda run: every(part(run) for part in parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            inner = self.condition(node.operand)
            return lambda run: not inner(run)
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            pairs = zip(sides[:-1], node.ops, sides[1:], strict=True)
            parts = [self._comparison(left, type(op), right) for left, op, right in pairs]
            return lambda run: all(part(run) for part in parts)
        raise NoCondition(f"found '{self._words(node)}'; {EXAMPLE}")

    def _comparison(self, left: ast.expr, op: type[ast.cmpop], right: ast.expr) -> Condition:
        setting = self._setting(left)
        if setting is None:
            setting = self._setting(right)
            if setting is None:
                name = self._words(right if isinstance(left, ast.Constant) else left)
                raise NoCondition(f"no run has '{name}'; {nearest(name, self.paths)}")
            if op not in MIRRORED:
                raise NoCondition(f"found '{self._words(left)}' before 'in'; expected a setting")
            op, right = MIRRORED[op], left
        self.asked[setting.name] = setting.path
        other = self._setting(right)
        if op in (ast.In, ast.NotIn):
            wanted = self._several(right)
        elif op in MIRRORED and other is None:
            wanted = [self._value(right)]
        else:
            raise NoCondition(f"found '{self._words(right)}' beside '{setting.name}'; expected a value")
        if op in ORDERS:
            return self._ordered(setting, ORDERS[op], wanted[0], strict=op in (ast.Lt, ast.Gt))
        return self._equal(setting, wanted, negated=op in (ast.NotEq, ast.NotIn))

    def _ordered(
        self, setting: _Setting, order: Callable[[Any, Any], bool], bound: Any, strict: bool
    ) -> Condition:
        found = [factor_value(run, setting.path) for run in self.leaves]
        if not _is_number(bound) or any(value not in (None, "") and not _is_number(value) for value in found):
            raise NoCondition(f"'{setting.name}' cannot be ordered by {bound!r}; numbers can")

        def holds(run: Mapping[str, Any]) -> bool:
            value = factor_value(run, setting.path)
            if not _is_number(value):
                return False
            return not strict if math.isclose(value, bound, rel_tol=SAME_NUMBER) else order(value, bound)

        return holds

    def _equal(self, setting: _Setting, wanted: Sequence[Any], negated: bool) -> Condition:
        for value in wanted:
            if isinstance(value, str):
                self._check_word(setting, value)

        def holds(run: Mapping[str, Any]) -> bool:
            found = factor_value(run, setting.path)
            return any(is_value(found, value) for value in wanted) is not negated

        return holds

    def _check_word(self, setting: _Setting, word: str) -> None:
        """Refuse a word that no run has there: it would match nothing, or everything, unseen."""
        found = [factor_value(run, setting.path) for run in self.leaves]
        if any(is_value(value, word) for value in found) or word in (*NOTHING, *SWITCHES):
            return
        values = {_shown(value) for value in found}
        raise NoCondition(f"no run has the {setting.name} '{word}'; {nearest(word, values)}")

    def values(self, path: str) -> str:
        """What the runs have at ``path``, in words."""
        found = dict.fromkeys(_shown(factor_value(run, path)) for run in self.leaves)
        more = ", ..." if len(found) > SHOWN_VALUES else ""
        return ", ".join(list(found)[:SHOWN_VALUES]) + more

    def _setting(self, node: ast.expr) -> _Setting | None:
        if not isinstance(node, ast.Name | ast.Attribute):
            return None
        name = self._words(node)
        return _Setting(name, self.paths[name]) if name in self.paths else None

    def _several(self, node: ast.expr) -> list[Any]:
        if not isinstance(node, ast.Tuple | ast.List | ast.Set):
            raise NoCondition(f"found '{self._words(node)}' behind 'in'; expected values in parentheses")
        return [self._value(item) for item in node.elts]

    def _value(self, node: ast.expr) -> Any:
        """A number, a word, or words as they stand: rpie, dead-leaves."""
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            value = self._value(node.operand)
            if _is_number(value):
                return -value
        if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float | None):
            return node.value
        parts = [part for part in ast.walk(node) if isinstance(part, ast.expr)]
        if all(_of_word(part) for part in parts):
            return self._words(node)
        raise NoCondition(f"found '{self._words(node)}'; expected a number or a word")

    def _words(self, node: ast.expr) -> str:
        return ast.get_source_segment(self.text, node) or self.text


def _of_word(node: ast.expr) -> bool:
    hyphened = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub)
    return hyphened or isinstance(node, ast.Name | ast.Attribute | ast.Constant)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    if value in (None, ""):
        return "none"
    return value_in_words(value)


def _shortened(text: str) -> str:
    return text if len(text) <= QUOTED else text[: QUOTED - 3] + "..."
