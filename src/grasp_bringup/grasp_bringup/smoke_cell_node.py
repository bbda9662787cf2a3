# SPDX-License-Identifier: Apache-2.0
"""The smoke graph's cell: shows a picture, asks the policy where to grasp, checks the answer, moves the disc."""

from __future__ import annotations

import sys
import time
from array import array

import numpy as np
import rclpy
from rcl_interfaces.msg import IntegerRange, ParameterDescriptor
from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from grasp_bringup.smoke_picture import HEIGHT, METRES_PER_PIXEL, RADIUS, WIDTH, draw, to_base
from grasp_core.ros_running import program
from grasp_interfaces.action import Infer
from grasp_interfaces.msg import PolicyAction


class SmokeCellNode(Node):
    """Publishes ``camera/color/image_raw`` at 30 Hz; ``run`` makes the exchanges."""

    def __init__(self) -> None:
        super().__init__("smoke_cell")
        self._exchanges = self.declare_parameter(
            "exchanges", 5, _whole("how many answers to check", 1, 1_000_000)
        ).value
        self._seed = self.declare_parameter("seed", 0, _whole("seed of the disc's places", 0, 2**31)).value
        self._timeout_s = 20.0
        self._client = ActionClient(self, Infer, "infer")
        self._publisher = self.create_publisher(Image, "camera/color/image_raw", qos_profile_sensor_data)
        self._picture: Image | None = None
        self.create_timer(1.0 / 30.0, self._show)

    def run(self) -> bool:
        """Make the exchanges; whether every answer was right to a pixel and a half."""
        if not self._client.wait_for_server(timeout_sec=self._timeout_s):
            self.get_logger().error(f"nobody offers the action infer after {self._timeout_s} s")
            return False
        rng = np.random.default_rng(self._seed)
        good = sum(self._exchange(k, rng) for k in range(self._exchanges))
        self.get_logger().info(f"{good} of {self._exchanges} answers were right")
        return good == self._exchanges

    def _exchange(self, k: int, rng: np.random.Generator) -> bool:
        u = int(rng.integers(RADIUS, WIDTH - RADIUS))
        v = int(rng.integers(RADIUS, HEIGHT - RADIUS))
        self._picture = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=3 * WIDTH)
        self._picture.header.frame_id = "base_link"
        self._picture.data = array("B", draw(u, v).tobytes())
        expected = np.array(to_base(u, v))
        begin = time.monotonic()
        result = self._infer(k)
        if result is None:
            return False
        if not result.success:
            self.get_logger().error(f"exchange {k}: no decision: {result.message}")
            return False
        action = result.decision.action
        answer = np.array([action.grasp.pose.position.x, action.grasp.pose.position.y])
        self.get_logger().info(
            f"exchange {k}: disc at ({expected[0]:+.3f}, {expected[1]:+.3f}) m, answered "
            f"({answer[0]:+.3f}, {answer[1]:+.3f}) m in {1000 * (time.monotonic() - begin):.0f} ms"
        )
        return action.kind == PolicyAction.GRASP and np.linalg.norm(answer - expected) <= 1.5 * METRES_PER_PIXEL

    def _goal(self, k: int) -> Infer.Goal:
        now = self.get_clock().now().to_msg()
        return Infer.Goal(not_before=now, step=k, steps_left=self._exchanges - k - 1)

    def _infer(self, k: int) -> Infer.Result | None:
        sent = self._client.send_goal_async(self._goal(k))
        rclpy.spin_until_future_complete(self, sent, timeout_sec=self._timeout_s)
        handle = sent.result() if sent.done() else None
        if handle is None or not handle.accepted:
            self.get_logger().error("the policy did not take the goal")
            return None
        answer = handle.get_result_async()
        rclpy.spin_until_future_complete(self, answer, timeout_sec=self._timeout_s)
        if not answer.done():
            self.get_logger().error(f"the policy did not answer within {self._timeout_s} s")
            return None
        return answer.result().result

    def _show(self) -> None:
        if self._picture is not None:
            self._picture.header.stamp = self.get_clock().now().to_msg()
            self._publisher.publish(self._picture)


def _whole(description: str, low: int, high: int) -> ParameterDescriptor:
    return ParameterDescriptor(
        description=description, integer_range=[IntegerRange(from_value=low, to_value=high, step=1)]
    )


def main(args: list[str] | None = None) -> None:
    """Run the exchanges; exit code 0 when every answer was right, or when it was told to stop."""
    with program("smoke_cell", (), args):
        sys.exit(0 if SmokeCellNode().run() else 1)
