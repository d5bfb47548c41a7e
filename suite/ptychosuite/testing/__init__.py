"""Checks for those who write nouns of their own: solvers, operators, metrics, formats.

Each ``check_...`` raises AssertionError, saying what does not hold; the suite's own tests call them too.
:func:`small_problem` is a problem of a few patterns to try things on. docs/plug-ins.md has examples.
"""

from ptychosuite.testing.common import dot_test, small_problem
from ptychosuite.testing.formats import check_format
from ptychosuite.testing.metrics import check_metric
from ptychosuite.testing.solvers import check_operator, check_solver

__all__ = ["check_format", "check_metric", "check_operator", "check_solver", "dot_test", "small_problem"]
