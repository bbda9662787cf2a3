# SPDX-License-Identifier: Apache-2.0
"""How a node's program begins, turns and ends: refusals in words, an orderly end when told to stop."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import rclpy
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

# By this code a launch knows that starting the node again would not help.
REFUSED_CODE = 2
# How often a turning executor looks whether it was told to stop (s).
LOOK_S = 0.2
# Rounds of the executor after the end, and their longest wait (s): results leave through them.
LAST_ROUNDS, LAST_ROUND_S = 20, 0.02
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Program:
    """A node's program from its first turn on; ``told`` is set when a signal tells it to stop."""

    def __init__(self) -> None:
        self.told = threading.Event()
        self.begun = False
        self._executor: Any = None

    def begin(self) -> None:
        """From now on a signal sets ``told``; before, it ends the program where it is."""
        self.begun = True
        for number in SIGNALS:
            signal.signal(number, lambda *_: self.told.set())

    def turn(self, node: Node, threads: int = 1, ended: Callable[[], bool] = lambda: False) -> None:
        """Serve a node until told to stop, or until ``ended``."""
        self.begin()
        self._executor = MultiThreadedExecutor(threads) if threads > 1 else SingleThreadedExecutor()
        self._executor.add_node(node)
        while not (self.told.is_set() or ended()):
            self._executor.spin_once(timeout_sec=LOOK_S)

    def last_words(self, done: Callable[[], bool] = lambda: True, limit_s: float = 0.0) -> None:
        """Serve on until ``done``, for ``limit_s`` at most, and then until its results have left."""
        deadline = time.monotonic() + limit_s
        while not done() and time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=LAST_ROUND_S)
        for _ in range(LAST_ROUNDS):
            self._executor.spin_once(timeout_sec=LAST_ROUND_S)


@contextmanager
def program(name: str, refusals: tuple[type[Exception], ...], args: list[str] | None = None) -> Iterator[Program]:
    """ROS for the time of a node's program.

    rclpy's own handlers of signals are not used: they end the context at once, while goals still have to be told how
    they ended, and robots have to be halted. Nor is an executor shut down at the end: that destroys what callbacks in
    its threads still use.

    Args:
        name: of the node, for the sentence of a refusal.
        refusals: what a node raises that refuses its parameters while it is made; later they are errors as any other.
        args: of the program; those of the process if there are none.

    Raises:
        SystemExit: the node was refused; with ``REFUSED_CODE``, its sentence is logged.
    """
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    running = Program()
    # Both, since a shell has what it starts in the background ignore the one, and Python knows nothing of the other.
    for number in SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        yield running
    except refusals as error:
        if running.begun:
            raise
        rclpy.logging.get_logger(name).fatal(str(error))
        raise SystemExit(REFUSED_CODE) from error
    except KeyboardInterrupt:
        if running.begun:
            raise
        # Told to stop while the node was being made: there is nothing to end.
    finally:
        rclpy.try_shutdown()
