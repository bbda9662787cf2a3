# SPDX-License-Identifier: Apache-2.0
"""Text to typed values, by the rules of YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args, get_origin

import yaml

from ..substitution import Substitution
from . import normalize_to_list_of_substitutions, perform_substitutions

if TYPE_CHECKING:
    from ..launch_context import LaunchContext

SCALARS = (bool, int, float, str)


def is_substitution(value: Any) -> bool:
    """Return whether the value is a substitution, or a sequence of texts and at least one substitution."""
    if isinstance(value, Substitution):
        return True
    return (
        isinstance(value, (list, tuple))
        and all(isinstance(item, (str, Substitution)) for item in value)
        and any(isinstance(item, Substitution) for item in value)
    )


def split_type(data_type: Any) -> tuple[type, bool]:
    """Return the scalar type and whether a list of it is meant, e.g. ``(int, True)`` for ``List[int]``.

    Raises:
        ValueError: the type is none of int, float, bool, str or a list of one of them.
    """
    is_list = get_origin(data_type) is list
    scalar = get_args(data_type)[0] if is_list else data_type
    if scalar not in SCALARS:
        raise ValueError(f"unrecognized data type {data_type}: expected int, float, bool, str or a List of one of them")
    return scalar, is_list


def is_uniform_list(values: Any) -> bool:
    """Return whether all items are of one scalar type."""
    kinds = {type(value) for value in values}
    return len(kinds) == 1 and kinds.pop() in SCALARS


def coerce_to_type(text: str, data_type: Any = None) -> Any:
    """Return the text as a value of the given type; without a type, as YAML reads it.

    Raises:
        ValueError: the text cannot be read as such a value.
    """
    if data_type is None:
        value = _yaml(text)
        if not isinstance(value, SCALARS) and not (isinstance(value, list) and (not value or is_uniform_list(value))):
            raise ValueError(f"'{text}' is neither a bool, int, float, str nor a uniform list of them")
        return value
    scalar, is_list = split_type(data_type)
    if is_list:
        values = _yaml(text)
        if not isinstance(values, list) or not all(_is_a(item, scalar) for item in values):
            raise ValueError(f"cannot read '{text}' as a list of {scalar.__name__}")
        return values
    if scalar is str:
        return text
    if scalar is bool:
        value = _yaml({"1": "true", "0": "false"}.get(text, text))
        if not isinstance(value, bool):
            raise ValueError(f"cannot read '{text}' as a bool: expected true, false, 1 or 0")
        return value
    return scalar(text)


def perform_typed_substitution(context: LaunchContext, value: Any, data_type: Any = None) -> Any:
    """Return a plain value, a substitution or a list of either as a value of the given type.

    Raises:
        TypeError: a plain value is not of the type.
        ValueError: a performed text cannot be read as the type.
    """
    if is_substitution(value):
        return coerce_to_type(perform_substitutions(context, normalize_to_list_of_substitutions(value)), data_type)
    if isinstance(value, SCALARS):
        if data_type is not None and not _is_a(value, data_type):
            raise TypeError(f"{value!r} is not of type {data_type}")
        return value
    scalar = None
    if data_type is not None:
        scalar, is_list = split_type(data_type)
        if not is_list:
            raise TypeError(f"{value!r} is a list, expected a {scalar.__name__}")
    items = [perform_typed_substitution(context, item, scalar) if is_substitution(item) else item for item in value]
    kinds = {type(item) for item in items}
    if scalar is float or (scalar is None and kinds == {int, float}):
        items = [float(item) if type(item) is int else item for item in items]
    if scalar is None and items and not is_uniform_list(items):
        raise TypeError(f"the items of {items!r} are not of one type")
    if scalar is not None and not all(_is_a(item, scalar) for item in items):
        raise TypeError(f"{items!r} is not a list of {scalar.__name__}")
    return items


def _is_a(value: Any, scalar: Any) -> bool:
    if scalar in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, scalar)


def _yaml(text: str) -> Any:
    if not text:
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"cannot read '{text}' by the rules of YAML: {error}") from error
