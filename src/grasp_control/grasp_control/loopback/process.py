# SPDX-License-Identifier: Apache-2.0
"""Loopback controllers in a process of their own: for tests, benchmarks and the fault table.

A process of their own is needed: ur_rtde's constructors keep Python's interpreter lock while they wait for answers.
"""

from __future__ import annotations

import itertools
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from grasp_control.loopback.server import send_fault
from grasp_control.loopback.settings import LoopbackSettings

START_S, END_S = 60.0, 30.0
NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class LoopbackProcess:
    """Loopback controllers that run."""

    settings: LoopbackSettings
    process: subprocess.Popen

    @property
    def host(self) -> str:
        """Where clients find them."""
        return self.settings.host

    def fault(self, name: str, **options: Any) -> dict[str, Any]:
        """Put a fault upon them; see ``faults``."""
        return send_fault(self.host, self.settings.control_port, name, **options)


def own_address() -> str:
    """A loopback address that no other process of this machine is likely to use."""
    pid = os.getpid()
    return f"127.{10 + pid // 250 % 240}.{pid % 250}.{next(NUMBERS) % 250 + 1}"


@contextmanager
def loopback(**options: Any) -> Iterator[LoopbackProcess]:
    """Start them, at an address of their own unless ``host`` is given; ended when the context is left.

    Raises:
        RuntimeError: they did not start; with what they said.
    """
    settings = LoopbackSettings.from_mapping({"host": own_address(), **options}, "loopback options")
    words = [f"--{name.replace('_', '-')}={value}" for name, value in settings.model_dump(exclude_unset=True).items()]
    process = subprocess.Popen(
        [sys.executable, "-m", "grasp_control.loopback.server", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: queue.Queue[str] = queue.Queue()
    reader = threading.Thread(target=_pass_on, args=(process, lines), daemon=True)
    reader.start()
    heard: list[str] = []
    try:
        while not heard or "ready" not in heard[-1]:
            heard.append(lines.get(timeout=START_S))
            if not heard[-1]:
                raise RuntimeError("the loopback controllers did not start:\n" + "".join(heard))
        yield LoopbackProcess(settings, process)
    except queue.Empty:
        raise RuntimeError("the loopback controllers did not start in time:\n" + "".join(heard)) from None
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(END_S)
        reader.join(END_S)


def _pass_on(process: subprocess.Popen, lines: queue.Queue[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put("")
