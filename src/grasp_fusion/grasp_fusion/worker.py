# SPDX-License-Identifier: Apache-2.0
"""Fusing in the background, so that neither the camera nor the robot waits for it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)

# Over how many of the last jobs the rate and the duration are told.
WINDOW = 60


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
        self._job = job
        self._on_refusal = on_refusal
        self._queue: queue.Queue[T | None] = queue.Queue(maxsize=length)
        self._lock = threading.Lock()
        self._state = WorkerState()
        self._done_at: deque[float] = deque(maxlen=WINDOW)
        self._busy_s: deque[float] = deque(maxlen=WINDOW)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="fusion", daemon=True)
        self._thread.start()

    def submit(self, item: T) -> bool:
        """Queue an item; false if an older one had to be dropped for it."""
        dropped = 0
        with self._lock:
            while True:
                try:
                    self._queue.put_nowait(item)
                    break
                except queue.Full:
                    try:
                        self._queue.get_nowait()
                        self._queue.task_done()
                        dropped += 1
                    except queue.Empty:
                        continue
            self._state = replace(self._state, taken=self._state.taken + 1, dropped=self._state.dropped + dropped)
        return dropped == 0

    @property
    def state(self) -> WorkerState:
        """Counts and rates until now."""
        with self._lock:
            rate = 0.0
            if len(self._done_at) > 1 and time.monotonic() - self._done_at[-1] < 2.0:
                rate = (len(self._done_at) - 1) / max(self._done_at[-1] - self._done_at[0], 1e-9)
            busy = 1e3 * sum(self._busy_s) / len(self._busy_s) if self._busy_s else 0.0
            return replace(self._state, rate_hz=rate, busy_ms=busy)

    def drain(self) -> None:
        """Wait until all that was submitted is worked off."""
        self._queue.join()

    def close(self) -> None:
        """Work off the queue and end the thread; raises what ended it early, if anything did."""
        with self._lock:
            if self._thread.is_alive():
                self._queue.put(None)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            started = time.monotonic()
            try:
                self._job(item)
            except ValueError as error:
                with self._lock:
                    self._state = replace(self._state, refused=self._state.refused + 1, last_error=str(error))
                self._on_refusal(error)
            except BaseException as error:
                self._failure = error
                log.exception("the worker ends")
                raise
            else:
                with self._lock:
                    self._done_at.append(time.monotonic())
                    self._busy_s.append(time.monotonic() - started)
                    self._state = replace(self._state, done=self._state.done + 1)
            finally:
                self._queue.task_done()
        self._queue.task_done()
