# SPDX-License-Identifier: Apache-2.0
"""The guard in front of an arm's driver: the last look at every command, whoever sent it."""

from __future__ import annotations

import threading

import numpy as np

from grasp_control.ur_arm import UrArm
from grasp_core.cell_config import CellConfig
from grasp_core.geometry import Array, difference
from grasp_core.guard import Guard, Refused
from grasp_core.ports import Cancel, JointTrajectory, MotionResult, MotionStatus, StateError
from grasp_description.cell_kinematics import CellKinematics


class GuardedDriver:
    """An arm's driver behind the cell's limits: workspace, speeds, ranges, numbers, age of the joint state, step size.

    Args:
        arm: the driver.
        config: the cell.
        kinematics: of the cell; used under a lock.
    """

    def __init__(self, arm: UrArm, config: CellConfig, kinematics: CellKinematics) -> None:
        self.arm = arm
        self._limits = config.limits
        self._kinematics = kinematics
        self._guard = Guard(config.limits, kinematics.limits(), kinematics)
        self._lock = threading.Lock()

    @property
    def counts(self) -> dict[str, int]:
        """How often each limit stepped in."""
        return self._guard.counts

    def follow(
        self,
        trajectory: JointTrajectory,
        path: Array | None,
        goal: Array | None,
        goal_time_s: float | None,
        cancel: Cancel | None,
        number: int | None = None,
        wait_s: float = 0.0,
    ) -> MotionResult:
        """Follow a trajectory if the guard admits it, stretched where it was too fast; the rest as in ``UrArm``."""
        tolerances = self.arm.tolerances(path, goal, goal_time_s)
        try:
            state = self.arm.state()
        except StateError as error:
            return MotionResult(MotionStatus.STOPPED, self.arm.last_state(), str(error))
        try:
            with self._lock:
                admitted, _ = self._guard.admit_trajectory(trajectory, state, self.arm.name)
        except Refused as refusal:
            return MotionResult(MotionStatus.REJECTED, state, str(refusal))
        return self.arm.follow(admitted, tolerances, cancel, number, wait_s)

    def stream(self, step: JointTrajectory, deadman_s: float) -> str:
        """One streamed step: towards the last point within its time. Returns why it was left out, or nothing.

        Raises nothing: a step that is refused is not carried out, and the arm stops by itself.
        """
        try:
            state = self.arm.state()
            order = [step.names.index(name) for name in self.arm.joint_names]
            target, reach_s = step.positions[-1, order], float(step.times_s[-1])
            if not reach_s > 0.0:
                return "a streamed step needs a time to be reached in (time_from_start)"
            whole = JointTrajectory(self.arm.joint_names, np.array([0.0, reach_s]), np.stack([state.positions, target]))
            with self._lock:
                if too_long := self._too_long(state.positions, target):
                    return too_long
                admitted, _ = self._guard.admit_trajectory(whole, state, self.arm.name)
        except (StateError, Refused) as error:
            return str(error)
        except ValueError as error:
            return f"the step does not move this arm's joints: {error}"
        self.arm.stream(target, float(admitted.times_s[-1]), deadman_s)
        return ""

    def _too_long(self, start: Array, target: Array) -> str:
        if not np.isfinite(target).all():
            return "the step contains NaN or infinity"
        poses = [
            self._kinematics.fk(dict(zip(self.arm.joint_names, q.tolist(), strict=True)), self.arm.name)
            for q in (start, target)
        ]
        metres, radians = difference(*poses)
        limits = self._limits
        if metres <= limits.max_step_m and radians <= limits.max_step_rad:
            return ""
        return (
            f"a step of {metres:.3f} m and {radians:.2f} rad was refused; "
            f"allowed are {limits.max_step_m} m and {limits.max_step_rad} rad"
        )
