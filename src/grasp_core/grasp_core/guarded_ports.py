# SPDX-License-Identifier: Apache-2.0
"""Arms and grippers behind a guard: the same ports, but nothing passes unchecked."""

from __future__ import annotations

from collections.abc import Mapping

from grasp_core.guard import Guard, Refused
from grasp_core.observation import GripperState
from grasp_core.ports import (
    Arm,
    Cancel,
    Gripper,
    GripperLimits,
    JointState,
    JointTrajectory,
    MotionResult,
    MotionStatus,
)


class GuardedArm:
    """An arm behind a guard: the same port, but nothing passes unchecked."""

    def __init__(self, arm: Arm, guard: Guard) -> None:
        self._arm = arm
        self._guard = guard

    @property
    def name(self) -> str:
        """The arm's name."""
        return self._arm.name

    @property
    def joint_names(self) -> tuple[str, ...]:
        """The arm's joints."""
        return self._arm.joint_names

    def state(self) -> JointState:
        """The arm's state."""
        return self._arm.state()

    def execute(self, trajectory: JointTrajectory, cancel: Cancel | None = None) -> MotionResult:
        """Follow the trajectory if the guard admits it, stretched where it was too fast."""
        state = self._arm.state()
        try:
            admitted, _ = self._guard.admit_trajectory(trajectory, state, self._arm.name)
        except Refused as refusal:
            return MotionResult(MotionStatus.REJECTED, state, str(refusal))
        return self._arm.execute(admitted, cancel)

    def stop(self) -> None:
        """Stop the arm; never held back."""
        self._arm.stop()


class GuardedGripper:
    """A gripper behind a guard."""

    def __init__(self, gripper: Gripper, guard: Guard) -> None:
        self._gripper = gripper
        self._guard = guard

    @property
    def name(self) -> str:
        """The gripper's name."""
        return self._gripper.name

    @property
    def limits(self) -> GripperLimits:
        """The gripper's limits."""
        return self._gripper.limits

    def state(self) -> GripperState:
        """The gripper's state."""
        return self._gripper.state()

    def move(self, width_m: float, force_n: float | None = None, cancel: Cancel | None = None) -> GripperState:
        """Move within the gripper's limits.

        Raises:
            Refused: NaN or infinite.
        """
        width, force, _ = self._guard.admit_gripper(width_m, force_n, self._gripper.limits)
        return self._gripper.move(width, force, cancel)

    def preshape(self, positions: Mapping[str, float], cancel: Cancel | None = None) -> GripperState:
        """Move a hand's joints within their ranges; the hand refuses what it does not have.

        Raises:
            Refused: NaN or infinite.
            ValueError: a joint that the hand does not have.
        """
        admitted, _ = self._guard.admit_preshape(positions)
        return self._gripper.preshape(admitted, cancel)
