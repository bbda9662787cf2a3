# SPDX-License-Identifier: Apache-2.0
"""ROS parameters from dictionaries: nested names, substitutions, types, YAML."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from launch.launch_context import LaunchContext
from launch.substitution import Substitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions, perform_text
from launch.utilities.type_utils import is_substitution, is_uniform_list

from ..parameter_descriptions import ParameterValue


class _Dumper(yaml.SafeDumper):
    """Quotes every text value, since ROS's own YAML reader takes more unquoted texts for numbers than PyYAML does."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class _Text(str):
    pass


_Dumper.add_representer(_Text, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def evaluate_parameters(context: LaunchContext, parameters: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Return parameters by their full name ('outer.inner' for nested dictionaries), with plain values.

    Values that are substitutions are read by YAML's rules, as upstream does: '5' is an integer. ParameterValue says
    otherwise.

    Raises:
        TypeError: a value is not a bool, int, float, text or a non-empty list of one of them; the name is given.
    """
    result: dict[str, Any] = {}
    for key, value in parameters.items():
        name = prefix + perform_text(context, key)
        if isinstance(value, Mapping):
            result.update(evaluate_parameters(context, value, name + "."))
        else:
            result[name] = _evaluate(context, name, value)
    return result


def _evaluate(context: LaunchContext, name: str, value: Any) -> Any:
    if isinstance(value, ParameterValue):
        return value.evaluate(context)
    if isinstance(value, (bool, int, float, str)):
        return value
    if is_substitution(value):
        return _read(name, perform_substitutions(context, normalize_to_list_of_substitutions(value)))
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return _evaluate_list(context, name, value)
    raise TypeError(f"parameter '{name}' is {value!r} of type {type(value).__name__}, which no ROS parameter can hold")


def _evaluate_list(context: LaunchContext, name: str, values: Sequence[Any]) -> list[Any]:
    items = []
    for item in values:
        if isinstance(item, (bool, int, float, str)):
            items.append(item)
        elif isinstance(item, (Substitution, Sequence)):
            text = perform_substitutions(context, normalize_to_list_of_substitutions(item))
            items.append(yaml.safe_load(text) if text else "")
        else:
            raise TypeError(f"parameter '{name}' holds {item!r} of type {type(item).__name__}")
    if {type(item) for item in items} == {int, float}:
        items = [float(item) for item in items]
    if not is_uniform_list(items):
        raise TypeError(
            f"parameter '{name}' is {items!r}: expected a non-empty list of only bools, ints, floats or texts"
        )
    return items


def _read(name: str, text: str) -> Any:
    hint = (
        "If it is meant to be text, wrap it in launch_ros.parameter_descriptions.ParameterValue(value, value_type=str)"
    )
    try:
        value = yaml.safe_load(text) if text else ""
    except yaml.YAMLError as error:
        raise TypeError(f"cannot read the value of parameter '{name}' as YAML: {error}. {hint}") from error
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list) and is_uniform_list(value):
        return value
    raise TypeError(f"parameter '{name}' reads as {value!r}, which no ROS parameter can hold. {hint}")


def to_parameter_yaml(node: str, parameters: Mapping[str, Any]) -> str:
    """Return the text of a parameter file for one node ('/**' for any)."""
    values = {name: _mark(value) for name, value in parameters.items()}
    return yaml.dump({node: {"ros__parameters": values}}, Dumper=_Dumper, default_flow_style=False, allow_unicode=True)


def to_parameter_rule(name: str, value: Any) -> str:
    """Return a parameter as the command line takes it after ``-p``."""
    text = yaml.dump(_mark(value), Dumper=_Dumper, default_flow_style=True, allow_unicode=True, width=math.inf)
    end_of_document = "\n...\n"
    return f"{name}:={text.removesuffix(end_of_document).rstrip()}"


def _mark(value: Any) -> Any:
    if isinstance(value, str):
        return _Text(value)
    return [_mark(item) for item in value] if isinstance(value, (list, tuple)) else value
