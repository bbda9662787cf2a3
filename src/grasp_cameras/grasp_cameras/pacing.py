# SPDX-License-Identifier: Apache-2.0
"""Playing a recording at the speed at which it was taken."""

from __future__ import annotations

import threading
import time


class Pacer:
    """Says when the frame with a given recorded time is due; the first is due at once."""

    def __init__(self) -> None:
        self._start: tuple[int, int] | None = None
        self._closed = threading.Event()

    def restart(self) -> None:
        """The next frame is the first again."""
        self._start = None
        self._closed.clear()

    def wait(self, recorded_ns: int, timeout_s: float) -> bool:
        """Wait until the frame is due; False where that takes longer than the time-out or the recording was closed."""
        now_ns = time.monotonic_ns()
        if self._start is None:
            self._start = (now_ns, recorded_ns)
        due_ns = self._start[0] + recorded_ns - self._start[1]
        delay_s = (due_ns - now_ns) * 1e-9
        if delay_s <= 0.0:
            return True
        closed = self._closed.wait(min(delay_s, timeout_s))
        return not closed and delay_s <= timeout_s

    def close(self) -> None:
        """End any wait."""
        self._closed.set()
