# SPDX-License-Identifier: Apache-2.0
"""Fusing in the background, so that neither the camera nor the robot waits for it."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)

# Over how many of the last jobs the rate and the duration are told, and after which silence the rate is zero.
WINDOW = 60
IDLE_S = 2.0


@dataclass(frozen=True)
class WorkerState:
    """What a worker has done: jobs taken, done, dropped because it was late, refused with an error.

    ``rate_hz`` and ``busy_ms`` are means over the last jobs; ``last_error`` is the newest refusal's sentence.
    """

    taken: int = 0
    done: int = 0
    dropped: int = 0
    refused: int = 0
    rate_hz: float = 0.0
    busy_ms: float = 0.0
    last_error: str = ""


class Worker(Generic[T]):
    """One thread that works on a short queue; when it cannot keep up the oldest waiting job is dropped and counted.

    Args:
        job: called with every item; a ``ValueError`` refuses the item and is counted, anything else ends the thread
            and is raised by ``close``.
        length: jobs that may wait.
        on_refusal: called with the error of a refused item, in the worker's thread.
    """

    def __init__(self, job: Callable[[T], None], length: int, on_refusal: Callable[[ValueError], None]) -> None:
        if length < 1:
            raise ValueError(f"length is {length}; at least one job must be able to wait")
        self._job = job
        self._on_refusal = on_refusal
        self._length = length
        self._waiting: deque[T] = deque()
        self._changed = threading.Condition()
        self._is_busy = False
        self._is_closing = False
        self._state = WorkerState()
        self._done_at: deque[float] = deque(maxlen=WINDOW)
        self._busy_s: deque[float] = deque(maxlen=WINDOW)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="fusion", daemon=True)
        self._thread.start()

    def submit(self, item: T) -> bool:
        """Queue an item; false if an older one had to be dropped for it."""
        with self._changed:
            late = len(self._waiting) >= self._length
            if late:
                self._waiting.popleft()
            self._waiting.append(item)
            self._state = replace(self._state, taken=self._state.taken + 1, dropped=self._state.dropped + late)
            self._changed.notify_all()
        return not late

    @property
    def state(self) -> WorkerState:
        """Counts and rates until now."""
        with self._changed:
            rate = 0.0
            if len(self._done_at) > 1 and time.monotonic() - self._done_at[-1] < IDLE_S:
                rate = (len(self._done_at) - 1) / max(self._done_at[-1] - self._done_at[0], 1e-9)
            busy = 1e3 * sum(self._busy_s) / len(self._busy_s) if self._busy_s else 0.0
            return replace(self._state, rate_hz=rate, busy_ms=busy)

    @property
    def failure(self) -> BaseException | None:
        """What ended the thread, if anything did."""
        return self._failure

    def drain(self, timeout_s: float | None = None) -> bool:
        """Wait until all that was submitted is worked off; false when the time ran out or the thread has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure or not (self._waiting or self._is_busy), timeout_s)
            return not (self._waiting or self._is_busy)

    def close(self) -> None:
        """Work off the queue and end the thread; raises what ended it early, if anything did."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_closing)
                if not self._waiting:
                    return
                item = self._waiting.popleft()
                self._is_busy = True
            started = time.monotonic()
            refusal: ValueError | None = None
            try:
                self._job(item)
            except ValueError as error:
                refusal = error
            except BaseException as error:
                self._failure = error
                log.exception("the worker ends")
                return
            finally:
                self._count(started, refusal)
            if refusal is not None:
                self._on_refusal(refusal)

    def _count(self, started: float, refusal: ValueError | None) -> None:
        with self._changed:
            self._is_busy = False
            if refusal is not None:
                self._state = replace(self._state, refused=self._state.refused + 1, last_error=str(refusal))
            elif self._failure is None:
                self._done_at.append(time.monotonic())
                self._busy_s.append(time.monotonic() - started)
                self._state = replace(self._state, done=self._state.done + 1)
            self._changed.notify_all()
