# SPDX-License-Identifier: Apache-2.0
"""Typed configuration: frozen, checked when it is made, unknown settings refused.

Subclass ``Config`` and give each field a type, bounds through ``pydantic.Field`` and a description. ``from_yaml`` reads
a file; what is wrong is told in sentences that name the file, the field, the value and what is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError


class ConfigError(ValueError):
    """A configuration was refused; one line a problem."""


class Config(BaseModel):
    """Base of every configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], source: str = "configuration") -> Self:
        """Make it from nested dicts; ``source`` names where they came from in errors.

        Raises:
            ConfigError: a field is missing, unknown, of the wrong type or out of range.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise ConfigError("\n".join(_sentences(error, cls, source))) from None

    @classmethod
    def from_yaml(cls, path: Path | str) -> Self:
        """Read a YAML file.

        Raises:
            ConfigError: the file is missing, no YAML mapping, or holds what the configuration refuses.
        """
        return cls.from_mapping(read_yaml(path), str(path))

    def with_values(self, **values: Any) -> Self:
        """A changed copy, checked anew."""
        return self.from_mapping({**self.model_dump(exclude_unset=True), **values}, type(self).__name__)


def read_yaml(path: Path | str) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ConfigError: the file is missing, broken, or no mapping.
    """
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: no valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: holds {type(values).__name__}, expected a mapping of settings")
    return values


def _sentences(error: ValidationError, cls: type[BaseModel], source: str) -> list[str]:
    lines = []
    for problem in error.errors():
        field = ".".join(str(part) for part in problem["loc"]) or cls.__name__
        if problem["type"] == "extra_forbidden":
            known = _model_at(cls, problem["loc"][:-1])
            told = f"; known are {', '.join(known.model_fields)}" if known is not None else ""
            lines.append(f"{source}: there is no setting {field!r}{told}")
        elif problem["type"] == "missing":
            lines.append(f"{source}: the setting {field!r} is missing")
        else:
            lines.append(f"{source}: {field} is {problem['input']!r}: {problem['msg']}")
    return lines


def _model_at(cls: type[BaseModel], loc: tuple[int | str, ...]) -> type[BaseModel] | None:
    """The configuration that a place in another belongs to; none where it is not told by the types alone."""
    parts = iter(loc)
    for part in parts:
        if isinstance(part, int):
            continue  # an entry of a list: its type was taken with the field
        field = cls.model_fields.get(part)
        found = [] if field is None else _models_in(field.annotation)
        if field is None or len(found) != 1:
            return None
        if get_origin(field.annotation) in (dict, Mapping):
            next(parts, None)
        cls = found[0]
    return cls


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
