# SPDX-License-Identifier: Apache-2.0
"""Descriptions of ROS parameters: a typed value, a named one, a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from launch._refusal import refuse_attribute
from launch.launch_context import LaunchContext
from launch.substitution import Substitution
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions
from launch.utilities.type_utils import SCALARS, perform_typed_substitution, split_type


class ParameterValue:
    """A value of a given type, for substitutions that YAML's rules would read otherwise.

    Args:
        value: a plain value, a substitution, or a list of either.
        value_type: int, float, bool, str, a List of one of them, or None for YAML's rules.
    """

    def __init__(self, value: Any, *, value_type: Any = None) -> None:
        if value_type is not None:
            scalar, is_list = split_type(value_type)
            if isinstance(value, SCALARS) and (is_list or type(value) is not scalar):
                raise TypeError(f"{value!r} is not of type {value_type}")
        self.value = value
        self.value_type = value_type

    def evaluate(self, context: LaunchContext) -> Any:
        """Return the typed value.

        Raises:
            TypeError, ValueError: it cannot be read as the type.
        """
        return perform_typed_substitution(context, self.value, self.value_type)


class Parameter:
    """A parameter with a name and a typed value, passed on the node's command line."""

    def __init__(self, name: Any, value: Any, *, value_type: Any = None) -> None:
        self.name = normalize_to_list_of_substitutions(name)
        self.value = ParameterValue(value, value_type=value_type)

    @property
    def value_type(self) -> Any:
        """The type of the value."""
        return self.value.value_type

    def evaluate(self, context: LaunchContext) -> tuple[str, Any]:
        """Return name and typed value."""
        return perform_substitutions(context, self.name), self.value.evaluate(context)


class ParameterFile:
    """A YAML file of parameters, passed to the node as it is.

    Args:
        param_file: its path.
        allow_substs: whether the file holds substitutions; the stand-in cannot read them and refuses True.
    """

    def __init__(self, param_file: Any, *, allow_substs: bool = False) -> None:
        if allow_substs is not False:
            raise ValueError(
                "ParameterFile(allow_substs=True) is not supported by the launch_ros stand-in: pass the values that "
                "depend on launch arguments as a dictionary beside the file, or install a ROS 2 distribution."
            )
        self.param_file = param_file
        self.allow_substs = allow_substs

    def evaluate(self, context: LaunchContext) -> Path:
        """Return the path."""
        if isinstance(self.param_file, (os.PathLike, bytes)):
            return Path(os.fsdecode(self.param_file))
        if not isinstance(self.param_file, (str, Substitution, list, tuple)):
            raise TypeError(f"a parameter file is a path or substitutions for one, got {self.param_file!r}")
        return Path(perform_substitutions(context, normalize_to_list_of_substitutions(self.param_file)))


__all__ = ["Parameter", "ParameterFile", "ParameterValue"]
__getattr__ = refuse_attribute(__name__, __all__)
