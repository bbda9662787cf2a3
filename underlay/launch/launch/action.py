# SPDX-License-Identifier: Apache-2.0
"""The base class of actions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ._refusal import refuse_keywords
from .condition import Condition
from .launch_description_entity import LaunchDescriptionEntity

if TYPE_CHECKING:
    from .launch_context import LaunchContext


class Action(LaunchDescriptionEntity):
    """An intention that is carried out when visited, if its condition (where it has one) holds."""

    def __init__(self, *, condition: Condition | None = None, **unknown: Any) -> None:
        refuse_keywords(self, unknown)
        self.__condition = condition

    @property
    def condition(self) -> Condition | None:
        """The condition, or None."""
        return self.__condition

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the entities that executing this action yields, as far as they are known beforehand."""
        return []

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the sub-entities of an action without condition."""
        return self.get_sub_entities() if self.condition is None else []

    def describe_conditional_sub_entities(self) -> list[tuple[str, Iterable[LaunchDescriptionEntity]]]:
        """Return the sub-entities of an action with a condition."""
        if self.condition is None:
            return []
        return [(f"Conditionally included by {self.describe()}", self.get_sub_entities())]

    def visit(self, context: LaunchContext) -> Iterable[LaunchDescriptionEntity] | None:
        """Execute the action where its condition holds, and tell the world when it is complete."""
        from .events import ExecutionComplete

        if self.__condition is not None and not self.__condition.evaluate(context):
            return None
        try:
            return self.execute(context)
        finally:
            event = ExecutionComplete(action=self)
            if context.would_handle_event(event):
                future = self.get_asyncio_future()
                if future is None:
                    context.emit_event_sync(event)
                else:
                    future.add_done_callback(lambda _: context.emit_event_sync(event))

    def execute(self, context: LaunchContext) -> Iterable[LaunchDescriptionEntity] | None:
        """Carry the action out; return entities to be visited next."""
        return None
