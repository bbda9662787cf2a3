# SPDX-License-Identifier: Apache-2.0
"""What a running launch knows: configurations, environment, locals, event queue and handlers."""

from __future__ import annotations

import asyncio
import collections
import os
from collections.abc import Iterable, MutableMapping
from types import SimpleNamespace
from typing import Any

from .event import Event
from .event_handler import BaseEventHandler
from .substitution import Substitution


class _Locals(SimpleNamespace):
    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"context.locals does not contain attribute '{name}', it contains: [{', '.join(vars(self))}]"
        )


class LaunchContext:
    """Runtime context that entities are visited in.

    Args:
        argv: the launch's command-line arguments.
        noninteractive: whether no terminal is attached.
    """

    def __init__(self, *, argv: Iterable[str] | None = None, noninteractive: bool = False) -> None:
        self.argv = list(argv) if argv is not None else []
        self.noninteractive = noninteractive
        self.is_shutdown = False
        self.asyncio_loop: asyncio.AbstractEventLoop | None = None
        self.declared_arguments: set[str] = set()
        self.supervisor: Any = None
        self._event_queue: collections.deque[Event] = collections.deque()
        self._event_handlers: collections.deque[BaseEventHandler] = collections.deque()
        self._completion_futures: list[asyncio.Future] = []
        self._wake_up: asyncio.Event | None = None
        self._globals: dict[str, Any] = {}
        self._locals: dict[str, Any] = {}
        self._locals_stack: list[dict[str, Any]] = []
        self._configurations: dict[str, Any] = {}
        self._configurations_stack: list[dict[str, Any]] = []
        self._environment_stack: list[dict[str, str]] = []
        self._initial_environment = dict(os.environ)

    @property
    def launch_configurations(self) -> dict[str, Any]:
        """The launch configurations of the current scope."""
        return self._configurations

    @property
    def environment(self) -> MutableMapping[str, str]:
        """The environment variables of the current scope; the launcher's own, as upstream's."""
        return os.environ

    @property
    def locals(self) -> Any:
        """The current locals as attributes."""
        return _Locals(**self.get_locals_as_dict())

    def get_locals_as_dict(self) -> dict[str, Any]:
        """Return globals overlaid with the current locals."""
        return {**self._globals, **self._locals}

    def extend_globals(self, extensions: dict[str, Any]) -> None:
        """Add locals that are never popped."""
        self._globals.update(extensions)

    def extend_locals(self, extensions: dict[str, Any]) -> None:
        """Add locals until the current event is handled."""
        self._locals.update(extensions)

    def add_completion_future(self, future: asyncio.Future) -> None:
        """Make the launch wait for one more future before it counts as idle."""
        self._completion_futures.append(future)

    def would_handle_event(self, event: Event) -> bool:
        """Return whether any handler matches the event."""
        return any(handler.matches(event) for handler in self._event_handlers)

    def register_event_handler(self, event_handler: BaseEventHandler, append: bool = False) -> None:
        """Register a handler: before the others, as upstream, or after them."""
        if append:
            self._event_handlers.append(event_handler)
        else:
            self._event_handlers.appendleft(event_handler)

    def unregister_event_handler(self, event_handler: BaseEventHandler) -> None:
        """Unregister a handler.

        Raises:
            ValueError: it is not registered.
        """
        self._event_handlers.remove(event_handler)

    def emit_event_sync(self, event: Event) -> None:
        """Queue an event; only from the thread of the loop (elsewhere use ``LaunchService.emit_event``)."""
        self._event_queue.append(event)
        if self._wake_up is not None:
            self._wake_up.set()

    async def emit_event(self, event: Event) -> None:
        """Queue an event."""
        self.emit_event_sync(event)

    def perform_substitution(self, substitution: Substitution) -> str:
        """Return the substitution's text."""
        return substitution.perform(self)

    def _push_locals(self) -> None:
        self._locals_stack.append(dict(self._locals))

    def _pop_locals(self) -> None:
        self._locals = self._locals_stack.pop()

    def _push_launch_configurations(self) -> None:
        self._configurations_stack.append(dict(self._configurations))

    def _pop_launch_configurations(self) -> None:
        if not self._configurations_stack:
            raise RuntimeError("PopLaunchConfigurations without a PushLaunchConfigurations before it")
        self._configurations = self._configurations_stack.pop()

    def _push_environment(self) -> None:
        self._environment_stack.append(dict(os.environ))

    def _pop_environment(self) -> None:
        if not self._environment_stack:
            raise RuntimeError("PopEnvironment without a PushEnvironment before it")
        self._set_environment(self._environment_stack.pop())

    def _reset_environment(self) -> None:
        self._set_environment(self._initial_environment)

    @staticmethod
    def _set_environment(environment: dict[str, str]) -> None:
        os.environ.clear()
        os.environ.update(environment)
