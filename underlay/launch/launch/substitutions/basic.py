# SPDX-License-Identifier: Apache-2.0
"""Substitutions that look a value up."""

from __future__ import annotations

import os
import re
import socket
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..substitution import Substitution
from ..utilities import (
    describe_substitutions,
    normalize_to_list_of_substitutions,
    perform_substitutions,
)

if TYPE_CHECKING:
    from ..launch_context import LaunchContext


class SubstitutionFailure(RuntimeError):
    """A substitution has no value in this context."""


class TextSubstitution(Substitution):
    """Plain text."""

    def __init__(self, *, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"TextSubstitution expected text, got {text!r} of type {type(text).__name__}")
        self.text = text

    def describe(self) -> str:
        """Return the text in quotes."""
        return f"'{self.text}'"

    def perform(self, context: LaunchContext) -> str:
        """Return the text."""
        return self.text


class LaunchConfiguration(Substitution):
    """The value of a launch configuration, e.g. of a declared launch argument."""

    def __init__(self, variable_name: Any, *, default: Any = None) -> None:
        self.variable_name = normalize_to_list_of_substitutions(variable_name)
        self.__default: list[Substitution] | None = None
        if default is not None:
            items = (
                [default] if isinstance(default, (str, Substitution)) or not isinstance(default, Iterable) else default
            )
            self.__default = normalize_to_list_of_substitutions(
                [item if isinstance(item, (str, Substitution)) else str(item) for item in items]
            )

    def describe(self) -> str:
        """Return the configuration's name."""
        return f"LaunchConfig({describe_substitutions(self.variable_name)})"

    def perform(self, context: LaunchContext) -> str:
        """Return the configuration's value, or the default.

        Raises:
            SubstitutionFailure: it is not set and there is no default.
        """
        name = perform_substitutions(context, self.variable_name)
        if name in context.launch_configurations:
            return context.launch_configurations[name]
        if self.__default is None:
            raise SubstitutionFailure(f"launch configuration '{name}' does not exist")
        return perform_substitutions(context, self.__default)


class EnvironmentVariable(Substitution):
    """The value of an environment variable."""

    def __init__(self, name: Any, *, default_value: Any = None) -> None:
        self.name = normalize_to_list_of_substitutions(name)
        self.default_value = None if default_value is None else normalize_to_list_of_substitutions(default_value)

    def describe(self) -> str:
        """Return the variable's name."""
        return f"EnvVar({describe_substitutions(self.name)})"

    def perform(self, context: LaunchContext) -> str:
        """Return the variable's value, or the default.

        Raises:
            SubstitutionFailure: it is not set and there is no default.
        """
        name = perform_substitutions(context, self.name)
        if name in context.environment:
            return context.environment[name]
        if self.default_value is None:
            raise SubstitutionFailure(f"environment variable '{name}' does not exist")
        return perform_substitutions(context, self.default_value)


class PathJoinSubstitution(Substitution):
    """Path components, joined."""

    def __init__(self, substitutions: Iterable[Any]) -> None:
        self.substitutions = normalize_to_list_of_substitutions(substitutions)

    def describe(self) -> str:
        """Return the components."""
        return f"PathJoin({describe_substitutions(self.substitutions)})"

    def perform(self, context: LaunchContext) -> str:
        """Return the joined path."""
        return os.path.join(*[sub.perform(context) for sub in self.substitutions])


class LocalSubstitution(Substitution):
    """A value of the context's locals: a name, attributes and quoted keys, e.g. ``event.pid`` or ``args['x']``."""

    def __init__(self, expression: str, description: str | None = None) -> None:
        if not isinstance(expression, str) or not re.fullmatch(
            r"[A-Za-z_]\w*(\.[A-Za-z_]\w*|\['[^']*'\])*", expression
        ):
            raise ValueError(
                f"LocalSubstitution of the stand-in takes a name with attributes and quoted keys, got {expression!r}"
            )
        self.expression = expression
        self.description = description

    def describe(self) -> str:
        """Return the description, or the expression."""
        return f"LocalVar('{self.description or self.expression}')"

    def perform(self, context: LaunchContext) -> str:
        """Return the value."""
        value: Any = context.locals
        for step in re.finditer(r"\['(?P<key>[^']*)'\]|(?P<attribute>\w+)", self.expression):
            key, attribute = step["key"], step["attribute"]
            value = value[key] if attribute is None else getattr(value, attribute)
        return value


class AnonName(Substitution):
    """A name made unique by host, process and chance; the same one for the same base name."""

    def __init__(self, name: Any) -> None:
        self.name = normalize_to_list_of_substitutions(name)

    def describe(self) -> str:
        """Return the base name."""
        return f"AnonName({describe_substitutions(self.name)})"

    def perform(self, context: LaunchContext) -> str:
        """Return the unique name, with only letters, digits and underscores added."""
        name = perform_substitutions(context, self.name)
        key = "anon" + name
        if key not in context.launch_configurations:
            unique = f"{name}_{socket.gethostname()}_{os.getpid()}_{uuid.uuid4().int}"
            context.launch_configurations[key] = re.sub(r"[.:-]", "_", unique)
        return context.launch_configurations[key]


class LaunchLogDir(Substitution):
    """The folder of this launch's log files."""

    def describe(self) -> str:
        """Return the name."""
        return "LaunchLogDir()"

    def perform(self, context: LaunchContext) -> str:
        """Return the folder."""
        from ..logging import launch_config

        return launch_config.log_dir


class ThisLaunchFile(Substitution):
    """The path of the launch file being visited."""

    _key = "current_launch_file_path"

    def describe(self) -> str:
        """Return the name."""
        return f"{type(self).__name__}()"

    def perform(self, context: LaunchContext) -> str:
        """Return the path.

        Raises:
            SubstitutionFailure: used outside of a launch file.
        """
        known = context.get_locals_as_dict()
        if self._key not in known:
            raise SubstitutionFailure(f"{type(self).__name__} used outside of a launch file (in a script)")
        return known[self._key]


class ThisLaunchFileDir(ThisLaunchFile):
    """The folder of the launch file being visited."""

    _key = "current_launch_file_directory"
