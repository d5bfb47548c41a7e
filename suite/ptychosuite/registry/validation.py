"""Checking settings against the dataclasses that declare them."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    create_model,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from ptychosuite.errors import StudyError, nearest
from ptychosuite.registry.lookup import CLASS_PATH, class_of, names

FOUND = ("run_id", "began_with")  # settings that are found beside those that a study gives

Keys = tuple[str | int, ...]


class SettingError(Exception):
    """A setting that cannot be; ``path`` says which, the study file's line is found from it.

    Where two settings do not go together, ``partner`` is the other one: the error is shown at whichever of
    them an axis or an override has set.
    """

    def __init__(self, path: Sequence[str | int], message: str, partner: Sequence[str | int] = ()) -> None:
        super().__init__(message)
        self.path = tuple(path)
        self.message = message
        self.partner = tuple(partner)


@dataclass(frozen=True)
class Registered:
    """Marks a setting that names something of a registry's group: ``Annotated[str, Registered("formats")]``.

    ``also`` is a word that may stand there instead.
    """

    group: str
    also: str = ""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        known = [self.also] * bool(self.also) + list(names(self.group))
        return handler(schema) | {"anyOf": [{"enum": known}, {"pattern": f"^{CLASS_PATH.pattern}$"}]}

    def _checked(self, name: str) -> str:
        if name == self.also:
            return name
        try:
            class_of(self.group, name)
        except StudyError as error:
            raise PydanticCustomError("registered", "{reason}", {"reason": str(error)}) from error
        return name


def validate(cls: Any, data: Any, path: Keys) -> Any:
    """Make a ``cls`` (a dataclass) of ``data``, refusing unknown keys and wrong values."""
    data = as_mapping(data, path)
    refuse_unknown(data, [f.name for f in dataclasses.fields(cls)], path)
    try:
        checked = settings_model(cls).model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        location = [part for part in first["loc"] if isinstance(part, int) or part in data]
        if first["type"] == "missing":
            raise SettingError(path, f"'{first['loc'][0]}' is missing") from error
        message = first["msg"].replace("Input should be", "expected", 1)
        raise SettingError((*path, *location), f"found {shown(first['input'])}; {message}") from error
    for name, default in _not_finite(cls).items():
        if name not in data:
            message = f"its default in {cls.__name__} is {default}; expected a finite number, or None"
            raise SettingError((*path, name), message)
    return cls(**{name: getattr(checked, name) for name in type(checked).model_fields})


@cache
def _not_finite(cls: Any) -> dict[str, float]:
    """Defaults that no study could say, and no id has."""
    defaults = {f.name: f.default for f in dataclasses.fields(cls)}
    return {name: x for name, x in defaults.items() if isinstance(x, float) and not math.isfinite(x)}


@cache
def settings_model(cls: Any) -> type[BaseModel]:
    """The pydantic model with the fields, constraints and defaults of a settings dataclass."""
    hints = get_type_hints(cls, include_extras=True)
    fields: dict[str, Any] = {}
    for f in dataclasses.fields(cls):
        if f.default_factory is not dataclasses.MISSING:
            default = Field(default_factory=f.default_factory)
        else:
            default = Field(... if f.default is dataclasses.MISSING else f.default)
        fields[f.name] = (hints[f.name], default)
    config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
    return create_model(cls.__name__, __config__=config, **fields)


def as_mapping(value: Any, path: Keys) -> dict[str, Any]:
    """A copy of a mapping; anything else is refused."""
    if not isinstance(value, Mapping):
        raise SettingError(path, f"found {shown(value)}; expected keys and values")
    return dict(value)


def refuse_unknown(data: Mapping[str, Any], valid: Sequence[str], path: Keys) -> None:
    for key in data:
        if key not in valid:
            offered = [name for name in valid if not name.endswith("_sha256") and name not in FOUND]
            raise SettingError((*path, key), f"unknown key '{key}'; {nearest(str(key), offered)}")


def shown(value: Any) -> str:
    """A value as in a message, cut where it is long."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
