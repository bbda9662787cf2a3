# SPDX-License-Identifier: Apache-2.0
"""Starting whole graphs in tests: a launch and its children, its output line by line, and who is left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

ROOT = Path(__file__).resolve().parent.parent


class Launch:
    """A running ``ros2 launch`` (or any command); use as a context manager, so that nothing outlives the test."""

    open: ClassVar[list[Launch]] = []
    """Those whose context is open; a failed test tells their output."""

    def __init__(self, environment: dict[str, str], *command: str) -> None:
        self.name = " ".join(command[:4])
        self.lines: list[str] = []
        self._news, self._ended = threading.Condition(), False
        # A mark in the environment of every descendant finds them all, also those whose parent is gone.
        self.mark = f"GRASP_TEST_GRAPH={os.getpid()}-{time.monotonic_ns()}"
        name, value = self.mark.split("=")
        self.process = subprocess.Popen(
            command,
            env={**environment, name: value, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Launch:
        Launch.open.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        Launch.open.remove(self)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        for pid in self.descendants():
            os.kill(pid, signal.SIGKILL)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def wait_for(self, pattern: str, timeout_s: float = 60.0) -> re.Match[str]:
        """The first line, old or new, that matches; fails with the whole output when none comes in time."""
        deadline, seen = time.monotonic() + timeout_s, 0
        with self._news:
            while True:
                for line in self.lines[seen:]:
                    if match := re.search(pattern, line):
                        return match
                seen = len(self.lines)
                if self._ended or not self._news.wait(max(0.0, deadline - time.monotonic())):
                    raise AssertionError(f"no line matched {pattern!r}; the output was:\n" + self.text())

    def finish(self, timeout_s: float = 60.0) -> int:
        """Wait for the end and for the rest of the output; return the exit code."""
        code = self.process.wait(timeout_s)
        with self._news:
            assert self._news.wait_for(lambda: self._ended, timeout_s), "its output goes on after its end"
        return code

    def text(self) -> str:
        """All output so far."""
        with self._news:
            return "\n".join(self.lines)

    def descendants(self) -> list[int]:
        """Processes that carry this launch's mark and are alive, the launch itself left out."""
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            pid = int(path.parent.name)
            try:
                marked = self.mark.encode() in path.read_bytes().split(b"\0")
                state = (path.parent / "stat").read_text().rsplit(")", 1)[1].split()[0]
            except (OSError, IndexError):
                continue  # it ended while we looked
            if marked and state != "Z" and pid != self.process.pid:
                found.append(pid)
        return found

    def pid_of(self, words: Iterable[str]) -> int:
        """The one descendant whose command line holds all words."""
        wanted = [word.encode() for word in words]
        hits = [
            pid
            for pid in self.descendants()
            if all(word in Path(f"/proc/{pid}/cmdline").read_bytes() for word in wanted)
        ]
        assert len(hits) == 1, f"{hits} match {wanted}"
        return hits[0]


def wait_until(condition, timeout_s: float = 20.0) -> bool:
    """Poll a condition on other processes, for which no event exists, until it holds or time is up."""
    deadline = time.monotonic() + timeout_s
    gate = threading.Event()
    while time.monotonic() < deadline:
        if condition():
            return True
        gate.wait(0.05)
    return bool(condition())
