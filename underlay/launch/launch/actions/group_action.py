# SPDX-License-Identifier: Apache-2.0
"""Grouping actions in a scope."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..action import Action
from ..launch_context import LaunchContext
from ..launch_description_entity import LaunchDescriptionEntity
from .environment import PopEnvironment, PushEnvironment, ResetEnvironment
from .launch_configurations import (
    PopLaunchConfigurations,
    PushLaunchConfigurations,
    ResetLaunchConfigurations,
    SetLaunchConfiguration,
)


class GroupAction(Action):
    """Actions that are visited together.

    Args:
        actions: the actions.
        scoped: whether configurations and environment variables set inside end with the group.
        forwarding: whether those set outside are seen inside; only in a scope.
        launch_configurations: configurations to set (and, without forwarding, the only ones seen) inside.
    """

    def __init__(
        self,
        actions: Iterable[LaunchDescriptionEntity],
        *,
        scoped: bool = True,
        forwarding: bool = True,
        launch_configurations: Mapping[Any, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        configurations = dict(launch_configurations or {})
        sets = [SetLaunchConfiguration(name, value) for name, value in configurations.items()]
        begin: list[LaunchDescriptionEntity] = [*sets]
        end: list[LaunchDescriptionEntity] = []
        if scoped:
            inside = sets if forwarding else [ResetEnvironment(), ResetLaunchConfigurations(configurations)]
            begin = [PushLaunchConfigurations(), PushEnvironment(), *inside]
            end = [PopEnvironment(), PopLaunchConfigurations()]
        self._entities: list[LaunchDescriptionEntity] = [*begin, *actions, *end]

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the actions, with those that begin and end the scope."""
        return self._entities

    def execute(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        """Return the actions, with those that begin and end the scope."""
        return self._entities
