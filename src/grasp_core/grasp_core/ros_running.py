# SPDX-License-Identifier: Apache-2.0
"""How a node's program begins, serves and ends: refusals in words, an orderly end when told to stop."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import rclpy
from rclpy.action import ActionClient, ActionServer
from rclpy.executors import Executor, ExternalShutdownException, MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

# By these codes a launch knows that starting the node again would not help, a shell that it was told to stop.
REFUSED_CODE, STOPPED_CODE = 2, 130
# How often a serving executor looks whether it was told to stop (s).
LOOK_S = 0.2
# How long it serves on at the end, so that results leave (s).
LEAVE_S = 0.4
# A signal so long after the first one is meant: the program ends where it is (s).
PATIENCE_S = 2.0
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Program:
    """A node's program: ``told`` is set once it is to stop; a signal ends it where it is unless it is ``listening``."""

    def __init__(self) -> None:
        self.told = threading.Event()
        self.begun = False
        self._told_at = float("inf")
        self.listening = self._patient = False
        self._executor: Any = None

    def listen(self, patient: bool = False) -> None:
        """From now on a signal sets ``told``; before, it ends the program where it is.

        Another one, ``PATIENCE_S`` later, still does, unless ``patient``: hardware comes to rest first.
        """
        self.listening, self._patient = True, patient

    def spin(self, node: Node, threads: int = 1, ended: Callable[[], bool] = lambda: False) -> None:
        """Serve a node until told to stop, or until ``ended``; ``listen`` first where it should be ``patient``."""
        if not self.listening:
            self.listen()
        self.begun = True
        self._executor = MultiThreadedExecutor(threads) if threads > 1 else SingleThreadedExecutor()
        self._executor.add_node(node)
        while not (self.told.is_set() or ended()):
            self._executor.spin_once(timeout_sec=LOOK_S)

    def last_words(self, done: Callable[[], bool] = lambda: True, limit_s: float = 0.0) -> None:
        """After ``spin``: serve on until ``done``, for ``limit_s`` at most, then for ``LEAVE_S``: results leave."""
        self._serve(limit_s, done)
        self._serve(LEAVE_S, lambda: False)

    def _serve(self, limit_s: float, done: Callable[[], bool]) -> None:
        # By the clock and not by rounds: on a busy node twenty rounds are over in no time.
        deadline = time.monotonic() + limit_s
        while not done() and (left_s := deadline - time.monotonic()) > 0.0:
            self._executor.spin_once(timeout_sec=min(left_s, 0.02))

    def hear(self, *_: object) -> None:
        """A signal has come."""
        now = time.monotonic()
        again = not self._patient and now - self._told_at > PATIENCE_S
        self._told_at = min(self._told_at, now)
        # Also where it is raised: what is interrupted may swallow it, as destructors do.
        self.told.set()
        if again or not self.listening:
            raise KeyboardInterrupt


@contextlib.contextmanager
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
        SystemExit: help was asked for, which starts nothing; the node was refused, with ``REFUSED_CODE`` and its
            sentence logged; or it was told to stop again while it did not come to its end, with ``STOPPED_CODE``.
    """
    if {"-h", "--help"} & set(sys.argv[1:] if args is None else args):
        print(
            f"usage: {name} --ros-args -p NAME:=VALUE ...\n\n`ros2 param describe /{name} NAME` tells of a parameter."
        )
        raise SystemExit(0)
    running = Program()
    try:
        # Both: a shell has what it starts in the background ignore the one, and Python knows nothing of the other.
        for number in SIGNALS:
            signal.signal(number, running.hear)
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        yield running
    except refusals as error:
        if running.begun:
            raise
        rclpy.logging.get_logger(name).fatal(str(error))
        raise SystemExit(REFUSED_CODE) from error
    except KeyboardInterrupt:
        # Told to stop while the node was being made: there is nothing to end. Or told again.
        if running.listening:
            raise SystemExit(STOPPED_CODE) from None
    finally:
        rclpy.try_shutdown()
        for number in SIGNALS:
            # Python still waits for threads of the executor, in which a callback may hang.
            signal.signal(number, signal.SIG_DFL)


def spin_until(executor: Executor, over: threading.Event) -> None:
    """Serve in a thread of its own until ``over``, or until the context ends.

    Join the thread before the executor is shut down: rclpy destroys what the thread would still use.
    """
    with contextlib.suppress(ExternalShutdownException):
        while not over.is_set():
            executor.spin_once(timeout_sec=LOOK_S)


def leave_graph(node: Node) -> None:
    """Destroy a node whose executor has ended, with its actions.

    rclpy's ``destroy_node`` leaves action servers and clients as they are, and these keep the node in the graph: others
    go on seeing it, and send it goals.
    """
    for waitable in list(node.waitables):
        if isinstance(waitable, ActionClient | ActionServer):
            waitable.destroy()
    node.destroy_node()
