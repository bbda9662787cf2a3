# SPDX-License-Identifier: Apache-2.0
"""The base class of everything that a launch description may hold."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .launch_context import LaunchContext


class LaunchDescriptionEntity:
    """Something that can be visited, and that may yield further entities."""

    def describe(self) -> str:
        """Return a description of this entity."""
        return repr(self)

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the entities that a visit yields in any case."""
        return []

    def describe_conditional_sub_entities(self) -> list[tuple[str, Iterable[LaunchDescriptionEntity]]]:
        """Return pairs of a condition in words and the entities that a visit yields where it holds."""
        return []

    def visit(self, context: LaunchContext) -> Iterable[LaunchDescriptionEntity] | None:
        """Do what the entity stands for; return entities to be visited next."""
        return None

    def get_asyncio_future(self) -> asyncio.Future | None:
        """Return a future that is done when the entity's work is, or None if it is done already."""
        return None
