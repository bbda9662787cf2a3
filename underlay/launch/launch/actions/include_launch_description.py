# SPDX-License-Identifier: Apache-2.0
"""Including a launch file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from ..action import Action
from ..launch_arguments import check_launch_arguments, refuse_undeclared
from ..launch_context import LaunchContext
from ..launch_description import LaunchDescription
from ..launch_description_entity import LaunchDescriptionEntity
from ..launch_description_source import LaunchDescriptionSource
from ..substitutions import SubstitutionFailure
from ..utilities import perform_text
from .launch_configurations import SetLaunchConfiguration
from .opaque_function import OpaqueFunction


class IncludeLaunchDescription(Action):
    """Visits the launch description of another file.

    As upstream, the include is no scope of its own: arguments passed on stay set afterwards, unless a GroupAction is
    around it. Unlike upstream, an argument that the file does not declare is an error.

    Args:
        launch_description_source: the source, or the path of the file.
        launch_arguments: pairs of name and value to set before.
    """

    def __init__(
        self,
        launch_description_source: Any,
        *,
        launch_arguments: Iterable[tuple[Any, Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(launch_description_source, LaunchDescriptionSource):
            from ..launch_description_sources import AnyLaunchDescriptionSource

            launch_description_source = AnyLaunchDescriptionSource(launch_description_source)
        if isinstance(launch_arguments, Mapping):
            raise TypeError("launch_arguments is a mapping, expected pairs: pass its items()")
        self.launch_description_source: LaunchDescriptionSource = launch_description_source
        self.launch_arguments = tuple(launch_arguments or ())

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the description, if it can be loaded without running anything."""
        description = self.launch_description_source.try_get_launch_description_without_context()
        return [] if description is None else [description]

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        """Set the arguments and return the description.

        Raises:
            RuntimeError: a required argument is missing, or an argument is not declared.
        """
        description = self.launch_description_source.get_launch_description(context)
        location = self.launch_description_source.location
        path = os.path.abspath(location)
        folder = os.path.dirname(path) if os.path.exists(path) else location
        context.extend_locals({"current_launch_file_path": path, "current_launch_file_directory": folder})

        names = [perform_text(context, name) for name, _ in self.launch_arguments]
        _refuse_missing(context, description, names, location)
        undecided = check_launch_arguments(description, names, location)
        entities: list[LaunchDescriptionEntity] = [
            SetLaunchConfiguration(name, value) for name, value in self.launch_arguments
        ]
        if not undecided:
            return [*entities, description]

        outside = set(context.declared_arguments)
        context.declared_arguments.clear()

        def check_afterwards(context: LaunchContext) -> None:
            inside = set(context.declared_arguments)
            context.declared_arguments |= outside
            if undecided - inside:
                refuse_undeclared(undecided - inside, inside, location)

        return [*entities, description, OpaqueFunction(function=check_afterwards)]


def _refuse_missing(context: LaunchContext, description: LaunchDescription, names: list[str], location: str) -> None:
    for argument, includes in description.get_launch_arguments_with_include_launch_description_actions():
        if argument._conditionally_included or argument.default_value is not None or argument.name in names:
            continue
        given_on_the_way = [_peek_name(name) for action in includes or () for name, _ in action.launch_arguments]
        if argument.name not in given_on_the_way:
            raise RuntimeError(
                f"Included launch description '{location}' is missing the required argument '{argument.name}' "
                f"(description: '{argument.description}'), given: [{', '.join(names)}]"
            )


def _peek_name(name: Any) -> str | None:
    try:
        return perform_text(LaunchContext(), name)
    except SubstitutionFailure:
        return None
