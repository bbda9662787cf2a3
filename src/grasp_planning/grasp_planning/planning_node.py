# SPDX-License-Identifier: Apache-2.0
"""Offers a cell's planner: the action ``plan_motion`` and the service ``set_obstacles``."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from rcl_interfaces.msg import IntegerRange, ParameterDescriptor
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from sensor_msgs.msg import JointState as JointStateMsg

from grasp_core.cell_config import CellConfig
from grasp_core.config import ConfigError
from grasp_core.joint_states import JointStates
from grasp_core.planning import Box, PlanResult, PlanStatus
from grasp_core.ports import JointState, StateError
from grasp_core.resources import ResourceError, find
from grasp_core.ros_running import program
from grasp_interfaces.action import PlanMotion
from grasp_interfaces.srv import SetObstacles

from . import ros_conversions as ros
from .factory import BACKENDS, PlannerUnavailableError, choose_backend, make_planner
from .requests import PlanSettings

# How long a plan may take to its end when the node is told to stop (s).
LAST_WORDS_S = 3.0


class PlanningNode(Node):
    """Plans on request, one request at a time; a request that makes no sense is answered with the reason."""

    def __init__(self, **node_arguments: Any) -> None:
        super().__init__("planning_node", **node_arguments)
        cell = self._parameter("cell", "", "which cell: the name of a file in config/cells")
        wanted = self._parameter("planner", "auto", f"back end, one of {', '.join(BACKENDS)}")
        seed = self._parameter(
            "seed", 1, "seed of every request", IntegerRange(from_value=1, to_value=2**31 - 1, step=1)
        )
        self._fastest = self._parameter("speed_scale", 1.0, "largest share of the joint limits that a plan may use")
        self.config = CellConfig.from_yaml(find("config", f"cells/{cell}.yaml"))
        self.get_logger().info(f"{cell}: {choose_backend(wanted).reason}")
        self.planner = make_planner(wanted, self.config, PlanSettings(seed=seed))
        self._states = JointStates(self.config.limits.max_state_age_s, lambda: self.get_clock().now().nanoseconds)
        self._one_at_a_time, self._ending = threading.Lock(), False
        listening = MutuallyExclusiveCallbackGroup()
        self.create_subscription(JointStateMsg, "/joint_states", self._remember, 10, callback_group=listening)
        self.create_service(SetObstacles, "set_obstacles", self._set_obstacles)
        self._server = ActionServer(
            self,
            PlanMotion,
            "plan_motion",
            self._plan,
            goal_callback=lambda _: GoalResponse.REJECT if self._ending else GoalResponse.ACCEPT,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=ReentrantCallbackGroup(),
        )

    def _parameter(self, name: str, default: Any, description: str, numbers: IntegerRange | None = None) -> Any:
        descriptor = ParameterDescriptor(description=description, read_only=True)
        descriptor.integer_range = [numbers] if numbers else []
        return self.declare_parameter(name, default, descriptor).value

    def _remember(self, message: JointStateMsg) -> None:
        try:
            self._states.add(ros.joint_state_from_msg(message))
        except ValueError as error:
            self.get_logger().warning(f"a joint state was dropped: {error}", throttle_duration_sec=5.0)

    def _set_obstacles(self, request: SetObstacles.Request, response: SetObstacles.Response) -> SetObstacles.Response:
        frame = request.header.frame_id
        arm = next((name for name, arm in self.config.arms.items() if arm.tcp_frame == frame), None)
        try:
            obstacles = tuple(ros.obstacle_from_msg(message) for message in request.obstacles)
            if arm is None:
                self._check_frame(frame)
            elif not all(isinstance(obstacle, Box) for obstacle in obstacles):
                raise ValueError(f"what arm {arm} holds must be given as boxes")
            with self._one_at_a_time:
                # In the frame of a tool: what its hand carries. In the base frame: what stands around.
                if arm is None:
                    self.planner.set_obstacles(obstacles)
                else:
                    self.planner.set_held(arm, obstacles)
        except ValueError as error:
            response.success, response.message = False, str(error)
            return response
        response.success, response.message = True, f"{len(obstacles)} obstacles"
        return response

    @property
    def planning(self) -> bool:
        """Whether a plan is under way."""
        return self._one_at_a_time.locked()

    def give_up(self) -> None:
        """The node is about to end: no plan is begun any more."""
        self._ending = True

    def _plan(self, handle: ServerGoalHandle) -> PlanMotion.Result:
        with self._one_at_a_time:
            self.planner.on_stage = lambda stage: handle.publish_feedback(PlanMotion.Feedback(stage=stage))
            try:
                result = PlanResult(PlanStatus.TIMED_OUT, message="cancelled before planning began")
                if not handle.is_cancel_requested:
                    result = self._answer(handle.request)
            finally:
                self.planner.on_stage = None
            self.get_logger().info(f"{result.status.value} {result.message}".strip())
            if handle.is_cancel_requested:
                handle.canceled()
            elif result.ok:
                handle.succeed()
            else:
                handle.abort()
            return ros.plan_result_to_msg(result)

    def _answer(self, goal: PlanMotion.Goal) -> PlanResult:
        try:
            self._check_frame(goal.header.frame_id)
            options = ros.plan_options(goal, self.config.skills)
            options = replace(options, speed_scale=min(options.speed_scale, self._fastest))
            start = self._start(goal)
            arm = goal.arm or None
            if goal.kind == PlanMotion.Goal.JOINTS:
                wanted = ros.joint_state_from_msg(goal.goal_joints).as_dict()
                return self.planner.plan_to_joints(arm, start, wanted, options)
            if goal.kind == PlanMotion.Goal.POSE:
                return self.planner.plan_to_pose(arm, start, ros.pose_to_matrix(goal.goal_pose), options)
            if goal.kind == PlanMotion.Goal.LINE:
                return self.planner.plan_line(arm, start, ros.pose_to_matrix(goal.goal_pose), options)
            raise ValueError(f"the request has the unknown kind {goal.kind}")
        except (ValueError, StateError) as error:
            return PlanResult(PlanStatus.INVALID_REQUEST, message=str(error))

    def _start(self, goal: PlanMotion.Goal) -> JointState:
        given = ros.joint_state_from_msg(goal.start)
        if given.names:
            return given
        _, arm = self.config.arm(goal.arm if goal.arm in self.config.arms else None)
        return self._states.newest(arm.joints)

    def _check_frame(self, frame: str) -> None:
        if frame not in ("", self.config.base_frame):
            raise ValueError(f"the request is in frame {frame!r}; this cell plans in {self.config.base_frame!r}")


def main(args: list[str] | None = None) -> None:
    """Run the node until it is told to stop."""
    refusals = (ConfigError, ResourceError, PlannerUnavailableError, ParameterException, ValueError)
    with program("planning_node", refusals, args) as running:
        node = PlanningNode()
        running.spin(node, threads=3)
        node.give_up()
        running.last_words(lambda: not node.planning, LAST_WORDS_S)


if __name__ == "__main__":
    main()
