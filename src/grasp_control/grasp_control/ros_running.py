# SPDX-License-Identifier: Apache-2.0
"""How a driver's node runs: until it is told to stop or breaks down, and then to an orderly end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from grasp_core.config import ConfigError
from grasp_core.resources import ResourceError
from grasp_core.ros_running import program, spin_until


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
    name: str,
    make: Callable[[], DriverNode],
    threads: int,
    beside: Callable[[DriverNode], Node] | None = None,
    args: list[str] | None = None,
) -> None:
    """Run a driver's node; what ``beside`` makes from it gets a thread that nothing else keeps waiting.

    Raises:
        SystemExit: the node refuses its parameters, or broke down.
    """
    over = threading.Event()
    with program(name, (ConfigError, ResourceError, LookupError), args) as running:
        # From the beginning: also a driver that has just been made has hardware that comes to rest.
        running.listen(patient=True)
        node = make()
        try:
            if beside is not None:
                aside = SingleThreadedExecutor()
                aside.add_node(beside(node))
                threading.Thread(target=spin_until, args=(aside, over), daemon=True, name="beside").start()
            running.spin(node, threads, lambda: node.failure is not None)  # type: ignore[arg-type]
            node.rest()
            running.last_words()
            if node.failure is not None:
                raise SystemExit(f"{name}: broke down: {node.failure!r}")
        finally:
            over.set()
            node.close()
