# SPDX-License-Identifier: Apache-2.0
"""A launch description: an ordered collection of entities."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .launch_description_entity import LaunchDescriptionEntity

if TYPE_CHECKING:
    from .actions import DeclareLaunchArgument, IncludeLaunchDescription
    from .launch_context import LaunchContext


class LaunchDescription(LaunchDescriptionEntity):
    """What is to be launched."""

    def __init__(
        self, initial_entities: Iterable[LaunchDescriptionEntity] | None = None, *, deprecated_reason: str | None = None
    ) -> None:
        self.entities: list[LaunchDescriptionEntity] = list(initial_entities) if initial_entities is not None else []
        self.deprecated_reason = deprecated_reason

    @property
    def deprecated(self) -> bool:
        """Whether a reason for deprecation was given."""
        return self.deprecated_reason is not None

    def visit(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        """Return the entities, after a warning if the description is deprecated."""
        if self.deprecated_reason is not None:
            from .logging import get_logger

            path = context.get_locals_as_dict().get("current_launch_file_path")
            what = f"launch file [{path}] is deprecated" if path else "deprecated launch description"
            get_logger("launch").warning(f"{what}: {self.deprecated_reason}")
        return self.entities

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the entities."""
        return self.entities

    def add_entity(self, entity: LaunchDescriptionEntity) -> None:
        """Append an entity."""
        self.entities.append(entity)

    def add_action(self, action: Any) -> None:
        """Append an action."""
        self.add_entity(action)

    def get_launch_arguments(self, conditional_inclusion: bool = False) -> list[DeclareLaunchArgument]:
        """Return the declared arguments, included files' too, as far as they can be found without running."""
        return [
            pair[0] for pair in self.get_launch_arguments_with_include_launch_description_actions(conditional_inclusion)
        ]

    def get_launch_arguments_with_include_launch_description_actions(
        self, conditional_inclusion: bool = False
    ) -> list[tuple[DeclareLaunchArgument, list[IncludeLaunchDescription] | None]]:
        """Return the declared arguments, each with the chain of includes that leads to it (None at the top).

        The first declaration of a name counts. Actions after a ResetLaunchConfigurations are out of reach of
        arguments and are left out.
        """
        from .actions import DeclareLaunchArgument, IncludeLaunchDescription, ResetLaunchConfigurations

        found: dict[str, tuple[DeclareLaunchArgument, list[IncludeLaunchDescription] | None]] = {}

        def search(entities: Iterable[Any], conditional: bool, includes: list[IncludeLaunchDescription] | None) -> None:
            for entity in entities:
                if isinstance(entity, ResetLaunchConfigurations):
                    return
                if isinstance(entity, DeclareLaunchArgument) and entity.name not in found:
                    entity._conditionally_included = conditional or entity.condition is not None
                    found[entity.name] = (entity, includes)
                deeper = [*(includes or []), entity] if isinstance(entity, IncludeLaunchDescription) else includes
                # As upstream, what a conditional group includes counts as included in any case.
                search(entity.describe_sub_entities(), False, deeper)
                for _, entities_then in entity.describe_conditional_sub_entities():
                    search(entities_then, True, deeper)

        search(self.entities, conditional_inclusion, None)
        return list(found.values())
