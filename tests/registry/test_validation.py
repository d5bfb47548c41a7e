"""Settings are checked against the dataclass that declares them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from ptychosuite.registry.validation import SettingError, validate


@dataclass(frozen=True)
class Limited:
    limit: float = math.inf


def test_an_infinite_default_is_refused_in_words():
    """No study could say it, and no id has it; a finite value is given all the same."""
    with pytest.raises(
        SettingError, match="its default in Limited is inf; expected a finite number, or None"
    ):
        validate(Limited, {}, ("solver",))
    assert validate(Limited, {"limit": 3.0}, ("solver",)) == Limited(3.0)
