# SPDX-License-Identifier: Apache-2.0
"""A launch description in words, for ``ros2 launch --print``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from .launch_description import LaunchDescription
from .launch_description_entity import LaunchDescriptionEntity
from .utilities import describe_substitutions


class LaunchIntrospector:
    """Describes launch descriptions as a tree."""

    def format_launch_description(self, launch_description: LaunchDescription) -> str:
        """Return the tree, a line for each entity."""
        return "\n".join([str(launch_description), *_branches(launch_description.entities, "")])


def _branches(entities: Iterable[LaunchDescriptionEntity], indent: str) -> Iterator[str]:
    entities = list(entities)
    for number, entity in enumerate(entities, start=1):
        last = number == len(entities)
        yield f"{indent}{'└── ' if last else '├── '}{_words(entity)}"
        below = [*entity.describe_sub_entities()]
        for _, conditional in entity.describe_conditional_sub_entities():
            below.extend(conditional)
        yield from _branches(below, indent + ("    " if last else "│   "))


def _words(entity: Any) -> str:
    from .actions import DeclareLaunchArgument, EmitEvent, ExecuteLocal, IncludeLaunchDescription, LogInfo

    if isinstance(entity, LogInfo):
        return f"LogInfo({describe_substitutions(entity.msg)})"
    if isinstance(entity, EmitEvent):
        return f"EmitEvent(event='{entity.event.name}')"
    if isinstance(entity, DeclareLaunchArgument):
        return f"DeclareLaunchArgument('{entity.name}')"
    if isinstance(entity, IncludeLaunchDescription):
        return f"IncludeLaunchDescription({entity.launch_description_source.location})"
    if isinstance(entity, ExecuteLocal):
        words = ", ".join(describe_substitutions(part) for part in entity.process_description.cmd)
        return f"{type(entity).__name__}(cmd=[{words}])"
    return entity.describe()
