# SPDX-License-Identifier: Apache-2.0
"""The node robot_state_publisher: joint states in, transforms out."""

from __future__ import annotations

import math
import sys
from typing import Any

import rclpy
from builtin_interfaces.msg import Time
from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

from robot_state_publisher.robot_tree import PublishGate, RobotTree, UrdfError
from robot_state_publisher.ros_conversions import to_transforms

MAX_FREQUENCY_HZ = 1000.0
PARAMETERS = {
    "robot_description": ("", "the robot as URDF (XML text, not a file name)"),
    "publish_frequency": (
        20.0,
        f"most transforms of one joint per second (Hz), above 0 and up to {MAX_FREQUENCY_HZ:g}",
    ),
    "frame_prefix": ("", "put before every frame name, slash included where one is wanted"),
    "ignore_timestamp": (False, "publish every joint state, whatever its stamp says"),
    "use_robot_description_topic": (False, "not part of this stand-in: must stay false"),
}


class RobotStatePublisher(Node):
    """Publishes /tf, /tf_static and robot_description, from the parameter robot_description and joint_states."""

    def __init__(self) -> None:
        super().__init__("robot_state_publisher")
        for name, (default, description) in PARAMETERS.items():
            self.declare_parameter(name, default, ParameterDescriptor(description=description))
        check = self._check([self.get_parameter(name) for name in PARAMETERS])
        if not check.successful:
            raise UrdfError(check.reason)
        self._gate = PublishGate()
        self._last_seen_ns = 0
        self._tf = TransformBroadcaster(self)
        self._tf_static = StaticTransformBroadcaster(self)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._description = self.create_publisher(String, "robot_description", latched)
        self._set_up()
        self.add_on_set_parameters_callback(self._check)
        self.add_post_set_parameters_callback(self._apply)
        self.create_subscription(JointState, "joint_states", self._on_joint_state, qos_profile_sensor_data)

    def _value(self, name: str) -> Any:
        return self.get_parameter(name).value

    def _check(self, parameters: list[Parameter]) -> SetParametersResult:
        reason = ""
        for parameter in parameters:
            if parameter.name == "robot_description":
                try:
                    RobotTree.from_urdf(parameter.value)
                except UrdfError as error:
                    reason = f"robot_description: {error}" if parameter.value else "robot_description is empty"
            elif parameter.name == "publish_frequency" and not 0 < parameter.value <= MAX_FREQUENCY_HZ:
                reason = f"publish_frequency is {parameter.value} Hz; above 0 and up to {MAX_FREQUENCY_HZ:g} is allowed"
            elif parameter.name == "use_robot_description_topic" and parameter.value:
                reason = "use_robot_description_topic is not part of this stand-in: set robot_description instead"
        return SetParametersResult(successful=not reason, reason=reason)

    def _apply(self, parameters: list[Parameter]) -> None:
        if {parameter.name for parameter in parameters} & {"robot_description", "frame_prefix"}:
            self._set_up()

    def _set_up(self) -> None:
        """Take over the description and publish all that does not move."""
        xml = self._value("robot_description")
        self._tree = RobotTree.from_urdf(xml)
        self._gate.reset()
        for joint in self._tree.without_position():
            fate = (
                "is taken for fixed"
                if joint.is_static
                else "gets no transform from here: whoever knows it publishes it"
            )
            self.get_logger().warning(
                f"joint '{joint.name}' is {joint.kind}, which one number in a joint state cannot describe; "
                f"the link '{joint.child}' {fate}"
            )
        self._description.publish(String(data=xml))
        now = self.get_clock().now().to_msg()
        self._tf_static.sendTransform(to_transforms(self._tree.static_poses(), self._value("frame_prefix"), now))
        self.get_logger().info(f"robot '{self._tree.name}' with {len(self._tree.joints)} joints")

    def _on_joint_state(self, state: JointState) -> None:
        if len(state.name) != len(state.position):
            self.get_logger().warning(
                f"ignored a joint state with {len(state.name)} names and {len(state.position)} positions",
                throttle_duration_sec=5.0,
            )
            return
        now_ns = self.get_clock().now().nanoseconds
        if now_ns < self._last_seen_ns:
            self.get_logger().warning("the clock went back: publishing all joints again")
            self._gate.reset()
        self._last_seen_ns = now_ns
        positions = {name: x for name, x in zip(state.name, state.position, strict=True) if math.isfinite(x)}
        if len(positions) < len(state.name):
            missing = sorted(set(state.name) - set(positions))
            self.get_logger().warning(
                f"joints without a finite position get no transform: {', '.join(missing)}", throttle_duration_sec=5.0
            )
        if not self._is_due(list(positions), state.header.stamp):
            return
        if poses := self._tree.moving_poses(positions):
            self._tf.sendTransform(to_transforms(poses, self._value("frame_prefix"), state.header.stamp))

    def _is_due(self, names: list[str], stamp: Time) -> bool:
        stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
        if self._gate.admit(names, stamp_ns, int(1e9 / self._value("publish_frequency"))):
            return True
        if self._value("ignore_timestamp"):
            return True
        if names and stamp_ns == 0:
            self.get_logger().warning(
                "ignored joint states without a stamp: stamp them, or set ignore_timestamp", throttle_duration_sec=5.0
            )
        return False


def main() -> int:
    """Run the node until it is told to stop; the exit status."""
    if unknown := remove_ros_args(sys.argv)[1:]:
        print(f"robot_state_publisher takes no arguments but --ros-args; not understood: {unknown}", file=sys.stderr)
        return 2
    rclpy.init()
    try:
        rclpy.spin(RobotStatePublisher())
    except (UrdfError, ParameterException) as error:
        rclpy.logging.get_logger("robot_state_publisher").fatal(str(error))
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except Exception:
        # An interrupt while the node is being made shows as whatever call it cut short.
        if rclpy.ok():
            raise
        return 0
    finally:
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
