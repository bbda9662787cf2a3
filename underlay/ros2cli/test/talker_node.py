# SPDX-License-Identifier: Apache-2.0
"""A node for the tests: topics of three kinds, a service, parameters and, where asked for, an action."""

import sys

import rclpy
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String
from std_srvs.srv import SetBool

HEIGHT, WIDTH = 120, 160


class Talker(Node):
    """Publishes /chatter (reliable), /image (best effort), /latched (transient local); serves /switch."""

    def __init__(self, rate_hz: float = 20.0) -> None:
        super().__init__("talker", namespace="/lab")
        self.declare_parameter("speed", 1.5)
        self.declare_parameter("limits.low", [1, 2, 3])
        self.count = 0
        self.chatter = self.create_publisher(String, "/chatter", 10)
        self.image = self.create_publisher(Image, "/image", qos_profile_sensor_data)
        latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        self.latched = self.create_publisher(CameraInfo, "/latched", latched)
        self.latched.publish(CameraInfo(height=HEIGHT, width=WIDTH, k=[float(i) for i in range(9)]))
        self.create_service(SetBool, "/switch", self.on_switch)
        self.create_timer(1.0 / rate_hz, self.tick)

    def tick(self) -> None:
        self.count += 1
        self.chatter.publish(String(data=f"hello {self.count}"))
        image = Image(height=HEIGHT, width=WIDTH, encoding="rgb8", step=3 * WIDTH, data=bytes(HEIGHT * WIDTH * 3))
        image.header.stamp = self.get_clock().now().to_msg()
        image.header.frame_id = "camera"
        self.image.publish(image)

    def on_switch(self, request, response):
        response.success = request.data
        response.message = "on" if request.data else "off"
        return response


def serve_gripper(node: Node) -> ActionServer:
    """Serve control_msgs/GripperCommand under /grip, in three steps; a goal with effort < 0 runs until canceled."""
    from control_msgs.action import GripperCommand

    def execute(handle):
        goal = handle.request.command
        feedback = GripperCommand.Feedback()
        for step in range(3):
            feedback.position = goal.position * (step + 1) / 3
            handle.publish_feedback(feedback)
        while goal.max_effort < 0 and not handle.is_cancel_requested:
            node.get_clock().sleep_for(rclpy.duration.Duration(seconds=0.02))
        if handle.is_cancel_requested:
            handle.canceled()
        else:
            handle.succeed()
        return GripperCommand.Result(position=goal.position, reached_goal=True)

    return ActionServer(
        node,
        GripperCommand,
        "/grip",
        execute,
        cancel_callback=lambda _goal: CancelResponse.ACCEPT,
        callback_group=ReentrantCallbackGroup(),
    )


def main() -> None:
    rclpy.init()
    node = Talker()
    server = serve_gripper(node) if "--action" in sys.argv else None
    executor = MultiThreadedExecutor(num_threads=3)
    executor.add_node(node)
    print("ready", flush=True)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        if server is not None:
            server.destroy()
        node.destroy_node()
        rclpy.try_shutdown()


if __name__ == "__main__":
    main()
