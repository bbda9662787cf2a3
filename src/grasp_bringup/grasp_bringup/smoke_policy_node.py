# SPDX-License-Identifier: Apache-2.0
"""The smoke graph's policy: answers the action ``infer`` with a grasp on the disc in the newest picture."""

from __future__ import annotations

import numpy as np
from rclpy.action import ActionServer
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.task import Future
from rclpy.time import Time
from sensor_msgs.msg import Image

from grasp_bringup.smoke_picture import locate, to_base
from grasp_core.ros_running import program
from grasp_interfaces.action import Infer
from grasp_interfaces.msg import PolicyAction

PICTURE_TIMEOUT_S = 5.0


class SmokePolicyNode(Node):
    """Subscribes ``camera/color/image_raw``, offers ``infer``; decides on a picture as new as asked for."""

    def __init__(self) -> None:
        super().__init__("smoke_policy")
        self._waiting: list[tuple[int, Future]] = []
        self.create_subscription(Image, "camera/color/image_raw", self._on_image, qos_profile_sensor_data)
        self._server = ActionServer(self, Infer, "infer", self._infer)
        self.get_logger().info("ready")

    def _on_image(self, message: Image) -> None:
        stamp_ns = Time.from_msg(message.header.stamp).nanoseconds
        served = [future for since_ns, future in self._waiting if stamp_ns >= since_ns]
        self._waiting = [(since_ns, future) for since_ns, future in self._waiting if stamp_ns < since_ns]
        for future in served:
            future.set_result(message)

    async def _picture(self, not_before_ns: int) -> Image | None:
        """The first picture to come that was taken then or later; none when the camera stays silent."""
        future = Future(executor=self.executor)
        self._waiting.append((not_before_ns, future))
        patience = self.create_timer(PICTURE_TIMEOUT_S, lambda: future.done() or future.set_result(None))
        try:
            return await future
        finally:
            self.destroy_timer(patience)

    async def _infer(self, goal: ServerGoalHandle) -> Infer.Result:
        goal.publish_feedback(Infer.Feedback(stage="picture"))
        result = Infer.Result()
        message = await self._picture(Time.from_msg(goal.request.not_before).nanoseconds)
        if message is None:
            result.message = f"the camera was silent for {PICTURE_TIMEOUT_S} s"
            goal.abort()
            return result
        pixels = np.frombuffer(message.data, dtype=np.uint8).reshape(message.height, message.width, 3)
        centre = locate(pixels)
        action = PolicyAction(header=message.header)
        if centre is None:
            action.kind = PolicyAction.STOP
            action.stop_reason = "the table is empty"
        else:
            action.kind = PolicyAction.GRASP
            action.grasp.pose.position.x, action.grasp.pose.position.y = to_base(*centre)
            action.grasp.width = -1.0
            action.grasp.score = 1.0
        result.success = True
        result.decision.action = action
        result.decision.value = action.grasp.score
        goal.succeed()
        return result


def main(args: list[str] | None = None) -> None:
    """Run the node until it is told to stop."""
    with program("smoke_policy", (), args) as running:
        running.spin(SmokePolicyNode())
        running.last_words()
