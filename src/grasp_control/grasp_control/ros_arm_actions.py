# SPDX-License-Identifier: Apache-2.0
"""FollowJointTrajectory and streamed steps on an arm's driver, as the simulator offers them."""

from __future__ import annotations

import threading
import time

import numpy as np
from control_msgs.action import FollowJointTrajectory
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory as JointTrajectoryMsg
from trajectory_msgs.msg import JointTrajectoryPoint

from grasp_control.arm_guard import GuardedDriver
from grasp_control.messages import Reading
from grasp_control.ros_conversions import time_message
from grasp_core.action_goals import (
    GOAL_TOLERANCE_VIOLATED,
    INVALID_GOAL,
    PATH_TOLERANCE_VIOLATED,
    SUCCESSFUL,
    delay_of,
    seconds,
    tolerances_of,
    trajectory_of,
)
from grasp_core.ports import JointTrajectory, MotionStatus

FEEDBACK_S = 0.05
Result = FollowJointTrajectory.Result
CODES = {
    MotionStatus.SUCCEEDED: SUCCESSFUL,
    MotionStatus.PATH_TOLERANCE: PATH_TOLERANCE_VIOLATED,
    MotionStatus.GOAL_TOLERANCE: GOAL_TOLERANCE_VIOLATED,
}


class _Asked:
    """A goal's cancel request as ``grasp_core.ports.Cancel``."""

    def __init__(self, handle: ServerGoalHandle) -> None:
        self._handle = handle

    def is_set(self) -> bool:
        return bool(self._handle.is_cancel_requested)


class ArmActions:
    """``<controller>/follow_joint_trajectory`` and the topic ``<controller>/joint_trajectory`` for streamed steps.

    A goal whose stamp lies ahead begins then. One that has begun by its stamp starts at once and from its beginning: to
    jump into its middle, as upstream's controller does, would leave the path that the guard has looked at.
    """

    def __init__(self, node: Node, driver: GuardedDriver, controller: str, prefix: str, deadman_s: float) -> None:
        self._node, self._driver, self._name, self._prefix = node, driver, controller, prefix
        self._deadman_s = deadman_s
        self._running: ServerGoalHandle | None = None
        self._next_feedback = 0.0
        self._lock = threading.Lock()
        self._order: dict[bytes, int] = {}
        group = ReentrantCallbackGroup()
        self._server = ActionServer(
            node,
            FollowJointTrajectory,
            f"{controller}/follow_joint_trajectory",
            execute_callback=self._execute,
            goal_callback=self._consider,
            handle_accepted_callback=self._accepted,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=group,
        )
        node.create_subscription(JointTrajectoryMsg, f"{controller}/joint_trajectory", self._stream, 1)

    def on_reading(self, reading: Reading) -> None:
        """Feedback for the goal that runs, now and then."""
        handle, now = self._running, time.monotonic()
        if handle is None or not handle.is_active or reading.moving <= 0 or now < self._next_feedback:
            return
        self._next_feedback = now + FEEDBACK_S
        wanted, actual = np.array(reading.setpoint), np.array(reading.positions)
        handle.publish_feedback(
            FollowJointTrajectory.Feedback(
                header=Header(stamp=time_message(reading.stamp_ns)),
                joint_names=[self._prefix + name for name in self._driver.arm.joint_names],
                desired=JointTrajectoryPoint(positions=wanted.tolist()),
                actual=JointTrajectoryPoint(positions=actual.tolist(), velocities=list(reading.velocities)),
                error=JointTrajectoryPoint(positions=(wanted - actual).tolist()),
            )
        )

    def _consider(self, goal: FollowJointTrajectory.Goal) -> GoalResponse:
        try:
            self._delay_s(goal)
        except ValueError as error:
            self._node.get_logger().warning(f"{self._name}: a goal was rejected: {error}")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _accepted(self, handle: ServerGoalHandle) -> None:
        # Goals are carried out in threads of their own, and may overtake each other there.
        self._order[bytes(handle.goal_id.uuid)] = self._driver.arm.next_number()
        handle.execute()

    def _delay_s(self, goal: FollowJointTrajectory.Goal) -> float:
        now_ns = self._node.get_clock().now().nanoseconds
        return delay_of(goal.trajectory, self._trajectory(goal.trajectory), now_ns)

    def _trajectory(self, message: JointTrajectoryMsg) -> JointTrajectory:
        trajectory = trajectory_of(message, self._prefix)
        joints = self._driver.arm.joint_names
        if set(trajectory.names) != set(joints):
            raise ValueError(f"the controller moves {', '.join(joints)}; given were {', '.join(trajectory.names)}")
        return trajectory

    def _execute(self, handle: ServerGoalHandle) -> FollowJointTrajectory.Result:
        goal, joints = handle.request, self._driver.arm.joint_names
        number = self._order.pop(bytes(handle.goal_id.uuid))
        try:
            wait_s = max(0.0, self._delay_s(goal))
        except ValueError as error:
            handle.abort()
            return Result(error_code=Result.OLD_HEADER_TIMESTAMP, error_string=str(error))
        with self._lock:
            self._running = handle
        result = self._driver.follow(
            self._trajectory(goal.trajectory),
            tolerances_of(goal.path_tolerance, joints, self._prefix),
            tolerances_of(goal.goal_tolerance, joints, self._prefix),
            seconds(goal.goal_time_tolerance) or None,
            _Asked(handle),
            number,
            wait_s,
        )
        with self._lock:
            if self._running is handle:
                self._running = None
        if result.status is MotionStatus.CANCELLED and handle.is_cancel_requested:
            handle.canceled()
            return Result(error_code=SUCCESSFUL, error_string="cancelled")
        if result.ok:
            handle.succeed()
        else:
            self._node.get_logger().warning(f"{self._name}: a motion ended ({result.status}): {result.message}")
            handle.abort()
        return Result(error_code=CODES.get(result.status, INVALID_GOAL), error_string=result.message)

    def _stream(self, message: JointTrajectoryMsg) -> None:
        try:
            why = self._driver.stream(self._trajectory(message), self._deadman_s)
        except ValueError as error:
            why = str(error)
        if why:
            self._node.get_logger().warning(f"{self._name}: a streamed step was left out: {why}")
