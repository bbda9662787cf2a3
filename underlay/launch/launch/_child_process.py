# SPDX-License-Identifier: Apache-2.0
"""One process: started in a session of its own, read without blocking, awaited."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal
import termios
from collections.abc import Callable, Sequence
from typing import Any

_DRAIN_S = 0.5


class _Protocol(asyncio.SubprocessProtocol):
    def __init__(self, loop: asyncio.AbstractEventLoop, on_output: Callable[[int, bytes], None], streams: int) -> None:
        self._on_output = on_output
        self._open_streams = streams
        self.exited: asyncio.Future[None] = loop.create_future()
        self.drained: asyncio.Future[None] = loop.create_future()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self._on_output(fd, data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd in (1, 2):
            self.stream_lost()

    def stream_lost(self) -> None:
        self._open_streams -= 1
        if self._open_streams == 0 and not self.drained.done():
            self.drained.set_result(None)

    def process_exited(self) -> None:
        if not self.exited.done():
            self.exited.set_result(None)


class _Terminal(asyncio.Protocol):
    def __init__(self, fd: int, protocol: _Protocol, on_output: Callable[[int, bytes], None]) -> None:
        self._fd = fd
        self._protocol = protocol
        self._on_output = on_output

    def data_received(self, data: bytes) -> None:
        self._on_output(self._fd, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.stream_lost()


class ChildProcess:
    """A running child; made by ``start``."""

    def __init__(self, transport: Any, protocol: _Protocol, terminals: list[Any]) -> None:
        self._transport = transport
        self._protocol = protocol
        self._terminals = terminals
        self.pid: int = transport.get_pid()

    @classmethod
    async def start(
        cls,
        cmd: Sequence[str],
        *,
        cwd: str | None,
        env: dict[str, str],
        shell: bool,
        emulate_tty: bool,
        before_exec: Callable[[], None],
        on_output: Callable[[int, bytes], None],
    ) -> ChildProcess:
        """Start a process.

        Args:
            cmd: the command line.
            cwd: its working directory, None for the launcher's.
            env: all of its environment variables.
            shell: whether the command line, joined by spaces, is for a shell.
            emulate_tty: whether its output goes to pseudo-terminals instead of pipes.
            before_exec: called in the child before the executable takes over.
            on_output: called with the file descriptor (1 or 2) and the bytes of each piece of output.

        Raises:
            OSError: it cannot be started.
        """
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {
            "cwd": cwd,
            "env": env,
            "start_new_session": True,
            "preexec_fn": before_exec,
        }
        protocol = _Protocol(loop, on_output, streams=2)
        masters: dict[int, int] = {}
        slaves: list[int] = []
        if emulate_tty:
            for fd, stream in ((1, "stdout"), (2, "stderr")):
                masters[fd], slave = _open_terminal()
                slaves.append(slave)
                options[stream] = slave
        try:
            if shell:
                transport, _ = await loop.subprocess_shell(lambda: protocol, " ".join(cmd), **options)
            else:
                transport, _ = await loop.subprocess_exec(lambda: protocol, *cmd, **options)
        except BaseException:
            for master in masters.values():
                os.close(master)
            raise
        finally:
            for slave in slaves:
                os.close(slave)
        terminals = []
        for fd, master in masters.items():
            terminal, _ = await loop.connect_read_pipe(
                lambda fd=fd: _Terminal(fd, protocol, on_output),  # type: ignore[misc]
                os.fdopen(master, "rb", 0),
            )
            terminals.append(terminal)
        return cls(transport, protocol, terminals)

    @property
    def is_running(self) -> bool:
        """Whether its end has not been noticed yet."""
        return not self._protocol.exited.done()

    @property
    def returncode(self) -> int | None:
        """Its exit status, the negative signal number that killed it, or None while it runs."""
        return self._transport.get_returncode()

    async def wait_exited(self) -> int:
        """Wait for its end, and a moment for the rest of its output; return the return code."""
        await asyncio.shield(self._protocol.exited)
        # What it left behind may hold the pipes open for ever.
        await asyncio.wait([self._protocol.drained], timeout=_DRAIN_S)
        returncode = self.returncode
        assert returncode is not None
        return returncode

    async def is_still_running_after(self, timeout_s: float) -> bool:
        """Return whether it is still running after so many seconds; return early if not."""
        await asyncio.wait([self._protocol.exited], timeout=timeout_s)
        return self.is_running

    def send_signal(self, number: signal.Signals, *, whole_group: bool) -> None:
        """Send it a signal, and what it started, too, if asked.

        Raises:
            ProcessLookupError: it is no more.
        """
        if not self.is_running:
            raise ProcessLookupError(self.pid)
        if whole_group:
            os.killpg(self.pid, number)
        else:
            self._transport.send_signal(number)

    def close(self) -> None:
        """Close its pipes."""
        for terminal in self._terminals:
            terminal.close()
        self._transport.close()


def _open_terminal() -> tuple[int, int]:
    master, slave = pty.openpty()
    with contextlib.suppress(termios.error):
        attributes = termios.tcgetattr(slave)
        attributes[1] &= ~termios.OPOST  # keep line ends as the process wrote them
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
    return master, slave
