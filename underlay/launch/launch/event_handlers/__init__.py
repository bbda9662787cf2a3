# SPDX-License-Identifier: Apache-2.0
"""Event handlers for the launch's own events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._refusal import refuse_attribute
from ..action import Action
from ..event import Event
from ..event_handler import BaseEventHandler, as_entities
from ..events import ExecutionComplete, Shutdown
from ..events.process import ProcessExited, ProcessIO, ProcessStarted
from ..launch_context import LaunchContext
from ..launch_description_entity import LaunchDescriptionEntity


class OnActionEventBase(BaseEventHandler):
    """Handles an event of one action, of those that a function accepts, or (None) of all.

    Args:
        action_matcher: the action, a function of an action, or None.
        on_event: entities, or a function of event and context that returns entities or None.
        target_event_cls: the class of event.
        target_action_cls: the class of action.
    """

    def __init__(
        self,
        *,
        action_matcher: Any,
        on_event: Any,
        target_event_cls: type[Event],
        target_action_cls: type[Action],
        **kwargs: Any,
    ) -> None:
        is_action = isinstance(action_matcher, target_action_cls)
        if action_matcher is not None and not is_action and not callable(action_matcher):
            raise TypeError(
                f"{type(self).__name__} expected an action of type {target_action_cls.__name__}, a function of an "
                f"action or None, got {action_matcher!r}"
            )

        def matches(event: Any) -> bool:
            if not isinstance(event, target_event_cls):
                return False
            if action_matcher is None:
                return True
            action = getattr(event, "action", None)
            return action is action_matcher if is_action else bool(action_matcher(action))

        super().__init__(matcher=matches, **kwargs)
        self._callback: Callable[[Any, LaunchContext], Any] | None = on_event if callable(on_event) else None
        self._entities = [] if callable(on_event) else as_entities(on_event)

    def describe(self) -> tuple[str, list[LaunchDescriptionEntity]]:
        """Return a description and the entities, where they are known beforehand."""
        return super().describe()[0], self._entities

    def handle(self, event: Event, context: LaunchContext) -> Any:
        """Return the entities to be visited."""
        super().handle(event, context)
        return self._entities if self._callback is None else self._callback(event, context)


class OnExecutionComplete(OnActionEventBase):
    """Handles the completion of an action."""

    def __init__(self, *, target_action: Any = None, on_completion: Any, **kwargs: Any) -> None:
        super().__init__(
            action_matcher=target_action,
            on_event=on_completion,
            target_event_cls=ExecutionComplete,
            target_action_cls=Action,
            **kwargs,
        )


class OnProcessStart(OnActionEventBase):
    """Handles the start of a process."""

    def __init__(self, *, target_action: Any = None, on_start: Any, **kwargs: Any) -> None:
        from ..actions.execute_local import ExecuteLocal

        super().__init__(
            action_matcher=target_action,
            on_event=on_start,
            target_event_cls=ProcessStarted,
            target_action_cls=ExecuteLocal,
            **kwargs,
        )


class OnProcessExit(OnActionEventBase):
    """Handles the end of a process."""

    def __init__(self, *, target_action: Any = None, on_exit: Any, **kwargs: Any) -> None:
        from ..actions.execute_local import ExecuteLocal

        super().__init__(
            action_matcher=target_action,
            on_event=on_exit,
            target_event_cls=ProcessExited,
            target_action_cls=ExecuteLocal,
            **kwargs,
        )


class OnProcessIO(OnActionEventBase):
    """Handles bytes from a process: functions of the event, for each stream."""

    def __init__(
        self,
        *,
        target_action: Any = None,
        on_stdin: Callable[[ProcessIO], Any] | None = None,
        on_stdout: Callable[[ProcessIO], Any] | None = None,
        on_stderr: Callable[[ProcessIO], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        from ..actions.execute_local import ExecuteLocal

        def handle(event: ProcessIO, _: LaunchContext) -> Any:
            chosen = on_stdout if event.from_stdout else on_stderr if event.from_stderr else on_stdin
            return None if chosen is None else chosen(event)

        super().__init__(
            action_matcher=target_action,
            on_event=handle,
            target_event_cls=ProcessIO,
            target_action_cls=ExecuteLocal,
            **kwargs,
        )


class OnShutdown(BaseEventHandler):
    """Handles the shutdown of the launch: entities, or a function of event and context that returns them."""

    def __init__(self, *, on_shutdown: Any, **kwargs: Any) -> None:
        super().__init__(matcher=lambda event: isinstance(event, Shutdown), **kwargs)
        self._on_shutdown = on_shutdown

    def describe(self) -> tuple[str, list[LaunchDescriptionEntity]]:
        """Return a description and the entities, where they are known beforehand."""
        return super().describe()[0], [] if callable(self._on_shutdown) else as_entities(self._on_shutdown)

    def handle(self, event: Event, context: LaunchContext) -> Any:
        """Return the entities to be visited."""
        super().handle(event, context)
        return self._on_shutdown(event, context) if callable(self._on_shutdown) else self._on_shutdown


def event_named(name: str) -> Callable[[Event], bool]:
    """Return a matcher for events of this name."""
    return lambda event: event.name == name


__all__ = [
    "OnActionEventBase",
    "OnExecutionComplete",
    "OnProcessExit",
    "OnProcessIO",
    "OnProcessStart",
    "OnShutdown",
    "event_named",
]
__getattr__ = refuse_attribute(__name__, __all__)
