# SPDX-License-Identifier: Apache-2.0
"""Declaring a launch argument."""

from __future__ import annotations

from typing import Any

from ..action import Action
from ..launch_context import LaunchContext
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions


class DeclareLaunchArgument(Action):
    """Declares an argument, which becomes the launch configuration of the same name.

    Args:
        name: the argument's name.
        default_value: its value where none is given; None makes the argument required.
        description: what it is for, shown by ``ros2 launch --show-args``.
        choices: the values that it may have, or None for any.

    Raises:
        RuntimeError: no choices, or a plain default that is not among them.
    """

    def __init__(
        self,
        name: str,
        *,
        default_value: Any = None,
        description: str | None = None,
        choices: list[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if choices is not None and len(choices) == 0:
            raise RuntimeError(f"Launch argument '{name}': choices is empty. Use None to allow any value.")
        if choices is not None and isinstance(default_value, str) and default_value not in choices:
            raise RuntimeError(f"Launch argument '{name}': default '{default_value}' is not among choices {choices}.")
        self.name = name
        self.default_value = None if default_value is None else normalize_to_list_of_substitutions(default_value)
        self.choices = choices
        self.description = _describe(description, choices)
        self._conditionally_included = False

    def execute(self, context: LaunchContext) -> None:
        """Set the default where no value was given.

        Raises:
            RuntimeError: a required argument was not given, or the value is not among the choices.
        """
        context.declared_arguments.add(self.name)
        if self.name not in context.launch_configurations:
            if self.default_value is None:
                raise RuntimeError(
                    f"Required launch argument '{self.name}' was not provided. It means: {self.description}"
                )
            context.launch_configurations[self.name] = perform_substitutions(context, self.default_value)
        value = context.launch_configurations[self.name]
        if self.choices is not None and value not in self.choices:
            raise RuntimeError(
                f"Argument '{self.name}' provided value '{value}' is not valid. Valid options are: {self.choices}"
            )


def _describe(description: str | None, choices: list[str] | None) -> str:
    if description is None:
        return "no description given" if choices is None else f"One of: {choices}"
    if choices is None:
        return description
    return f"{description}{'' if description.endswith('.') else '.'} Valid choices are: {choices}"
