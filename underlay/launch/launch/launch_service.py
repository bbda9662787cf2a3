# SPDX-License-Identifier: Apache-2.0
"""The service that runs launch descriptions: event loop, signals, exit code."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import traceback
from collections.abc import Iterable, Iterator
from typing import Any

from .event import Event
from .event_handler import EventHandler, as_entities
from .event_handlers import OnShutdown
from .events import IncludeLaunchDescription, Shutdown
from .launch_context import LaunchContext
from .launch_description import LaunchDescription
from .launch_description_entity import LaunchDescriptionEntity
from .logging import get_logger, launch_config, log_launch_config

_DEBUG, _INFO = 10, 20


class LaunchService:
    """Runs launch descriptions until all their processes have ended or a shutdown is asked for.

    Ctrl-C (SIGINT) shuts the launch down: SIGINT to every process, then SIGTERM, then SIGKILL; further ones are
    noted and ignored. SIGTERM, SIGQUIT and SIGHUP do the same and make the return code 1, where upstream leaves the
    processes behind. So does the end of the launcher's parent, unless the launcher ignores SIGHUP (nohup) or leads a
    session of its own (setsid, a container, a service manager).

    Args:
        argv: the command-line arguments, for entities to read.
        noninteractive: whether no terminal is attached.
        debug: whether to log debug messages and tracebacks.
    """

    def __init__(self, *, argv: Iterable[str] | None = None, noninteractive: bool = False, debug: bool = False) -> None:
        launch_config.level = _DEBUG if debug else _INFO
        self._debug = debug
        self._logger = get_logger("launch")
        self._context = LaunchContext(argv=argv, noninteractive=noninteractive)
        self._context.register_event_handler(
            EventHandler(matcher=lambda event: isinstance(event, IncludeLaunchDescription), entities=_Included())
        )
        self._context.register_event_handler(OnShutdown(on_shutdown=self._on_shutdown))
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task | None = None
        self._futures: list[asyncio.Future] = []
        self._shutting_down = False
        self._interrupted = False
        self._return_code = 0

    @property
    def context(self) -> LaunchContext:
        """The context that entities are visited in."""
        return self._context

    @property
    def event_loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop while running, else None."""
        return self._loop

    @property
    def task(self) -> asyncio.Task | None:
        """The task of this service while running, else None."""
        return self._task

    def include_launch_description(self, launch_description: LaunchDescription) -> None:
        """Visit a launch description when running; may be called from any thread."""
        self.emit_event(IncludeLaunchDescription(launch_description))

    def emit_event(self, event: Event) -> None:
        """Queue an event; may be called from any thread."""
        with self._lock:
            if self._loop is None:
                self._context.emit_event_sync(event)
            else:
                self._loop.call_soon_threadsafe(self._context.emit_event_sync, event)

    def shutdown(self, force_sync: bool = False) -> None:
        """Shut a running launch down; may be called from any thread."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._shut_down, "LaunchService.shutdown() called")

    def run(self, *, shutdown_when_idle: bool = True) -> int:
        """Run until done, in the main thread.

        Args:
            shutdown_when_idle: whether to end when nothing is left to do.

        Returns:
            0, or 1 if the launch itself failed or was ended by SIGTERM, SIGQUIT or SIGHUP. As upstream, a process
            that died does not count.
        """
        return asyncio.run(self.run_async(shutdown_when_idle=shutdown_when_idle))

    async def run_async(self, *, shutdown_when_idle: bool = True) -> int:
        """Run until done, in the main thread's running event loop; see ``run``.

        Raises:
            RuntimeError: not in the main thread, or running already.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("LaunchService can only be run in the main thread.")
        if self._loop is not None:
            raise RuntimeError("LaunchService cannot be run multiple times concurrently.")
        context = self._context
        loop = asyncio.get_running_loop()
        loop.set_debug(self._debug)
        loop.set_exception_handler(self._on_loop_exception)
        with self._lock:
            self._loop, self._task = loop, asyncio.current_task()
            context.asyncio_loop = loop
            context.is_shutdown = False
            context._wake_up = asyncio.Event()
            self._shutting_down = self._interrupted = False
            self._return_code = 0
        log_launch_config(logger=self._logger)
        try:
            with self._signals(loop), self._parent_watched(loop):
                try:
                    await self._run(shutdown_when_idle)
                finally:
                    if context.supervisor is not None:
                        await context.supervisor.close()
        finally:
            with self._lock:
                self._loop = self._task = None
                context.asyncio_loop = context._wake_up = context.supervisor = None
        return self._return_code

    async def _run(self, shutdown_when_idle: bool) -> None:
        context = self._context
        assert context._wake_up is not None
        while True:
            while context._event_queue:
                self._process(context._event_queue.popleft())
                await asyncio.sleep(0)  # let the processes' output in
            context._wake_up.clear()
            self._collect_futures()
            if not self._futures:
                if self._shutting_down:
                    return
                if shutdown_when_idle:
                    self._shut_down("idle")
                    continue
            awakened = asyncio.ensure_future(context._wake_up.wait())
            try:
                await asyncio.wait([*self._futures, awakened], return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                self._logger.error("run task was canceled")
                self._return_code = 1
                self._shut_down("run task was canceled")
            finally:
                awakened.cancel()

    def _collect_futures(self) -> None:
        waiting: list[asyncio.Future] = []
        for future in [*self._futures, *self._context._completion_futures]:
            if not future.done():
                waiting.append(future)
            elif not future.cancelled() and (error := future.exception()) is not None:
                self._fail(error)
        self._context._completion_futures.clear()
        self._futures = waiting

    def _process(self, event: Event) -> None:
        context = self._context
        for handler in tuple(context._event_handlers):
            try:
                if not handler.matches(event):
                    continue
                context._push_locals()
                try:
                    for entity in as_entities(handler.handle(event, context)):
                        self._visit(entity)
                finally:
                    context._pop_locals()
            except Exception as error:  # noqa: BLE001 (whatever a launch file raises must end in an orderly shutdown)
                self._fail(error)

    def _visit(self, entity: LaunchDescriptionEntity) -> None:
        sub_entities = entity.visit(self._context)
        future = entity.get_asyncio_future()
        if future is not None:
            self._context.add_completion_future(future)
        for sub_entity in sub_entities or ():
            if not isinstance(sub_entity, LaunchDescriptionEntity):
                raise TypeError(f"{entity.describe()} returned {sub_entity!r}, expected launch actions")
            self._visit(sub_entity)

    def _fail(self, error: BaseException) -> None:
        self._return_code = 1
        self._logger.debug("".join(traceback.format_exception(error)))
        message = f"Caught exception in launch (see debug for traceback): {error}"
        self._logger.error(message)
        self._shut_down(message)

    def _on_loop_exception(self, loop: asyncio.AbstractEventLoop, details: dict[str, Any]) -> None:
        self._return_code = 1
        loop.default_exception_handler(details)

    def _on_shutdown(self, event: Event, context: LaunchContext) -> None:
        self._shutting_down = True
        context.is_shutdown = True

    def _shut_down(self, reason: str, *, due_to_sigint: bool = False) -> None:
        if not self._shutting_down:
            self._shutting_down = True
            self._context.is_shutdown = True
            self._context.emit_event_sync(Shutdown(reason=reason, due_to_sigint=due_to_sigint))

    def _on_interrupt(self) -> None:
        message = "user interrupted with ctrl-c (SIGINT)"
        if self._interrupted:
            self._logger.warning(f"{message} again, ignoring...")
            return
        self._interrupted = True
        self._logger.warning(message)
        self._shut_down("ctrl-c (SIGINT)", due_to_sigint=True)

    def _on_termination(self, cause: str) -> None:
        self._logger.error(f"launch terminated ({cause}), shutting down...")
        self._return_code = 1
        self._shut_down(cause)

    @contextlib.contextmanager
    def _signals(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        before = {}
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
            before[number] = signal.getsignal(number)
            if number is signal.SIGHUP and before[number] is signal.SIG_IGN:
                continue  # nohup
            if number is signal.SIGINT:
                loop.add_signal_handler(number, self._on_interrupt)
            else:
                loop.add_signal_handler(number, self._on_termination, number.name)
        try:
            yield
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                if handler is not None:
                    signal.signal(number, handler)

    @contextlib.contextmanager
    def _parent_watched(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        on_its_own = os.getsid(0) == os.getpid() or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        parent = os.getppid()
        descriptor = None
        if not on_its_own and parent > 1:
            with contextlib.suppress(OSError):
                descriptor = os.pidfd_open(parent)
        if descriptor is None:
            yield
            return

        def on_end() -> None:
            loop.remove_reader(descriptor)
            self._on_termination("its parent process has ended")

        loop.add_reader(descriptor, on_end)
        try:
            yield
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)


class _Included(LaunchDescriptionEntity):
    """Yields the launch description of the event being handled."""

    def visit(self, context: LaunchContext) -> list[LaunchDescriptionEntity]:
        return [context.locals.event.launch_description]
