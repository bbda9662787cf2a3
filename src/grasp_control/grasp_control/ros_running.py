# SPDX-License-Identifier: Apache-2.0
"""How a driver's node runs: until it is told to stop or breaks down, and then to an orderly end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Protocol

import rclpy
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from grasp_core.config import ConfigError
from grasp_core.resources import ResourceError

# Rounds of the executor after the hardware has come to rest: results leave through it.
LAST_WORDS = 20
LOOK_S = 0.2


class DriverNode(Protocol):
    """A ``Node`` in front of hardware."""

    failure: BaseException | None

    def rest(self) -> None:
        """Bring the hardware to rest; whoever waits for a motion is told."""
        ...

    def close(self) -> None:
        """Let go of the hardware; safe to call twice."""
        ...


def run_driver(
    program: str,
    make: Callable[[], DriverNode],
    threads: int,
    beside: Callable[[DriverNode], Node] | None = None,
    args: list[str] | None = None,
) -> None:
    """Run a driver's node; what ``beside`` makes from it gets a thread that nothing else keeps waiting.

    Raises:
        SystemExit: the node refuses its parameters, or broke down; with the sentence to print.
    """
    # Not rclpy's own handlers: they end the context at once, while goals still have to be told how they ended.
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    node = None
    try:
        node = make()
        executor = MultiThreadedExecutor(num_threads=threads)
        executor.add_node(node)  # type: ignore[arg-type]
        if beside is not None:
            aside = SingleThreadedExecutor()
            aside.add_node(beside(node))
            threading.Thread(target=_spin, args=(aside, told), daemon=True, name="beside").start()
        while not told.is_set() and node.failure is None:
            executor.spin_once(timeout_sec=LOOK_S)
        node.rest()
        for _ in range(LAST_WORDS):
            executor.spin_once(timeout_sec=0.02)
        if node.failure is not None:
            raise SystemExit(f"{program}: broke down: {node.failure!r}")
    except (ConfigError, ResourceError, LookupError) as error:
        raise SystemExit(f"{program}: {error}") from error
    finally:
        told.set()
        if node is not None:
            node.close()
        rclpy.try_shutdown()


def _spin(executor: SingleThreadedExecutor, told: threading.Event) -> None:
    while not told.is_set():
        executor.spin_once(timeout_sec=LOOK_S)
