# SPDX-License-Identifier: Apache-2.0
"""Event handlers: what to do when an event matches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._refusal import refuse_keywords
from .event import Event
from .launch_description_entity import LaunchDescriptionEntity

if TYPE_CHECKING:
    from .launch_context import LaunchContext


def as_entities(entities: Any) -> list[LaunchDescriptionEntity]:
    """Return None, one entity or an iterable of entities as a list of entities."""
    if entities is None:
        return []
    if isinstance(entities, LaunchDescriptionEntity):
        return [entities]
    entities = [entity for entity in entities if entity is not None]
    for entity in entities:
        if not isinstance(entity, LaunchDescriptionEntity):
            raise TypeError(f"expected launch actions, got '{entity}' of type {type(entity).__name__}")
    return entities


class BaseEventHandler:
    """Matches events and says which entities are to be visited then."""

    def __init__(self, *, matcher: Callable[[Event], bool], handle_once: bool = False, **unknown: Any) -> None:
        refuse_keywords(self, unknown)
        self._matcher = matcher
        self.handle_once = handle_once

    def matches(self, event: Event) -> bool:
        """Return whether the handler is meant for the event."""
        return self._matcher(event)

    def describe(self) -> tuple[str, list[LaunchDescriptionEntity]]:
        """Return a description and the entities that are known beforehand."""
        return f"{type(self).__name__}(handle_once={self.handle_once})", []

    def handle(self, event: Event, context: LaunchContext) -> Any:
        """Make the event known as ``context.locals.event``; return the entities to be visited."""
        context.extend_locals({"event": event})
        if self.handle_once:
            context.unregister_event_handler(self)
        return None


class EventHandler(BaseEventHandler):
    """Visits given entities when the matcher says yes."""

    def __init__(
        self, *, matcher: Callable[[Event], bool], entities: Any = None, handle_once: bool = False, **unknown: Any
    ) -> None:
        super().__init__(matcher=matcher, handle_once=handle_once, **unknown)
        self.entities = entities

    def describe(self) -> tuple[str, list[LaunchDescriptionEntity]]:
        """Return a description and the entities of this handler."""
        return super().describe()[0], as_entities(self.entities)

    def handle(self, event: Event, context: LaunchContext) -> Any:
        """Return the entities given at construction."""
        super().handle(event, context)
        return self.entities
