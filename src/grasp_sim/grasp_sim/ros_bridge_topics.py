# SPDX-License-Identifier: Apache-2.0
"""What the bridge publishes: clock, joints, pictures, diagnostics, and the truth on a namespace of its own."""

from __future__ import annotations

from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import String
from visualization_msgs.msg import MarkerArray

from grasp_core.camera import CameraFrame
from grasp_core.cell_config import CellConfig
from grasp_sim import ros_conversions as ros
from grasp_sim.bridge import Bridge
from grasp_sim.plant_server import PlantServer
from grasp_sim.truth import GroundTruth

# Joint states between two messages of ground truth.
TRUTH_EVERY = 10


class BridgeTopics:
    """Publishers of a bridge's node; its three callbacks for ``Bridge`` are called from the thread of physics.

    Args:
        node: whose publishers.
        config: the cell.
        prefix: in front of every joint and robot frame.
        alone: whether this node is the clock and the robot; not so beside controllers of their own.
    """

    def __init__(self, node: Node, config: CellConfig, prefix: str, alone: bool) -> None:
        self._node, self._config, self._prefix, self._alone = node, config, prefix, alone
        self._states = 0
        self._bridge: Bridge
        self._plant: PlantServer | None = None
        self._truth: GroundTruth | None = None
        if alone:
            self._clock = node.create_publisher(Clock, "/clock", qos_profile_sensor_data)
            self._joints = node.create_publisher(JointState, "joint_states", 10)
        latest = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._objects = node.create_publisher(MarkerArray, "ground_truth/objects", latest)
        self._held = node.create_publisher(String, "ground_truth/held", latest)
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", 1)
        self._cameras: dict[str, dict[str, Any]] = {}
        for name, camera in config.cameras.items():
            kinds = {"color/image_raw": Image, "color/camera_info": CameraInfo} if camera.rgb else {}
            if camera.depth:
                kinds |= {"depth/image_rect_raw": Image, "depth/camera_info": CameraInfo}
            self._cameras[name] = {
                topic: node.create_publisher(kind, f"{name}/{topic}", qos_profile_sensor_data)
                for topic, kind in kinds.items()
            }

    def attach(self, bridge: Bridge, plant: PlantServer | None) -> None:
        """Whose world is told of, and behind which plant; before the bridge starts."""
        self._bridge, self._plant = bridge, plant

    def tell_truth(self, truth: GroundTruth) -> None:
        """From now on where the objects are and what is held is published too."""
        self._truth = truth

    def on_state(self, now_ns: int) -> None:
        """Joint states, and the truth now and then."""
        if self._alone:
            self._clock.publish(Clock(clock=ros.time_message(now_ns)))
            robot = self._bridge.world.robot
            positions, velocities = robot.state_of(robot.joint_names)
            message = ros.joint_state_message(robot.joint_names, positions, velocities, self._prefix, now_ns)
            self._joints.publish(message)
        self._states += 1
        if self._states % TRUTH_EVERY == 0 and self._truth is not None:
            world = self._bridge.world
            things = [(thing, world.pose_of(thing)) for thing in world.present()]
            stamp_ns = self._stamp_ns(now_ns)
            self._objects.publish(ros.truth_message(things, ros.header(stamp_ns, self._config.base_frame)))
            held = {h.thing.id for gripper in self._config.grippers for h in self._truth.held(gripper)}
            self._held.publish(String(data=",".join(str(i) for i in sorted(held))))

    def wanted(self, camera: str) -> bool:
        """Whether anybody looks at a camera."""
        return any(publisher.get_subscription_count() for publisher in self._cameras[camera].values())

    def on_picture(self, camera: str, frame: CameraFrame) -> None:
        """A picture under the names that a camera's driver has for it."""
        publishers = self._cameras[camera]
        mounted_on_robot = self._config.cameras[camera].mount == "hand"
        prefix = self._prefix if mounted_on_robot and self._prefix else ""
        head = ros.header(self._stamp_ns(frame.stamp_ns), prefix + self._config.cameras[camera].frame)
        info = ros.camera_info_message(frame.intrinsics, head)
        if frame.rgb is not None:
            publishers["color/camera_info"].publish(info)
            publishers["color/image_raw"].publish(ros.image_message(frame.rgb, "rgb8", head))
        if frame.depth_m is not None:
            publishers["depth/camera_info"].publish(info)
            publishers["depth/image_rect_raw"].publish(ros.image_message(frame.depth_m, "32FC1", head))

    def diagnose(self) -> None:
        """How fast the world runs and the pictures come."""
        targets = {name: camera.rate_hz for name, camera in self._config.cameras.items()}
        stamp = ros.time_message(self._stamp_ns(self._bridge.now_ns))
        self._diagnostics.publish(ros.diagnostics_message(self._node.get_name(), self._bridge.rates(), targets, stamp))

    def _stamp_ns(self, now_ns: int) -> int:
        """Simulated time where it is everybody's time; beside a real-time controller the system's time."""
        return now_ns if self._plant is None else self._plant.stamp_ns(now_ns)
