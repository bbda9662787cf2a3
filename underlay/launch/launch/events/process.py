# SPDX-License-Identifier: Apache-2.0
"""Events about processes."""

from __future__ import annotations

import signal as signals
from collections.abc import Callable
from typing import Any

from .._refusal import refuse_attribute
from ..event import Event


class RunningProcessEvent(Event):
    """An event of one process.

    Args:
        action: the ExecuteLocal action.
        name: the process's name, e.g. ``talker-1``.
        cmd: its command line.
        cwd: its working directory, None for the launcher's.
        env: its environment variables.
        pid: its process id.
    """

    name = "launch.events.process.RunningProcessEvent"

    def __init__(
        self, *, action: Any, name: str, cmd: list[str], cwd: str | None, env: dict[str, str] | None, pid: int
    ) -> None:
        self.action = action
        self.process_name = name
        self.cmd = cmd
        self.cwd = cwd
        self.env = env
        self.pid = pid

    @property
    def execute_process_action(self) -> Any:
        """Upstream's older name for the action."""
        return self.action


class ProcessStarted(RunningProcessEvent):
    """A process has started."""

    name = "launch.events.process.ProcessStarted"


class ProcessExited(RunningProcessEvent):
    """A process has ended; a negative return code is the signal that killed it."""

    name = "launch.events.process.ProcessExited"

    def __init__(self, *, returncode: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.returncode = returncode


class ProcessIO(RunningProcessEvent):
    """Bytes from or to a process; file descriptor 0, 1 or 2."""

    name = "launch.events.process.ProcessIO"

    def __init__(self, *, text: bytes, fd: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.text = text
        self.from_stdin = fd == 0
        self.from_stdout = fd == 1
        self.from_stderr = fd == 2


class ProcessStdin(ProcessIO):
    """Bytes for a process's standard input."""

    name = "launch.events.process.ProcessStdin"

    def __init__(self, *, text: bytes, **kwargs: Any) -> None:
        super().__init__(text=text, fd=0, **kwargs)


class ProcessStdout(ProcessIO):
    """Bytes from a process's standard output."""

    name = "launch.events.process.ProcessStdout"

    def __init__(self, *, text: bytes, **kwargs: Any) -> None:
        super().__init__(text=text, fd=1, **kwargs)


class ProcessStderr(ProcessIO):
    """Bytes from a process's standard error."""

    name = "launch.events.process.ProcessStderr"

    def __init__(self, *, text: bytes, **kwargs: Any) -> None:
        super().__init__(text=text, fd=2, **kwargs)


class ProcessTargetedEvent(Event):
    """An event for the processes whose action the matcher accepts."""

    name = "launch.events.process.ProcessTargetedEvent"

    def __init__(self, *, process_matcher: Callable[[Any], bool]) -> None:
        self.process_matcher = process_matcher


class ShutdownProcess(ProcessTargetedEvent):
    """Processes are to shut down: SIGINT, then SIGTERM, then SIGKILL."""

    name = "launch.events.process.ShutdownProcess"


class SignalProcess(ProcessTargetedEvent):
    """Processes are to receive a signal.

    Args:
        signal_number: a ``signal.Signals`` or its name.
        process_matcher: says which actions are meant.
        whole_group: also signal what the process started; the stand-in's own, used when shutting down.
    """

    name = "launch.events.process.SignalProcess"

    def __init__(
        self, *, signal_number: str | signals.Signals, process_matcher: Callable[[Any], bool], whole_group: bool = False
    ) -> None:
        super().__init__(process_matcher=process_matcher)
        if not isinstance(signal_number, (str, signals.Signals)):
            raise TypeError(f"signal_number is {signal_number!r}, expected a signal.Signals or its name")
        self.signal = signals.Signals[signal_number] if isinstance(signal_number, str) else signal_number
        self.signal_name = self.signal.name
        self.whole_group = whole_group


def _detail_matcher(test: Callable[[dict[str, Any]], bool]) -> Callable[[Any], bool]:
    return lambda action: action.process_details is not None and test(action.process_details)


def matches_pid(pid: int) -> Callable[[Any], bool]:
    """Return a matcher for the process with this id."""
    return _detail_matcher(lambda details: details.get("pid") == pid)


def matches_name(name: str) -> Callable[[Any], bool]:
    """Return a matcher for the process with this name, e.g. ``talker-1``."""
    return _detail_matcher(lambda details: details["name"] == name)


def matches_executable(executable: str) -> Callable[[Any], bool]:
    """Return a matcher for processes whose executable's path ends so."""
    return _detail_matcher(lambda details: details["cmd"][0].endswith(executable))


__all__ = [
    "ProcessExited",
    "ProcessIO",
    "ProcessStarted",
    "ProcessStderr",
    "ProcessStdin",
    "ProcessStdout",
    "ProcessTargetedEvent",
    "RunningProcessEvent",
    "ShutdownProcess",
    "SignalProcess",
    "matches_executable",
    "matches_name",
    "matches_pid",
]
__getattr__ = refuse_attribute(__name__, __all__)
