# SPDX-License-Identifier: Apache-2.0
"""Actions on environment variables and their scopes."""

from __future__ import annotations

import os
from typing import Any

from ..action import Action
from ..launch_context import LaunchContext
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions
from ..utilities.type_utils import perform_typed_substitution


class SetEnvironmentVariable(Action):
    """Sets an environment variable for what is started later in the scope."""

    def __init__(self, name: Any, value: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = normalize_to_list_of_substitutions(name)
        self.value = normalize_to_list_of_substitutions(value)

    def execute(self, context: LaunchContext) -> None:
        """Set it."""
        context.environment[perform_substitutions(context, self.name)] = perform_substitutions(context, self.value)


class UnsetEnvironmentVariable(Action):
    """Removes an environment variable, if it is set."""

    def __init__(self, name: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = normalize_to_list_of_substitutions(name)

    def execute(self, context: LaunchContext) -> None:
        """Remove it."""
        context.environment.pop(perform_substitutions(context, self.name), None)


class AppendEnvironmentVariable(Action):
    """Adds a value to a list variable such as PATH: at its end, or before the others."""

    def __init__(self, name: Any, value: Any, prepend: Any = False, separator: Any = os.pathsep, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.name = normalize_to_list_of_substitutions(name)
        self.value = normalize_to_list_of_substitutions(value)
        self.prepend = prepend
        self.separator = normalize_to_list_of_substitutions(separator)

    def execute(self, context: LaunchContext) -> None:
        """Add it."""
        name = perform_substitutions(context, self.name)
        parts = [perform_substitutions(context, self.value)]
        if name in context.environment:
            before = perform_typed_substitution(context, self.prepend, bool)
            parts.insert(1 if before else 0, context.environment[name])
        context.environment[name] = perform_substitutions(context, self.separator).join(parts)


class PushEnvironment(Action):
    """Begins a scope of environment variables."""

    def execute(self, context: LaunchContext) -> None:
        """Begin it."""
        context._push_environment()


class PopEnvironment(Action):
    """Ends a scope of environment variables."""

    def execute(self, context: LaunchContext) -> None:
        """End it."""
        context._pop_environment()


class ResetEnvironment(Action):
    """Goes back to the environment that the launch began with."""

    def execute(self, context: LaunchContext) -> None:
        """Go back."""
        context._reset_environment()
