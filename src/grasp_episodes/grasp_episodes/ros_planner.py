# SPDX-License-Identifier: Apache-2.0
"""The planning node of a running graph as the port of ``grasp_core``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rclpy.node import Node

from grasp_core.cell_config import CellConfig
from grasp_core.geometry import Array
from grasp_core.planning import Box, Obstacle, PlanOptions, PlanResult, PlanStatus
from grasp_core.ports import Cancel, JointState, StateError
from grasp_episodes import ros_conversions as ros
from grasp_episodes.ros_calls import GoalRunner, OrderedActionClient, call_service
from grasp_episodes.settings import RosCellOptions
from grasp_interfaces.action import PlanMotion
from grasp_interfaces.srv import SetObstacles

# What an answer may take beyond the time given to the search (s): a first inverse kinematics, a loaded machine.
OVERTIME_S = 10.0


class RosPlanner:
    """Asks ``plan_motion``; ``cancel`` ends a request that is under way."""

    def __init__(
        self, node: Node, goals: GoalRunner, config: CellConfig, options: RosCellOptions, cancel: Cancel
    ) -> None:
        self._goals, self._config, self._options, self._cancel = goals, config, options, cancel
        self._base_frame = config.base_frame
        self._plan = OrderedActionClient(node, PlanMotion, "plan_motion")
        self._obstacles = node.create_client(SetObstacles, "set_obstacles")

    def set_obstacles(self, obstacles: tuple[Obstacle, ...]) -> None:
        """Replace the obstacles beyond the cell's own furniture.

        Raises:
            ValueError: the planner refuses them.
            StateError: the planner is silent.
        """
        self._tell(self._base_frame, obstacles)

    def set_held(self, arm: str | None, held: tuple[Box, ...]) -> None:
        """Replace what an arm's hand carries: boxes that move with its tool, each pose in the tool's frame.

        Raises:
            KeyError: no such arm.
            ValueError: the planner refuses them.
            StateError: the planner is silent.
        """
        self._tell(self._config.arm(arm)[1].tcp_frame, held)

    def _tell(self, frame: str, obstacles: tuple[Obstacle, ...]) -> None:
        request = SetObstacles.Request(obstacles=[ros.obstacle_message(obstacle) for obstacle in obstacles])
        request.header.frame_id = frame
        answer = call_service(self._obstacles, request, self._options.answer_timeout_s, self._cancel)
        if not answer.success:
            raise ValueError(answer.message)

    def plan_to_joints(
        self, arm: str | None, start: JointState, goal: Mapping[str, float], options: PlanOptions
    ) -> PlanResult:
        """To joint positions."""
        joints = ros.joint_state_message(dict(goal), "", 0)
        return self._ask(arm, start, options, kind=PlanMotion.Goal.JOINTS, goal_joints=joints)

    def plan_to_pose(self, arm: str | None, start: JointState, T_base_tcp: Array, options: PlanOptions) -> PlanResult:
        """To a pose of the tool, along any path."""
        return self._ask(arm, start, options, kind=PlanMotion.Goal.POSE, goal_pose=ros.pose_message(T_base_tcp))

    def plan_line(self, arm: str | None, start: JointState, T_base_tcp: Array, options: PlanOptions) -> PlanResult:
        """To a pose of the tool, its origin moving in a straight line."""
        return self._ask(arm, start, options, kind=PlanMotion.Goal.LINE, goal_pose=ros.pose_message(T_base_tcp))

    def _ask(self, arm: str | None, start: JointState, options: PlanOptions, **fields: Any) -> PlanResult:
        goal = PlanMotion.Goal(
            arm=arm or "",
            start=ros.joint_state_message(start.as_dict(), "", start.stamp_ns),
            speed_scale=float(options.speed_scale),
            timeout=float(options.timeout_s),
            ignore_environment=not options.check_environment,
            allowed_contacts=sorted(options.allowed_contacts),
            **fields,
        )
        goal.header.frame_id = self._base_frame
        try:
            answers = self._goals.run({"plan_motion": (self._plan, goal)}, options.timeout_s + OVERTIME_S, self._cancel)
        except StateError as error:
            return PlanResult(PlanStatus.TIMED_OUT, message=str(error))
        answer = answers.by_name["plan_motion"]
        if answers.cancelled:
            return PlanResult(PlanStatus.TIMED_OUT, message="cancelled while planning")
        if answer.result is None:
            text = "does not answer" if answer.accepted else "did not take the request"
            return PlanResult(PlanStatus.TIMED_OUT, message=f"the planner {text}")
        return ros.plan_result(answer.result, "")
