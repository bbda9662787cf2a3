# SPDX-License-Identifier: Apache-2.0
"""A gripper's driver under both of upstream's action types; the position is the opening in metres."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from control_msgs.action import GripperCommand, ParallelGripperCommand
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from sensor_msgs.msg import JointState

from grasp_control.gripper_driver import GripperDriver
from grasp_core.action_goals import gripper_goal
from grasp_core.observation import GripperState
from grasp_core.ports import StateError

REACHED_M = 0.002


class _Ended:
    """A cancel request, or a newer goal, as ``grasp_core.ports.Cancel``."""

    def __init__(self, handle: ServerGoalHandle) -> None:
        self.handle, self.overtaken = handle, False

    def is_set(self) -> bool:
        return self.overtaken or bool(self.handle.is_cancel_requested)


class GripperActions:
    """Offers ``<controller>/gripper_cmd`` and ``<controller>/parallel_gripper_cmd``. A newer goal takes over."""

    def __init__(self, node: Node, driver: GripperDriver, controller: str, force_n: float) -> None:
        self._node, self._driver, self._force_n = node, driver, force_n
        self._current: _Ended | None = None
        self._lock, self._turn = threading.Lock(), threading.Lock()
        kinds: list[tuple[type, str, Callable, Callable]] = [
            (GripperCommand, "gripper_cmd", self._command, self._plain_goal),
            (ParallelGripperCommand, "parallel_gripper_cmd", self._parallel, self._parallel_goal),
        ]
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

    def on_state(self, state: GripperState) -> None:
        """Feedback for the goal that runs."""
        current = self._current
        if current is None or not current.handle.is_active:
            return
        request = current.handle.request
        if isinstance(request, GripperCommand.Goal):
            told = GripperCommand.Feedback(position=state.width_m, effort=state.effort_n, stalled=state.stalled)
            current.handle.publish_feedback(told)
        else:
            joint = _joint_state(list(request.command.name), state)
            current.handle.publish_feedback(ParallelGripperCommand.Feedback(state=joint))

    def _checked(self, name: str, check: Callable[[Any], Any]) -> Callable[[Any], GoalResponse]:
        def consider(goal: Any) -> GoalResponse:
            try:
                check(goal)
            except ValueError as error:
                self._node.get_logger().warning(f"{self._driver.name} {name}: a goal was rejected: {error}")
                return GoalResponse.REJECT
            return GoalResponse.ACCEPT

        return consider

    def _plain_goal(self, goal: GripperCommand.Goal) -> tuple[float, float]:
        return gripper_goal(goal.command.position, goal.command.max_effort, self._driver.limits, self._force_n)

    def _parallel_goal(self, goal: ParallelGripperCommand.Goal) -> tuple[float, float]:
        if len(goal.command.position) != 1:
            raise ValueError(f"{len(goal.command.position)} positions given; one is needed, the opening in metres")
        force_n = goal.command.effort[0] if goal.command.effort else 0.0
        return gripper_goal(goal.command.position[0], force_n, self._driver.limits, self._force_n)

    def _command(self, handle: ServerGoalHandle) -> GripperCommand.Result:
        width_m, force_n = self._plain_goal(handle.request)
        state, reached = self._move(handle, width_m, force_n)
        return GripperCommand.Result(
            position=state.width_m, effort=state.effort_n, stalled=state.stalled, reached_goal=reached
        )

    def _parallel(self, handle: ServerGoalHandle) -> ParallelGripperCommand.Result:
        width_m, force_n = self._parallel_goal(handle.request)
        state, reached = self._move(handle, width_m, force_n)
        joint = _joint_state(list(handle.request.command.name), state)
        return ParallelGripperCommand.Result(state=joint, stalled=state.stalled, reached_goal=reached)

    def _move(self, handle: ServerGoalHandle, width_m: float, force_n: float) -> tuple[GripperState, bool]:
        mine = _Ended(handle)
        with self._lock:
            if self._current is not None:
                self._current.overtaken = True
            self._current = mine
        with self._turn:
            try:
                state = self._driver.move(width_m, force_n, mine)
                ending = "canceled" if handle.is_cancel_requested else ("abort" if mine.overtaken else "succeed")
            except StateError as error:
                self._node.get_logger().error(str(error))
                state, ending = self._unknown(), "abort"
        with self._lock:
            if self._current is mine:
                self._current = None
        getattr(handle, ending)()
        return state, ending == "succeed" and abs(state.width_m - width_m) <= REACHED_M

    def _unknown(self) -> GripperState:
        """What it reports, or an opening that is no number; that a motion failed is no stall."""
        try:
            return replace(self._driver.state(), stalled=False, holding=None)
        except StateError:
            return GripperState(float("nan"), 0.0, False, None, {})


def _joint_state(names: list[str], state: GripperState) -> JointState:
    return JointState(name=names, position=[state.width_m], effort=[state.effort_n])
