# SPDX-License-Identifier: Apache-2.0
"""The policy node: offers the action ``infer``, decides on what the cameras see, and shows what it decided and why."""

from __future__ import annotations

import threading
import time
from typing import Any

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Header
from tf2_ros import Buffer, TransformListener
from visualization_msgs.msg import MarkerArray

from grasp_core.camera import CameraFrame
from grasp_core.cell import Reason
from grasp_core.node_help import show_help
from grasp_core.observation import UNKNOWN_GRIPPER, ArmObservation, Observation
from grasp_core.policy import Decision, Goal
from grasp_core.ports import StateError
from grasp_core.ros_running import program
from grasp_fusion.ros_conversions import declare, lookup, rgb_of, stamp_ns
from grasp_interfaces.action import Infer
from grasp_interfaces.msg import Decision as DecisionMsg
from grasp_policies import ros_conversions as ros
from grasp_policies.node_config import PolicyNodeConfig, choose_cameras
from grasp_policies.ros_pictures import Picture, Pictures

# How long a decision may take to its end when the node is told to stop (s).
LAST_WORDS_S = 3.0


class PolicyNode(Node):
    """Serves one policy; decisions are made one at a time."""

    def __init__(self, **options: Any) -> None:
        super().__init__("policy", **options)
        self._config = PolicyNodeConfig.from_mapping(declare(self, PolicyNodeConfig), "parameter")
        self._cell = self._config.load_cell()
        begin = time.perf_counter()
        self._policy = self._config.load_policy()
        loaded_s = time.perf_counter() - begin
        self._busy, self._ending = threading.Lock(), False
        self._buffer = Buffer(node=self)
        self._listener = TransformListener(self._buffer, self, spin_thread=False)
        inputs = MutuallyExclusiveCallbackGroup()
        self._joints: dict[str, float] = {}
        self._joints_ns = 0
        self.create_subscription(JointState, "joint_states", self._keep_joints, 10, callback_group=inputs)
        self._cameras = {
            name: Pictures(self, name, self._cell.cameras[name], need, self._config, MutuallyExclusiveCallbackGroup())
            for name, need in choose_cameras(self._policy.spec.cameras, self._cell).items()
        }
        self._latest = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._decisions = self.create_publisher(DecisionMsg, "~/decision", self._latest)
        self._markers = self.create_publisher(MarkerArray, "~/markers", self._latest)
        self._maps: dict[str, Any] = {}
        self._server = ActionServer(
            self, Infer, "infer", self._infer, callback_group=ReentrantCallbackGroup(),
            goal_callback=lambda _: GoalResponse.REJECT if self._ending else GoalResponse.ACCEPT,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )  # fmt: skip
        name = self._policy.spec.name
        self.get_logger().info(f"{name} is ready ({loaded_s:.1f} s), looking through {', '.join(self._cameras)}")

    def _keep_joints(self, message: JointState) -> None:
        prefix = self._config.tf_prefix
        named = zip(message.name, message.position, strict=False)
        self._joints.update({name.removeprefix(prefix): value for name, value in named if name.startswith(prefix)})
        self._joints_ns = stamp_ns(message.header.stamp)

    def _infer(self, goal: ServerGoalHandle) -> Infer.Result:
        result = Infer.Result()
        with self._busy:
            try:
                self._decide(goal, result)
            except StateError as error:
                result.message, result.reason = str(error), Reason.STALE_STATE
            except Exception as error:  # noqa: BLE001 # whatever a policy raises ends this decision, not the node
                result.message = f"policy {self._policy.spec.name} failed: {type(error).__name__}: {error}"
                result.reason = Reason.POLICY_FAILED
            if result.success:
                goal.succeed()
            else:
                self.get_logger().warning(result.message)
                goal.abort()
        return result

    @property
    def deciding(self) -> bool:
        """Whether a decision is under way."""
        return self._busy.locked()

    def give_up(self) -> None:
        """The node is about to end: no decision is begun any more, and those that wait for a picture fail at once."""
        self._ending = True
        for camera in self._cameras.values():
            camera.give_up()

    def _decide(self, goal: ServerGoalHandle, result: Infer.Result) -> None:
        request, begin = goal.request, time.perf_counter()
        if request.reset:
            target = rgb_of(request.target_image) if request.target_image.width else None
            self._policy.reset(Goal(target), int(request.seed))
        goal.publish_feedback(Infer.Feedback(stage="picture"))
        not_before_ns = stamp_ns(request.not_before)
        pictures = {name: camera.wait(not_before_ns) for name, camera in self._cameras.items()}
        arrived = time.perf_counter()
        observation = self._observation(pictures, request)
        goal.publish_feedback(Infer.Feedback(stage="policy"))
        placed = time.perf_counter()
        decision = self._policy.act(observation)
        decided = time.perf_counter()
        stages = {"picture": 1e3 * (arrived - begin), "observation": 1e3 * (placed - arrived)}
        rest_ms = 1e3 * (decided - placed) - sum(decision.stages_ms.values())
        stages |= {**decision.stages_ms, "policy": rest_ms}
        told = Decision(decision.action, decision.value, decision.candidates, decision.maps, stages)
        oldest_ns = min((picture.stamp_ns for picture in pictures.values()), default=observation.stamp_ns)
        header = Header(stamp=Time(nanoseconds=oldest_ns).to_msg(), frame_id=self._cell.base_frame)
        result.decision = ros.decision_message(told, header, request.want_maps)
        result.success = True
        self._show(told, header, pictures)

    def _observation(self, pictures: dict[str, Picture], request: Infer.Goal) -> Observation:
        base, prefix, wait_s = self._cell.base_frame, self._config.tf_prefix, self._config.transform_timeout_s
        frames: dict[str, CameraFrame] = {}
        for name, picture in pictures.items():
            frames[name] = self._cameras[name].frame(picture, self._buffer, base)
        grippers = {status.arm: ros.gripper_state(status) for status in request.grippers}
        arms = {}
        for name, arm in self._cell.arms.items():
            try:
                T = lookup(self._buffer, base, prefix + arm.tcp_frame, Time(), wait_s)
            except ValueError as error:
                raise StateError(f"where {arm.tcp_frame} is is not known: {error}") from error
            arms[name] = ArmObservation(T, grippers.get(name, UNKNOWN_GRIPPER))
        left = None if request.steps_left < 0 else int(request.steps_left)
        return Observation(frames, dict(self._joints), arms, self._joints_ns, int(request.step), left)

    def _show(self, decision: Decision, header: Header, pictures: dict[str, Picture]) -> None:
        self._decisions.publish(ros.decision_message(decision, header, False))
        self._markers.publish(ros.decision_markers(decision, header))
        for name, values in decision.maps.items():
            if name not in self._maps:
                self._maps[name] = self.create_publisher(Image, f"~/maps/{name}", self._latest)
            self._maps[name].publish(ros.map_message(values, header))
        for name, picture in pictures.items():
            self._cameras[name].show(picture)


def main(args: list[str] | None = None) -> None:
    """Run the node until it is told to stop."""
    if show_help(PolicyNodeConfig, "ros2 run grasp_policies policy_node", args):
        return
    with program("policy", (ValueError, LookupError, OSError), args) as running:
        node = PolicyNode()
        running.spin(node, threads=4)
        node.give_up()
        running.last_words(lambda: not node.deciding, LAST_WORDS_S)
