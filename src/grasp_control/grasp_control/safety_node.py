# SPDX-License-Identifier: Apache-2.0
"""The e-stop service of an arm. It is no safety function: the robot's own red button is."""

from __future__ import annotations

import time
from typing import Protocol

from rclpy.node import Node
from std_srvs.srv import Trigger


class Stoppable(Protocol):
    """What can be stopped and released, from any thread."""

    def halt(self) -> str:
        """Stop now; in words what was done."""
        ...

    def release(self) -> None:
        """Take motions again."""
        ...


class SafetyNode(Node):
    """The e-stop: a node with a thread of its own, so that nothing else can keep it waiting."""

    def __init__(self, arm: Stoppable) -> None:
        super().__init__("arm_safety")
        self._arm = arm
        self.create_service(Trigger, "e_stop", self._halt)
        self.create_service(Trigger, "e_stop_release", self._release)

    def _halt(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        began = time.monotonic()
        response.message = self._arm.halt()
        response.success = True
        self.get_logger().warning(f"e-stop ({1e3 * (time.monotonic() - began):.0f} ms): {response.message}")
        return response

    def _release(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._arm.release()
        response.success, response.message = True, "motions are taken again; none goes on by itself"
        return response
