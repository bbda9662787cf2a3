# SPDX-License-Identifier: Apache-2.0
"""Fields of a message from a dict, as typed in YAML on a command line."""

import array
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import yaml

from ros2cli.api.interfaces import interface_class

StampSetter = Callable[[Any], None]
_PLAIN_TYPES = ("boolean", "octet", "float", "double", "string", "wstring", "char", "int", "uint")


def parse_fields(text: str) -> dict[str, Any]:
    """The YAML mapping of a command line as a dict; an empty text is an empty mapping.

    Raises:
        RuntimeError: the text is not YAML, or not a mapping.
    """
    try:
        values = yaml.safe_load(text) if text.strip() else {}
    except yaml.YAMLError as error:
        raise RuntimeError(f"The passed value is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise RuntimeError("The passed value needs to be a dictionary in YAML format")
    return values


def fill_message(message: Any, values: dict[str, Any], *, expand_stamps: bool = False) -> list[StampSetter]:
    """Set fields of ``message`` from ``values``; fields that are not named keep their defaults.

    With ``expand_stamps`` a std_msgs/Header given as ``auto`` and a builtin_interfaces/Time given as ``now`` are left
    to the returned setters, each of which takes the Time to write.

    Raises:
        RuntimeError: ``values`` names a field that is not there, or has a value that does not fit.
    """
    setters: list[StampSetter] = []
    try:
        _fill(message, values, expand_stamps, setters)
    except (AssertionError, AttributeError, OverflowError, TypeError, ValueError) as error:
        raise RuntimeError(f"Failed to populate field: {error}") from error
    return setters


def _fill(message: Any, values: Any, expand: bool, setters: list[StampSetter]) -> None:
    if not isinstance(values, dict):
        raise TypeError(f"Value '{values}' is expected to be a dictionary but is a {type(values).__name__}")
    if hasattr(message, "_check_fields"):
        message._check_fields = True  # generated messages skip the checks of their setters by default
    types = message.get_fields_and_field_types()
    for name, value in values.items():
        if name not in types:
            known = ", ".join(types)
            raise AttributeError(f"'{type(message).__name__}' has no field '{name}'; its fields are: {known}")
        current = getattr(message, name)
        type_name = types[name]
        if expand and type_name == "std_msgs/Header" and value == "auto":
            setters.append(functools.partial(setattr, current, "stamp"))
        elif expand and type_name == "builtin_interfaces/Time" and value == "now":
            setters.append(functools.partial(setattr, message, name))
        elif hasattr(current, "get_fields_and_field_types"):
            _fill(current, value, expand, setters)
        else:
            try:
                setattr(message, name, _value(current, value, type_name, expand, setters))
            except (AssertionError, OverflowError, TypeError, ValueError) as error:
                raise ValueError(f"field '{name}' ({type_name}) cannot be {value!r}: {error}") from error


def _value(current: Any, value: Any, type_name: str, expand: bool, setters: list[StampSetter]) -> Any:
    if isinstance(current, array.array):
        return array.array(current.typecode, value)
    if isinstance(current, np.ndarray):
        return np.array(value, dtype=current.dtype)
    if isinstance(current, list):
        return _list(value, _item_type(type_name), expand, setters)
    return _scalar(value, type_name)


def _item_type(type_name: str) -> str:
    if type_name.startswith("sequence<"):
        return type_name[len("sequence<") : -1].partition(", ")[0]
    return type_name.partition("[")[0]


def _list(value: Any, item_type: str, expand: bool, setters: list[StampSetter]) -> list[Any]:
    if not isinstance(value, list | tuple | bytes):
        raise TypeError(f"a list is expected, not a {type(value).__name__}")
    if item_type.startswith(_PLAIN_TYPES) and "/" not in item_type:
        return [_scalar(item, item_type) for item in value]
    items = []
    for item in value:
        message = interface_class(item_type, "msg")()
        _fill(message, item, expand, setters)
        items.append(message)
    return items


def _scalar(value: Any, type_name: str) -> Any:
    if type_name == "boolean":
        if not isinstance(value, bool) and value not in (0, 1):
            raise TypeError("true or false is expected")
        return bool(value)
    if type_name == "octet":
        return value if isinstance(value, bytes) else bytes([value])
    if type_name in ("float", "double"):
        return float(value)
    if type_name.startswith(("string", "wstring")):
        return value if isinstance(value, str) else str(value)
    number = int(value)
    if isinstance(value, float) and number != value:
        raise ValueError("a whole number is expected")
    return number
