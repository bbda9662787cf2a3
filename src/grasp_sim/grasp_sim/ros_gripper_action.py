# SPDX-License-Identifier: Apache-2.0
"""Grippers of the world under both of upstream's action types, hands under FollowJointTrajectory besides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from action_msgs.msg import GoalStatus
from control_msgs.action import FollowJointTrajectory, GripperCommand, ParallelGripperCommand
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import JointState

from grasp_core.action_goals import gripper_goal, trajectory_of
from grasp_core.observation import UNKNOWN_GRIPPER, GripperState
from grasp_sim.bridge import ENDED, Bridge
from grasp_sim.ros_conversions import header

# Longest simulated time for a gripper motion.
LIMIT_S = 6.0
FEEDBACK_S = 0.05
REACHED_M = 0.002


class GripperActions:
    """Offers ``<controller>/gripper_cmd`` and ``<controller>/parallel_gripper_cmd``: position is the opening in metres.

    A hand also gets ``<controller>/follow_joint_trajectory``; the last point is the pre-shape it goes to.
    """

    def __init__(self, node: Node, bridge: Bridge, gripper: str, prefix: str, hand: bool) -> None:
        self._node, self._bridge, self._gripper, self._prefix = node, bridge, gripper, prefix
        config = bridge.config.grippers[gripper]
        self._force_n, controller = config.force_n, config.controller
        self._current: ServerGoalHandle | None = None
        kinds: list[tuple[type, str, Callable, Callable]] = [
            (GripperCommand, "gripper_cmd", self._command, self._plain_goal),
            (ParallelGripperCommand, "parallel_gripper_cmd", self._parallel, self._parallel_goal),
        ]
        if hand:
            kinds.append((FollowJointTrajectory, "follow_joint_trajectory", self._preshape, self._preshape_goal))
        self._servers = [
            ActionServer(
                node,
                kind,
                f"{controller}/{name}",
                execute_callback=execute,
                goal_callback=self._checked(name, check),
                cancel_callback=lambda _: CancelResponse.ACCEPT,
                callback_group=ReentrantCallbackGroup(),
            )
            for kind, name, execute, check in kinds
        ]

    def _checked(self, name: str, check: Callable[[Any], Any]) -> Callable[[Any], GoalResponse]:
        def consider(goal: Any) -> GoalResponse:
            try:
                check(goal)
            except ValueError as error:
                self._node.get_logger().warning(f"{self._gripper} {name}: a goal was rejected: {error}")
                return GoalResponse.REJECT
            return GoalResponse.ACCEPT

        return consider

    def _plain_goal(self, goal: GripperCommand.Goal) -> tuple[float, float]:
        return self._within(goal.command.position, goal.command.max_effort)

    def _parallel_goal(self, goal: ParallelGripperCommand.Goal) -> tuple[float, float]:
        if len(goal.command.position) != 1:
            raise ValueError(f"{len(goal.command.position)} positions given; one is needed, the opening in metres")
        return self._within(goal.command.position[0], goal.command.effort[0] if goal.command.effort else 0.0)

    def _preshape_goal(self, goal: FollowJointTrajectory.Goal) -> dict[str, float]:
        trajectory = trajectory_of(goal.trajectory, self._prefix)
        return dict(zip(trajectory.names, trajectory.positions[-1].tolist(), strict=True))

    def _within(self, width_m: float, force_n: float) -> tuple[float, float]:
        """The opening and the force, 0 meaning the gripper's default, clipped to what the gripper can do."""
        return gripper_goal(width_m, force_n, self._bridge.world.drives[self._gripper].limits, self._force_n)

    def _command(self, handle: ServerGoalHandle) -> GripperCommand.Result:
        width_m, force_n = self._plain_goal(handle.request)
        state, reached = self._move(handle, lambda drive: drive.command_width(width_m, force_n), width_m, _plain)
        return GripperCommand.Result(
            position=state.width_m, effort=state.effort_n, stalled=state.stalled, reached_goal=reached
        )

    def _parallel(self, handle: ServerGoalHandle) -> ParallelGripperCommand.Result:
        width_m, force_n = self._parallel_goal(handle.request)
        names = list(handle.request.command.name)

        def told(state: GripperState) -> JointState:
            stamp = header(self._bridge.now_ns, "")
            return JointState(header=stamp, name=names, position=[state.width_m], effort=[state.effort_n])

        state, reached = self._move(
            handle,
            lambda drive: drive.command_width(width_m, force_n),
            width_m,
            lambda now: ParallelGripperCommand.Feedback(state=told(now)),
        )
        return ParallelGripperCommand.Result(state=told(state), stalled=state.stalled, reached_goal=reached)

    def _preshape(self, handle: ServerGoalHandle) -> FollowJointTrajectory.Result:
        positions = self._preshape_goal(handle.request)
        try:
            self._move(handle, lambda drive: drive.command_joints(positions), None, None)
        except ValueError as error:
            handle.abort()
            return FollowJointTrajectory.Result(
                error_code=FollowJointTrajectory.Result.INVALID_JOINTS, error_string=str(error)
            )
        if handle.status == GoalStatus.STATUS_ABORTED:
            otherwise = f"the hand was told otherwise, or did not come to rest within {LIMIT_S:g} s"
            return FollowJointTrajectory.Result(
                error_code=FollowJointTrajectory.Result.INVALID_GOAL,
                error_string=ENDED if self._bridge.closed else otherwise,
            )
        return FollowJointTrajectory.Result()

    def _move(
        self,
        handle: ServerGoalHandle,
        command: Callable[[Any], None],
        width_m: float | None,
        feedback: Callable[[GripperState], Any] | None,
    ) -> tuple[GripperState, bool]:
        """Command the drive and wait until it has settled, is told otherwise, or time is up."""
        bridge = self._bridge
        with bridge.stepped:
            if bridge.closed:
                handle.abort()
                return UNKNOWN_GRIPPER, False
            drive = bridge.world.drives[self._gripper]
            command(drive)
            self._current = handle
            deadline_ns = bridge.now_ns + int(LIMIT_S * 1e9)
            next_feedback_ns = bridge.now_ns
            ending, state = "abort", drive.state()
            while bridge.stepped.wait(timeout=5.0):
                if bridge.closed or self._current is not handle or bridge.world.drives[self._gripper] is not drive:
                    break
                if handle.is_cancel_requested:
                    drive.hold_here()
                    ending = "canceled"
                    break
                if drive.settled:
                    ending = "succeed"
                    break
                if bridge.now_ns >= deadline_ns:
                    break
                if feedback is not None and bridge.now_ns >= next_feedback_ns:
                    next_feedback_ns += int(FEEDBACK_S * 1e9)
                    handle.publish_feedback(feedback(drive.state()))
            if not bridge.closed:
                state = drive.state()
        getattr(handle, ending)()
        return state, width_m is not None and abs(state.width_m - width_m) <= REACHED_M


def _plain(state: GripperState) -> GripperCommand.Feedback:
    return GripperCommand.Feedback(position=state.width_m, effort=state.effort_n, stalled=state.stalled)
