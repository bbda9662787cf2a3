# SPDX-License-Identifier: Apache-2.0
"""The loopback controllers as a part of a graph: parameters in, and a topic that takes faults as JSON."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import threading

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import String

from grasp_control import ros_conversions as ros
from grasp_control.loopback.server import Loopback, PortTaken
from grasp_control.loopback.settings import LoopbackSettings
from grasp_core.config import ConfigError
from grasp_core.resources import ResourceError
from grasp_core.ros_running import program, spin_until


class LoopbackNode(Node):
    """Takes faults on ``~/fault``; the controllers run in the main thread's event loop."""

    def __init__(self) -> None:
        super().__init__("loopback")
        self.settings = ros.declared_parameters(self, LoopbackSettings)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loopback: Loopback | None = None
        self.create_subscription(String, "~/fault", self._fault, 10)

    def attach(self, loopback: Loopback, loop: asyncio.AbstractEventLoop) -> None:
        """Faults go to these controllers from now on."""
        self._loopback, self._loop = loopback, loop

    def _fault(self, message: String) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._apply, message.data)

    def _apply(self, text: str) -> None:
        assert self._loopback is not None
        try:
            values = json.loads(text)
            self._loopback.faults.apply(values.pop("fault"), **values)
            self.get_logger().info(f"fault: {text}")
        except (ValueError, KeyError, AttributeError) as error:
            self.get_logger().error(f"no fault was put into effect by {text!r}: {error}")


async def serve(node: LoopbackNode) -> None:
    """Run the controllers until a signal comes."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    loopback = Loopback(node.settings)
    node.attach(loopback, loop)
    s = node.settings
    text = f"{s.controller} and RG2 ({s.gripper}) at {s.host}, faults at port {s.control_port}"
    await loopback.run(lambda: node.get_logger().info(f"loopback controllers ready: {text}"), stop)


def main(args: list[str] | None = None) -> None:
    """Run until told to stop."""
    logging.basicConfig(level=logging.WARNING, format="[%(name)s] %(levelname)s: %(message)s")
    with program("loopback_node", (ConfigError, ResourceError, PortTaken), args):
        node, executor, over = LoopbackNode(), SingleThreadedExecutor(), threading.Event()
        executor.add_node(node)
        spinner = threading.Thread(target=spin_until, args=(executor, over), daemon=True)
        spinner.start()
        try:
            asyncio.run(serve(node))
        finally:
            over.set()
            spinner.join()


if __name__ == "__main__":
    main()
