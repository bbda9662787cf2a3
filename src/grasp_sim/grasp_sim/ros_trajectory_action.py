# SPDX-License-Identifier: Apache-2.0
"""FollowJointTrajectory on a controller of the world, as ros2_control's joint_trajectory_controller has it."""

from __future__ import annotations

from control_msgs.action import FollowJointTrajectory
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectoryPoint

from grasp_core.action_goals import delay_of, seconds, tolerances_of, trajectory_of
from grasp_core.ports import JointTrajectory, MotionStatus
from grasp_sim.bridge import ENDED, Bridge
from grasp_sim.ros_conversions import header

FEEDBACK_S = 0.05
Result = FollowJointTrajectory.Result
CODES = {
    MotionStatus.SUCCEEDED: Result.SUCCESSFUL,
    MotionStatus.PATH_TOLERANCE: Result.PATH_TOLERANCE_VIOLATED,
    MotionStatus.GOAL_TOLERANCE: Result.GOAL_TOLERANCE_VIOLATED,
}


class TrajectoryAction:
    """Offers ``<controller>/follow_joint_trajectory``. A newer goal takes over from the one that is running.

    As upstream does, a goal that names other joints, or that is over by its own stamp, is rejected and not answered.
    """

    def __init__(self, node: Node, bridge: Bridge, controller: str, prefix: str) -> None:
        self._node, self._bridge, self._name, self._prefix = node, bridge, controller, prefix
        self._current: ServerGoalHandle | None = None
        self._server = ActionServer(
            node,
            FollowJointTrajectory,
            f"{controller}/follow_joint_trajectory",
            execute_callback=self._execute,
            goal_callback=self._consider,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=ReentrantCallbackGroup(),
        )

    def _consider(self, goal: FollowJointTrajectory.Goal) -> GoalResponse:
        try:
            delay_of(goal.trajectory, self._trajectory(goal), self._bridge.now_ns)
        except ValueError as error:
            self._node.get_logger().warning(f"{self._name}: a goal was rejected: {error}")
            return GoalResponse.REJECT
        return GoalResponse.ACCEPT

    def _trajectory(self, goal: FollowJointTrajectory.Goal) -> JointTrajectory:
        trajectory = trajectory_of(goal.trajectory, self._prefix)
        joints = self._bridge.world.controllers[self._name].joints
        if set(trajectory.names) != set(joints):
            raise ValueError(f"the controller moves {', '.join(joints)}; given were {', '.join(trajectory.names)}")
        return trajectory

    def _execute(self, handle: ServerGoalHandle) -> Result:
        goal = handle.request
        trajectory = self._trajectory(goal)
        with self._bridge.stepped:
            if self._bridge.closed:
                return self._end(handle, "abort", Result.INVALID_GOAL, ENDED)
            controller = self._bridge.world.controllers[self._name]
            self._current = handle
            try:
                delay_s = delay_of(goal.trajectory, trajectory, self._bridge.now_ns)
            except ValueError as error:
                return self._end(handle, "abort", Result.OLD_HEADER_TIMESTAMP, str(error))
            controller.start(
                trajectory,
                tolerances_of(goal.path_tolerance, controller.joints, self._prefix),
                tolerances_of(goal.goal_tolerance, controller.joints, self._prefix),
                seconds(goal.goal_time_tolerance) or None,
                delay_s,
            )
            next_feedback_ns = self._bridge.now_ns
            while True:
                if self._bridge.closed:
                    return self._end(handle, "abort", Result.INVALID_GOAL, ENDED)
                if self._bridge.world.controllers[self._name] is not controller:
                    return self._end(handle, "abort", Result.INVALID_GOAL, "the scene was made anew")
                if self._current is not handle:
                    return self._end(handle, "abort", Result.INVALID_GOAL, "a newer goal took over")
                if not controller.active:
                    break
                if handle.is_cancel_requested:
                    controller.cancel()
                    break
                if self._bridge.now_ns >= next_feedback_ns:
                    next_feedback_ns += int(FEEDBACK_S * 1e9)
                    handle.publish_feedback(self._feedback(controller))
                # The time-out only guards against a physics thread that died.
                if not self._bridge.stepped.wait(timeout=5.0):
                    return self._end(handle, "abort", Result.INVALID_GOAL, "the simulation stands still")
            status, message = controller.status, controller.message
        if status is MotionStatus.CANCELLED:
            if handle.is_cancel_requested:
                return self._end(handle, "canceled", Result.SUCCESSFUL, "cancelled")
            return self._end(handle, "abort", Result.INVALID_GOAL, "stopped")
        ending = "succeed" if status is MotionStatus.SUCCEEDED else "abort"
        return self._end(handle, ending, CODES.get(status, Result.INVALID_GOAL), message)

    def _end(self, handle: ServerGoalHandle, ending: str, code: int, message: str) -> Result:
        getattr(handle, ending)()
        return Result(error_code=code, error_string=message)

    def _feedback(self, controller) -> FollowJointTrajectory.Feedback:
        wanted, positions, velocities = controller.progress()
        return FollowJointTrajectory.Feedback(
            header=header(self._bridge.now_ns, ""),
            joint_names=[self._prefix + joint for joint in controller.joints],
            desired=JointTrajectoryPoint(positions=wanted.tolist()),
            actual=JointTrajectoryPoint(positions=positions.tolist(), velocities=velocities.tolist()),
            error=JointTrajectoryPoint(positions=(wanted - positions).tolist()),
        )
