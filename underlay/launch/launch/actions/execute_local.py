# SPDX-License-Identifier: Apache-2.0
"""Running a process: start, output, end, respawn, shutdown."""

from __future__ import annotations

import asyncio
import codecs
import os
import signal
from typing import Any

from .._child_process import ChildProcess
from .._supervisor import Supervisor, make_die_with_parent
from ..action import Action
from ..conditions import evaluate_condition_expression
from ..descriptions import Executable
from ..event import Event
from ..event_handler import BaseEventHandler, EventHandler, as_entities
from ..event_handlers import OnProcessExit, OnProcessIO, OnShutdown
from ..events import matches_action
from ..events.process import (
    ProcessExited,
    ProcessIO,
    ProcessStarted,
    ProcessStderr,
    ProcessStdin,
    ProcessStdout,
    ShutdownProcess,
    SignalProcess,
)
from ..launch_context import LaunchContext
from ..launch_description_entity import LaunchDescriptionEntity
from ..logging import get_logger, get_output_loggers
from ..substitutions import LaunchConfiguration
from ..utilities import normalize_to_list_of_substitutions, perform_substitutions, perform_text
from ..utilities.type_utils import perform_typed_substitution
from .opaque_function import OpaqueFunction


class _Lines:
    """Bytes to whole lines."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self.text = ""

    def add(self, data: bytes, *, final: bool = False) -> list[str]:
        decoded = self._decoder.decode(data, final)
        self.text += decoded
        *lines, self._rest = (self._rest + decoded).split("\n")
        if final and self._rest:
            lines.append(self._rest)
            self._rest = ""
        return [line.removesuffix("\r") for line in lines]


class ExecuteLocal(Action):
    """Runs a process on this machine.

    Args:
        process_description: what to run.
        shell: whether a shell runs the command line.
        sigterm_timeout: seconds from SIGINT to SIGTERM when shutting down; the configuration sigterm_timeout or 5.
        sigkill_timeout: seconds from SIGTERM to SIGKILL; the configuration sigkill_timeout or 5.
        emulate_tty: whether the process believes to write to a terminal; the configuration emulate_tty wins.
        output: 'screen', 'log', 'both', 'own_log', 'full' or a dict; OVERRIDE_LAUNCH_PROCESS_OUTPUT wins.
        output_format: how a line is shown; may name ``{this}`` and ``{line}``.
        cached_output: whether get_stdout() and get_stderr() are wanted.
        log_cmd: whether to log the command line before it is run.
        on_exit: entities to visit at the end of the process, or a function of event and context that returns them.
        respawn: whether to start the process again when it ends, however it ends.
        respawn_delay: seconds to wait before that.
        respawn_max_retries: how often at most; a negative number for no limit.
    """

    def __init__(
        self,
        *,
        process_description: Executable,
        shell: bool = False,
        sigterm_timeout: Any = None,
        sigkill_timeout: Any = None,
        emulate_tty: bool = False,
        output: Any = "log",
        output_format: str = "[{this.process_description.final_name}] {line}",
        cached_output: bool = False,
        log_cmd: bool = False,
        on_exit: Any = None,
        respawn: Any = False,
        respawn_delay: float | None = None,
        respawn_max_retries: int = -1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.process_description = process_description
        self.shell = shell
        self.emulate_tty = emulate_tty
        self.output = os.environ.get("OVERRIDE_LAUNCH_PROCESS_OUTPUT", output)
        self._sigterm_timeout = _timeout("sigterm_timeout", sigterm_timeout)
        self._sigkill_timeout = _timeout("sigkill_timeout", sigkill_timeout)
        self._output_format = output_format
        self._cached_output = cached_output
        self._log_cmd = log_cmd
        self._on_exit = on_exit
        self._respawn = respawn
        self._respawn_delay_s = respawn_delay or 0.0
        self._respawn_max_retries = respawn_max_retries
        self._details: dict[str, Any] | None = None
        self._child: ChildProcess | None = None
        self._executed = False
        self._escalating = False
        self._shutdown_future: asyncio.Future | None = None
        self._completed_future: asyncio.Future | None = None
        self._lines = {1: _Lines(), 2: _Lines()}

    @property
    def process_details(self) -> dict[str, Any] | None:
        """What events of the process carry (name, cmd, cwd, env, pid), or None before it is executed."""
        return self._details

    @property
    def return_code(self) -> int | None:
        """The return code, or None before the end."""
        return None if self._child is None else self._child.returncode

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Return the entities of on_exit."""
        return [] if callable(self._on_exit) else as_entities(self._on_exit)

    def get_stdout(self) -> str:
        """Return what the process has written to stdout; needs cached_output."""
        return self._cached(1)

    def get_stderr(self) -> str:
        """Return what the process has written to stderr; needs cached_output."""
        return self._cached(2)

    def _cached(self, fd: int) -> str:
        if not self._cached_output:
            raise RuntimeError("pass cached_output=True to the action to read its output afterwards")
        return self._lines[fd].text

    def get_asyncio_future(self) -> asyncio.Future | None:
        """Return a future that is done when the process has ended for good."""
        return self._completed_future

    def prepare(self, context: LaunchContext) -> None:
        """Perform the substitutions of the process and of its settings."""
        self.process_description.prepare(context, self)
        description = self.process_description
        self._details = {
            "action": self,
            "name": description.final_name,
            "cmd": description.final_cmd,
            "cwd": description.final_cwd,
            "env": description.final_env,
        }
        self._name = str(description.final_name)
        self._will_respawn = perform_typed_substitution(context, self._respawn, bool)
        self._sigterm_after_s = float(perform_substitutions(context, self._sigterm_timeout))
        self._sigkill_after_s = float(perform_substitutions(context, self._sigkill_timeout))

    def execute(self, context: LaunchContext) -> None:
        """Register the process's event handlers and start it."""
        self.prepare(context)
        if self._executed:
            raise RuntimeError(f"{type(self).__name__} action '{self._name}' executed more than once")
        self._executed = True
        if context.is_shutdown:
            return
        assert context.asyncio_loop is not None  # entities are visited by a running LaunchService
        output = self.output if isinstance(self.output, dict) else perform_text(context, self.output)
        self._loggers = dict(zip((1, 2), get_output_loggers(self._name, output), strict=True))
        self._logger = get_logger(self._name)
        self._shutdown_future = context.asyncio_loop.create_future()
        self._completed_future = context.asyncio_loop.create_future()
        for handler in self._event_handlers():
            context.register_event_handler(handler)
        context.add_completion_future(context.asyncio_loop.create_task(self._run(context)))

    def _event_handlers(self) -> list[BaseEventHandler]:
        return [
            EventHandler(
                matcher=lambda event: isinstance(event, ShutdownProcess) and event.process_matcher(self),
                entities=OpaqueFunction(function=self._shut_down),
            ),
            EventHandler(
                matcher=lambda event: isinstance(event, SignalProcess) and event.process_matcher(self),
                entities=OpaqueFunction(function=self._on_signal_event),
            ),
            OnProcessIO(target_action=self, on_stdin=self._on_stdin, on_stdout=self._on_io, on_stderr=self._on_io),
            OnShutdown(on_shutdown=lambda event, context: self._shut_down(context)),
            OnProcessExit(target_action=self, on_exit=self._on_exit),
            OnProcessExit(target_action=self, on_exit=lambda event, context: self._flush()),
        ]

    async def _run(self, context: LaunchContext) -> None:
        assert self._shutdown_future is not None
        assert self._completed_future is not None
        retries = 0
        try:
            while not self._shutdown_future.done():
                if not await self._run_once(context) or not self._will_respawn or context.is_shutdown:
                    return
                if 0 <= self._respawn_max_retries <= retries:
                    return
                retries += 1
                if self._respawn_delay_s > 0.0:
                    await asyncio.wait([self._shutdown_future], timeout=self._respawn_delay_s)
        finally:
            self._completed_future.set_result(None)

    async def _run_once(self, context: LaunchContext) -> bool:
        assert self._details is not None
        details = self._details
        cmd = details["cmd"]
        shown = " ".join(word for word in cmd if word.strip())
        if self._log_cmd:
            self._logger.info(f"process details: cmd='{shown}', cwd='{details['cwd']}'")
        if context.supervisor is None:
            context.supervisor = Supervisor()
        supervisor = context.supervisor
        supervisor.prepare()

        early: list[tuple[int, bytes]] = []
        announced = False

        def on_output(fd: int, data: bytes) -> None:
            if not announced:
                early.append((fd, data))  # it may write before its start is announced
                return
            kind = ProcessStdout if fd == 1 else ProcessStderr
            context.emit_event_sync(kind(text=data, **details))

        try:
            child = await ChildProcess.start(
                cmd,
                cwd=details["cwd"],
                env={**details["env"], **supervisor.environment(self._name)},
                shell=self.shell,
                emulate_tty=self._emulates_tty(context),
                before_exec=make_die_with_parent(),
                on_output=on_output,
            )
        except (OSError, ValueError) as error:
            self._logger.error(f"process could not be started [cmd '{shown}']: {error}")
            return False
        self._child = child
        self._escalating = False
        details["pid"] = child.pid
        supervisor.started(child.pid, self._name)
        self._logger.info(f"process started with pid [{child.pid}]")
        context.emit_event_sync(ProcessStarted(**details))
        announced = True
        for fd, data in early:
            on_output(fd, data)
        if self._shutdown_future is not None and self._shutdown_future.done():
            context.emit_event_sync(ShutdownProcess(process_matcher=matches_action(self)))

        returncode = await child.wait_exited()
        if returncode == 0:
            self._logger.info(f"process has finished cleanly [pid {child.pid}]")
        else:
            self._logger.error(f"process has died [pid {child.pid}, exit code {returncode}, cmd '{shown}'].")
        context.emit_event_sync(ProcessExited(returncode=returncode, **details))
        left_behind = supervisor.ended(child.pid, self._name)
        if left_behind and (returncode != 0 or self._will_respawn or context.is_shutdown):
            await supervisor.sweep(self._name, child.pid)
            left_behind = False
        if left_behind:
            # A starter that went cleanly may have left a service on purpose: it lives as long as the launch.
            supervisor.at_end(child.close)
        else:
            child.close()
        return True

    def _emulates_tty(self, context: LaunchContext) -> bool:
        if "emulate_tty" not in context.launch_configurations:
            return self.emulate_tty
        value = normalize_to_list_of_substitutions(context.launch_configurations["emulate_tty"])
        return evaluate_condition_expression(context, value)

    def _on_stdin(self, event: ProcessIO) -> None:
        assert isinstance(event, ProcessStdin)
        self._logger.warning("the launch stand-in, like upstream, does not pass ProcessStdin on to the process")

    def _on_io(self, event: ProcessIO) -> None:
        fd = 1 if event.from_stdout else 2
        self._show(fd, self._lines[fd].add(event.text))

    def _flush(self) -> None:
        for fd, lines in self._lines.items():
            self._show(fd, lines.add(b"", final=True))

    def _show(self, fd: int, lines: list[str]) -> None:
        if not self._cached_output:
            self._lines[fd].text = ""
        for line in lines:
            self._loggers[fd].info(self._output_format.format(line=line, this=self))

    def _shut_down(self, context: LaunchContext) -> None:
        assert self._shutdown_future is not None
        if not self._shutdown_future.done():
            self._shutdown_future.set_result(None)
        if self._child is not None and self._child.is_running and not self._escalating:
            self._escalating = True
            assert context.asyncio_loop is not None
            context.add_completion_future(context.asyncio_loop.create_task(self._escalate(context, self._child)))

    async def _escalate(self, context: LaunchContext, child: ChildProcess) -> None:
        steps = (
            (signal.SIGINT, self._sigterm_after_s, signal.SIGTERM),
            (signal.SIGTERM, self._sigkill_after_s, signal.SIGKILL),
        )
        self._emit_signal(context, signal.SIGINT)
        for number, timeout_s, following in steps:
            if not await child.is_still_running_after(timeout_s):
                return
            self._logger.error(
                f"process[{self._name}] failed to terminate '{timeout_s:g}' seconds after receiving "
                f"'{number.name}', escalating to '{following.name}'"
            )
            self._emit_signal(context, following)

    def _emit_signal(self, context: LaunchContext, number: signal.Signals) -> None:
        event: Event = SignalProcess(signal_number=number, process_matcher=matches_action(self), whole_group=True)
        context.emit_event_sync(event)

    def _on_signal_event(self, context: LaunchContext) -> None:
        event = context.locals.event
        if self._child is None:
            raise RuntimeError(f"{event.signal_name} for process[{self._name}], which has not been started yet")
        if not self._child.is_running:
            return
        self._logger.info(f"sending signal '{event.signal_name}' to process[{self._name}]")
        try:
            self._child.send_signal(event.signal, whole_group=event.whole_group)
        except ProcessLookupError:
            self._logger.debug(f"'{event.signal_name}' not sent: process[{self._name}] has just ended")


def _timeout(name: str, given: Any) -> list[Any]:
    if given is None:
        return [LaunchConfiguration(name, default=5)]
    if isinstance(given, (int, float)):
        raise TypeError(f"{name} is the number {given}: upstream takes text or substitutions, so write '{given}'")
    return normalize_to_list_of_substitutions(given)
