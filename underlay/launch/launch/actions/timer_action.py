# SPDX-License-Identifier: Apache-2.0
"""Acting after a while."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from ..action import Action
from ..event_handler import EventHandler
from ..events import Shutdown, TimerEvent
from ..launch_context import LaunchContext
from ..launch_description_entity import LaunchDescriptionEntity
from ..utilities.type_utils import is_substitution, perform_typed_substitution
from .opaque_function import OpaqueFunction


class TimerAction(Action):
    """Visits actions after a period, unless cancelled before.

    Args:
        period: seconds, or a substitution for them.
        actions: what is visited then.
        cancel_on_shutdown: whether the shutdown of the launch cancels the timer.
    """

    def __init__(
        self,
        *,
        period: Any,
        actions: Iterable[LaunchDescriptionEntity],
        cancel_on_shutdown: Any = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(period, int):
            raise TypeError(
                f"period is the integer {period}: upstream takes a float or substitutions, so write {period}.0"
            )
        self.period = period if is_substitution(period) else float(period)
        self.actions = list(actions)
        self._cancel_on_shutdown = cancel_on_shutdown
        self._cancelled = False
        self._cancelled_future: asyncio.Future | None = None
        self._completed_future: asyncio.Future | None = None
        self._locals: dict[str, Any] = {}

    def describe(self) -> str:
        """Return the period."""
        return f"TimerAction(period={self.period}, actions=<actions>)"

    def describe_conditional_sub_entities(self) -> list[tuple[str, Iterable[LaunchDescriptionEntity]]]:
        """Return the actions."""
        return [(f"{self.period} seconds pass without being canceled", self.actions)]

    def cancel(self) -> None:
        """Cancel the timer, also before it is executed."""
        self._cancelled = True
        if self._cancelled_future is not None and not self._cancelled_future.done():
            self._cancelled_future.set_result(None)

    def execute(self, context: LaunchContext) -> None:
        """Start the timer."""
        assert context.asyncio_loop is not None  # entities are visited by a running LaunchService
        self._completed_future = context.asyncio_loop.create_future()
        self._cancelled_future = context.asyncio_loop.create_future()
        if self._cancelled:
            self._completed_future.set_result(None)
            return
        period_s = perform_typed_substitution(context, self.period, float)
        self._locals = context.get_locals_as_dict()
        elapsed = EventHandler(
            matcher=lambda event: isinstance(event, TimerEvent) and event.timer_action is self,
            entities=OpaqueFunction(function=self._elapse),
            handle_once=True,
        )
        context.register_event_handler(elapsed)
        if perform_typed_substitution(context, self._cancel_on_shutdown, bool):
            context.register_event_handler(
                EventHandler(
                    matcher=lambda event: isinstance(event, Shutdown),
                    entities=OpaqueFunction(function=lambda _: self.cancel()),
                )
            )
        context.add_completion_future(context.asyncio_loop.create_task(self._wait(context, period_s)))

    async def _wait(self, context: LaunchContext, period_s: float) -> None:
        assert self._cancelled_future is not None
        assert self._completed_future is not None
        await asyncio.wait([self._cancelled_future], timeout=period_s)
        if not self._cancelled_future.done():
            context.emit_event_sync(TimerEvent(timer_action=self))
        self._completed_future.set_result(None)

    def _elapse(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        context.extend_locals(self._locals)
        return self.actions

    def get_asyncio_future(self) -> asyncio.Future | None:
        """Return a future that is done when the timer has elapsed or was cancelled."""
        return self._completed_future
