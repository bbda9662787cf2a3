# SPDX-License-Identifier: Apache-2.0
"""Keeps the promise that no process outlives the launch.

Three nets, each for what slips through the one before:

1. Each process runs in a session of its own, so that the launcher and not the terminal decides what it receives, and
   so that what it started can be signalled with it. What is left of it after its end is ended by ``sweep``.
2. The kernel sends each process SIGTERM when the launcher dies (PR_SET_PDEATHSIG).
3. A guardian, a small process beside the launcher, ends all the rest when the launcher dies: see ``_guardian``.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable

from . import _guardian
from .logging import get_logger, launch_config

_PR_SET_PDEATHSIG = 1
_SCAN_PERIOD_S = 0.05
_GIVE_UP_AFTER_S = 20.0

SIGKILL_AFTER_S = 5.0
"""Seconds from SIGTERM to SIGKILL for what a process has left behind; upstream's default for processes."""


def make_die_with_parent() -> Callable[[], None]:
    """Return a function for a new child that makes the kernel send it SIGTERM when its parent dies.

    Everything it needs is looked up here, before the fork. A parent that died between fork and call is noticed by the
    child's new parent.
    """
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    launcher = os.getpid()
    getppid, leave = os.getppid, os._exit
    number = int(signal.SIGTERM)

    def die_with_parent() -> None:
        prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if getppid() != launcher:
            leave(128 + number)

    return die_with_parent


class Supervisor:
    """Knows all processes of one launch and ends what is left of them."""

    def __init__(self) -> None:
        self._marker = uuid.uuid4().hex
        self._sessions: dict[int, str] = {}
        self._guardian: subprocess.Popen[bytes] | None = None
        self._at_end: list[Callable[[], None]] = []

    def environment(self, name: str) -> dict[str, str]:
        """Return the environment variable that marks a process of this launch."""
        return {_guardian.MARKER_VARIABLE: f"{self._marker}/{name}/"}

    def prepare(self) -> None:
        """Make sure that the guardian is there before a process starts."""
        if self._guardian is not None and self._guardian.poll() is None:
            return
        environment = {key: value for key, value in os.environ.items() if key != _guardian.MARKER_VARIABLE}
        log_file = launch_config.get_log_file_path()
        arguments = [self._marker, str(os.getpid()), str(SIGKILL_AFTER_S), log_file]
        self._guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", _guardian.__file__, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
        for pid in self._sessions:
            self._tell(f"+{pid}")

    def started(self, pid: int, name: str) -> None:
        """Note that a process has started in a session of its own."""
        self._sessions[pid] = name
        self._tell(f"+{pid}")

    def ended(self, pid: int, name: str) -> bool:
        """Note that a process has ended; return whether it left others behind."""
        if self._leftovers(name, pid):
            return True
        self._forget(pid)
        return False

    def at_end(self, function: Callable[[], None]) -> None:
        """Call a function when all is over."""
        self._at_end.append(function)

    async def sweep(self, name: str, pid: int) -> None:
        """End what an ended process has left behind: SIGTERM, then SIGKILL."""
        await self._end(lambda: self._leftovers(name, pid), f"process[{name}]")
        self._forget(pid)

    async def close(self) -> None:
        """End everything that is left of the launch, and dismiss the guardian."""
        await self._end(lambda: _guardian.find_processes(self._marker + "/", self._sessions), "launch")
        for function in self._at_end:
            function()
        self._at_end.clear()
        self._sessions.clear()
        if self._guardian is not None:
            self._tell("bye")
            assert self._guardian.stdin is not None
            with contextlib.suppress(OSError):
                self._guardian.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._guardian.wait(timeout=5)
            self._guardian = None

    async def _end(self, find: Callable[[], list[int]], whose: str) -> None:
        begin = time.monotonic()
        signalled: set[int] = set()
        while found := find():
            fresh = set(found) - signalled
            if fresh:
                pids = ", ".join(str(pid) for pid in sorted(fresh))
                get_logger("launch").warning(f"{whose} has left processes behind, ending them: pid {pids}")
                _guardian.signal_processes(fresh, signal.SIGTERM)
                signalled |= fresh
            elapsed_s = time.monotonic() - begin
            if elapsed_s > _GIVE_UP_AFTER_S:
                get_logger("launch").error(f"{whose} has left processes that even SIGKILL does not end: {found}")
                return
            if elapsed_s > SIGKILL_AFTER_S:
                _guardian.signal_processes(found, signal.SIGKILL)
            # They are children of a child: their end is announced to nobody here, they can but be looked at again.
            await asyncio.sleep(_SCAN_PERIOD_S)

    def _leftovers(self, name: str, pid: int) -> list[int]:
        found = _guardian.find_processes(f"{self._marker}/{name}/", (pid,))
        return [other for other in found if other != pid]

    def _forget(self, pid: int) -> None:
        if self._sessions.pop(pid, None) is not None:
            self._tell(f"-{pid}")

    def _tell(self, line: str) -> None:
        if self._guardian is None:
            return
        assert self._guardian.stdin is not None
        # A guardian that was killed is replaced when the next process starts.
        with contextlib.suppress(OSError):
            self._guardian.stdin.write(f"{line}\n".encode())
            self._guardian.stdin.flush()
