# SPDX-License-Identifier: Apache-2.0
"""Many cells at once, each in a process of its own, spoken to through a pipe.

``ParallelCells(4, maker)`` starts workers; ``call(index, "execute", action)`` and ``map("reset", ...)`` run a method of
each worker's cell. A worker that dies is reported and replaced; the others never notice.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

from grasp_core.config import ConfigError
from grasp_core.registry import DuplicateNameError, UnknownNameError
from grasp_core.resources import ResourceError

log = logging.getLogger(__name__)

T = TypeVar("T")
START_LIMIT_S = 300.0

# What a user can mend; told in its own words.
REFUSALS = (ConfigError, ResourceError, UnknownNameError, DuplicateNameError)


class WorkerError(RuntimeError):
    """A call in a worker raised; the message carries the worker's traceback."""


class WorkerLost(RuntimeError):
    """A worker's process ended or went silent during a call; it has been replaced by a fresh one."""


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    busy: bool = False


class ParallelCells(Generic[T]):
    """Cells in worker processes.

    Args:
        count: how many.
        make: makes the cell of worker ``index`` inside its process; must be importable (picklable).
        context: ``spawn`` or ``forkserver``; both start clean of the parent's physics and GPU state.
        limit_s: longest wait for one call.

    Raises:
        ConfigError: a cell was refused, in the words of the refusal.
        WorkerError: a cell could not be made; the message carries the worker's traceback.
    """

    def __init__(
        self, count: int, make: Callable[[int], T], context: str = "forkserver", limit_s: float = 600.0
    ) -> None:
        if count < 1:
            raise ValueError(f"count is {count}; at least one cell is needed")
        if context not in ("spawn", "forkserver"):
            raise ValueError(f"context is {context!r}; allowed are spawn and forkserver")
        self._make = make
        self._context = multiprocessing.get_context(context)
        self._limit_s = limit_s
        self.replaced = 0
        self._workers = [self._start(index) for index in range(count)]
        try:
            for index in range(count):
                self._wait_ready(index)
        except (ConfigError, WorkerError):
            self.close()
            raise

    def __len__(self) -> int:
        return len(self._workers)

    def __enter__(self) -> ParallelCells[T]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, index: int, method: str, *args: Any) -> None:
        """Begin a call in a worker; fetch its result with ``receive``.

        Raises:
            RuntimeError: the worker still works on an earlier call.
            WorkerLost: the worker has died; it has been replaced.
        """
        worker = self._workers[index]
        if worker.busy:
            raise RuntimeError(f"worker {index} still works on an earlier call; receive its result first")
        try:
            worker.pipe.send((method, args))
        except (BrokenPipeError, ConnectionResetError, OSError) as error:
            self._replace(index, "its pipe is broken")
            raise WorkerLost(f"worker {index} died before {method}; it was replaced") from error
        worker.busy = True

    def receive(self, index: int) -> Any:
        """Result of the call that was begun last.

        Raises:
            WorkerError: the call raised.
            WorkerLost: the worker died or took longer than the limit; it has been replaced.
        """
        worker = self._workers[index]
        if not worker.busy:
            raise RuntimeError(f"worker {index} has no call to receive a result of")
        try:
            if not worker.pipe.poll(self._limit_s):
                self._replace(index, f"no answer within {self._limit_s} s")
                raise WorkerLost(f"worker {index} did not answer within {self._limit_s} s; it was replaced")
            kind, value = worker.pipe.recv()
        except (EOFError, ConnectionResetError, OSError) as error:
            worker.process.join(1.0)
            code = worker.process.exitcode
            self._replace(index, f"its process ended with code {code}")
            raise WorkerLost(f"worker {index} died (exit code {code}); it was replaced") from error
        worker.busy = False
        if kind == "error":
            raise WorkerError(f"in worker {index}: {value}")
        return value

    def call(self, index: int, method: str, *args: Any) -> Any:
        """Run a method of one worker's cell and wait for the result."""
        self.send(index, method, *args)
        return self.receive(index)

    def map(self, method: str, arguments: Sequence[tuple] | None = None) -> list[Any]:
        """Run a method in every worker at once; results in the workers' order.

        Raises:
            ValueError: not one tuple of arguments for each worker.
            WorkerError, WorkerLost: of the first worker that failed, after all have ended.
        """
        given = list(arguments) if arguments is not None else [()] * len(self)
        if len(given) != len(self):
            raise ValueError(f"{len(given)} argument tuples for {len(self)} workers")
        for index, args in enumerate(given):
            self.send(index, method, *args)
        results: list[Any] = []
        failure: Exception | None = None
        for index in range(len(self)):
            try:
                results.append(self.receive(index))
            except (WorkerError, WorkerLost) as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return results

    def close(self) -> None:
        """End all workers; safe to call twice."""
        for worker in self._workers:
            try:
                worker.pipe.send(None)
            except (BrokenPipeError, ConnectionResetError, OSError):
                log.debug("a worker was gone before it was told to end")
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(5.0)
            if worker.process.is_alive():
                worker.process.terminate()
        self._workers = []

    def _start(self, index: int) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, self._make, index), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours, busy=True)

    def _wait_ready(self, index: int) -> None:
        worker = self._workers[index]
        try:
            if not worker.pipe.poll(START_LIMIT_S):
                worker.process.terminate()
                raise WorkerError(f"worker {index} did not start within {START_LIMIT_S} s")
            kind, value = worker.pipe.recv()
        except EOFError as error:
            raise WorkerError(f"worker {index} ended while its cell was made") from error
        worker.busy = False
        if kind == "refused":
            raise ConfigError(value)
        if kind == "error":
            raise WorkerError(f"worker {index} could not make its cell: {value}")

    def _replace(self, index: int, why: str) -> None:
        log.error("worker %d is replaced: %s", index, why)
        old = self._workers[index]
        old.pipe.close()
        if old.process.is_alive():
            old.process.terminate()
        self.replaced += 1
        self._workers[index] = self._start(index)
        try:
            self._wait_ready(index)
        except ConfigError as error:
            raise WorkerError(f"worker {index} could not make its cell anew: {error}") from error


def _work(pipe: Connection, make: Callable[[int], Any], index: int) -> None:
    try:
        cell = make(index)
    except REFUSALS as error:
        _tell(pipe, "refused", str(error))
        return
    except Exception:  # noqa: BLE001 - whatever it is, the parent must hear of it
        _tell(pipe, "error", traceback.format_exc())
        return
    pipe.send(("ready", None))
    while True:
        try:
            request = pipe.recv()
        except EOFError:
            break
        if request is None:
            break
        method, args = request
        try:
            pipe.send(("value", getattr(cell, method)(*args)))
        except Exception:  # noqa: BLE001 - whatever it is, the parent must hear of it
            pipe.send(("error", traceback.format_exc()))
    close = getattr(cell, "close", None)
    if close is not None:
        close()


def _tell(pipe: Connection, kind: str, text: str) -> None:
    # The parent has heard it from another worker and gone, where that was quicker.
    with contextlib.suppress(BrokenPipeError):
        pipe.send((kind, text))
