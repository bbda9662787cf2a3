# SPDX-License-Identifier: Apache-2.0
"""Arms and grippers of a running graph as the ports of ``grasp_core``."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from action_msgs.msg import GoalStatus
from action_msgs.srv import CancelGoal
from control_msgs.action import FollowJointTrajectory, GripperCommand
from control_msgs.msg import GripperCommand as GripperCommandMsg
from rclpy.node import Node
from trajectory_msgs.msg import JointTrajectory as JointTrajectoryMsg

from grasp_core.cell_config import ArmConfig, GripperConfig
from grasp_core.joint_states import JointStates
from grasp_core.observation import GripperState
from grasp_core.ports import (
    Cancel,
    GripperLimits,
    JointState,
    JointTrajectory,
    MotionResult,
    MotionStatus,
    StateError,
)
from grasp_episodes import ros_conversions as ros
from grasp_episodes.ros_calls import Answer, Answers, GoalRunner, OrderedActionClient
from grasp_episodes.settings import GripperData, RosCellOptions

Follow = FollowJointTrajectory.Result
STATUS = {
    Follow.INVALID_GOAL: MotionStatus.REJECTED,
    Follow.INVALID_JOINTS: MotionStatus.REJECTED,
    Follow.OLD_HEADER_TIMESTAMP: MotionStatus.REJECTED,
    Follow.PATH_TOLERANCE_VIOLATED: MotionStatus.PATH_TOLERANCE,
    Follow.GOAL_TOLERANCE_VIOLATED: MotionStatus.GOAL_TOLERANCE,
}
# A gripper whose opening is this near to what was asked has reached it; this far from closed it may hold something (m).
REACHED_M = 0.0015
EMPTY_M = 0.002


@dataclass(frozen=True)
class Wire:
    """What every port needs: the node, how goals are run, the joint states, the options."""

    node: Node
    goals: GoalRunner
    joints: JointStates
    options: RosCellOptions


class RosArm:
    """An arm behind ``follow_joint_trajectory`` of one or several controllers, a mobile base included."""

    def __init__(self, wire: Wire, name: str, config: ArmConfig) -> None:
        self._wire, self._name, self._config = wire, name, config
        self._clients = {
            controller: OrderedActionClient(wire.node, FollowJointTrajectory, f"{controller}/follow_joint_trajectory")
            for controller in config.controllers
        }
        self._stoppers = [
            wire.node.create_client(CancelGoal, f"{controller}/follow_joint_trajectory/_action/cancel_goal")
            for controller in config.controllers
        ]
        self._sent = {
            controller: wire.node.create_publisher(JointTrajectoryMsg, f"commands/{controller}/joint_trajectory", 10)
            for controller in config.controllers
        }
        self._stopped = threading.Event()

    @property
    def name(self) -> str:
        """The cell's name of the arm."""
        return self._name

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Its joints, in the controllers' order."""
        return self._config.joints

    def state(self) -> JointState:
        """The newest joint state."""
        return self._wire.joints.newest(self.joint_names).select(self.joint_names)

    def execute(self, trajectory: JointTrajectory, cancel: Cancel | None = None) -> MotionResult:
        """Have every controller follow its part, from now on; where one fails the others are stopped."""
        try:
            parts = self._parts(trajectory)
        except ValueError as error:
            return MotionResult(MotionStatus.REJECTED, self.state(), str(error))
        self._stopped.clear()
        goals = {
            name: (
                self._clients[name],
                FollowJointTrajectory.Goal(trajectory=ros.trajectory_message(part, self._wire.options.tf_prefix)),
            )
            for name, part in parts.items()
        }
        for name, (_, goal) in goals.items():
            self._sent[name].publish(goal.trajectory)
        limit_s = trajectory.duration_s + self._wire.options.motion_overtime_s
        try:
            answers = self._wire.goals.run(goals, limit_s, cancel)
        except StateError as error:
            return MotionResult(MotionStatus.TIMED_OUT, self.state(), str(error))
        return self._result(answers)

    def stop(self) -> None:
        """Cancel whatever the controllers follow, whoever sent it; does not wait."""
        self._stopped.set()
        # An empty request means all goals.
        for client in self._stoppers:
            if client.service_is_ready():
                client.call_async(CancelGoal.Request())

    def _parts(self, trajectory: JointTrajectory) -> dict[str, JointTrajectory]:
        given = set(trajectory.names)
        strangers = given - set(self.joint_names)
        if strangers:
            raise ValueError(f"arm {self._name} has no joint {', '.join(sorted(strangers))}")
        parts = {}
        for controller, joints in self._config.controllers.items():
            missing = [joint for joint in joints if joint not in given]
            if len(missing) == len(joints):
                continue
            if missing:
                raise ValueError(f"controller {controller} moves {', '.join(missing)} too, which the trajectory lacks")
            order = [trajectory.names.index(joint) for joint in joints]
            velocities, accelerations = (
                None if rows is None else rows[:, order] for rows in (trajectory.velocities, trajectory.accelerations)
            )
            positions = trajectory.positions[:, order]
            parts[controller] = JointTrajectory(joints, trajectory.times_s, positions, velocities, accelerations)
        return parts

    def _result(self, answers: Answers) -> MotionResult:
        state = self.state()
        if answers.cancelled:
            return MotionResult(MotionStatus.CANCELLED, state)
        if answers.timed_out:
            return MotionResult(MotionStatus.TIMED_OUT, state, f"arm {self._name} did not finish in time")
        # Others were cancelled because of the one that failed by itself: that one tells why.
        failed = {name: answer for name, answer in answers.by_name.items() if not answer.succeeded}
        if not failed:
            return MotionResult(MotionStatus.SUCCEEDED, state)
        name, answer = min(failed.items(), key=lambda item: item[1].status == GoalStatus.STATUS_CANCELED)
        status, message = self._why(answer)
        return MotionResult(status, state, f"{name}: {message}")

    def _why(self, answer: Answer) -> tuple[MotionStatus, str]:
        if not answer.accepted:
            return MotionStatus.REJECTED, "the controller did not take the goal"
        if answer.status == GoalStatus.STATUS_CANCELED or self._stopped.is_set():
            return MotionStatus.STOPPED, "stopped by somebody else"
        code, text = answer.result.error_code, answer.result.error_string
        if code == Follow.INVALID_GOAL:
            # Taken and given up all the same: a newer goal, a new scene, an emergency stop.
            return MotionStatus.STOPPED, text or "given up by the controller"
        return STATUS.get(code, MotionStatus.STOPPED), text or f"error code {code}"


class RosGripper:
    """A gripper behind ``gripper_cmd``; a hand's joints behind ``follow_joint_trajectory`` besides.

    The opening is known from the joint states at any time; whether the fingers were stopped, from the last command.
    """

    def __init__(self, wire: Wire, name: str, config: GripperConfig, data: GripperData) -> None:
        self._wire, self._name, self._config, self._data = wire, name, config, data
        self._command = OrderedActionClient(wire.node, GripperCommand, f"{config.controller}/gripper_cmd")
        self._shape = OrderedActionClient(
            wire.node, FollowJointTrajectory, f"{config.controller}/follow_joint_trajectory"
        )
        self._sent = wire.node.create_publisher(GripperCommandMsg, f"commands/{config.controller}/gripper_cmd", 10)
        self._asked_m: float | None = None
        self._stalled = False
        self._effort_n = 0.0

    @property
    def name(self) -> str:
        """The cell's name of the gripper."""
        return self._name

    @property
    def limits(self) -> GripperLimits:
        """Openings and forces that it takes."""
        return self._data.limits

    def forget(self) -> None:
        """What was commanded before counts no more (a new scene)."""
        self._asked_m, self._stalled, self._effort_n = None, False, 0.0

    def state(self) -> GripperState:
        """Opening now; stalled and holding as long as the fingers have not moved on to what was asked."""
        joints = self._wire.joints.newest(self._data.joints).as_dict()
        width = self._data.width_m(joints)
        short = self._asked_m is not None and width - self._asked_m > REACHED_M
        stalled = self._stalled and self._asked_m is not None and abs(width - self._asked_m) > REACHED_M
        holding = stalled and short and width > self.limits.min_width_m + EMPTY_M
        mine = {name: joints[name] for name in self._data.joints}
        return GripperState(width, self._effort_n if stalled else 0.0, stalled, holding, mine)

    def move(self, width_m: float, force_n: float | None = None, cancel: Cancel | None = None) -> GripperState:
        """Open or close; returns when the opening is reached or something stops the fingers.

        Raises:
            StateError: the gripper does not take the command, gives it up, or does not end it in time.
        """
        goal = GripperCommand.Goal()
        goal.command.position = float(width_m)
        goal.command.max_effort = float(self._config.force_n if force_n is None else force_n)
        self._asked_m, self._stalled, self._effort_n = float(width_m), False, 0.0
        self._sent.publish(goal.command)
        answers = self._run(self._command, goal, cancel)
        answer = answers.by_name[self._name]
        if not (answer.accepted or answers.cancelled):
            raise StateError(f"gripper {self._name} did not take the command to {width_m:.3f} m")
        given_up = answer.status == GoalStatus.STATUS_ABORTED and not (answers.cancelled or answer.result.stalled)
        if given_up:
            # Some controllers abort where an object stops the fingers; without one the motion has failed.
            raise StateError(f"gripper {self._name} gave up its motion to {width_m:.3f} m")
        if answer.result is not None:
            self._stalled = bool(answer.result.stalled) and not answers.cancelled
            self._effort_n = float(answer.result.effort)
        return self.state()

    def preshape(self, positions: Mapping[str, float], cancel: Cancel | None = None) -> GripperState:
        """Move a hand's joints; the hand's controller refuses what it does not have.

        Raises:
            ValueError: a joint that the hand does not move.
            StateError: the hand does not end the motion in time.
        """
        if not self._shape.wait_for_server(self._wire.options.answer_timeout_s):
            raise ValueError(f"gripper {self._name} has no joints of its own to move ({', '.join(positions)})")
        values = np.array([list(positions.values())], dtype=np.float64)
        way = JointTrajectory(tuple(positions), np.array([self._wire.options.preshape_s]), values)
        goal = FollowJointTrajectory.Goal(trajectory=ros.trajectory_message(way, self._wire.options.tf_prefix))
        self._asked_m, self._stalled = None, False
        answers = self._run(self._shape, goal, cancel)
        answer = answers.by_name[self._name]
        refused = not answer.accepted and not answers.cancelled
        if refused or (answer.result is not None and answer.result.error_code == Follow.INVALID_JOINTS):
            text = "" if answer.result is None else answer.result.error_string
            raise ValueError(f"gripper {self._name} refused {', '.join(positions)}: {text or 'goal not taken'}")
        return self.state()

    def _run(self, client: OrderedActionClient, goal: object, cancel: Cancel | None) -> Answers:
        answers = self._wire.goals.run({self._name: (client, goal)}, self._wire.options.gripper_timeout_s, cancel)
        if answers.timed_out:
            raise StateError(
                f"gripper {self._name} did not end its motion within {self._wire.options.gripper_timeout_s:g} s"
            )
        return answers
