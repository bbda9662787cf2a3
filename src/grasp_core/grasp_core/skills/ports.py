# SPDX-License-Identifier: Apache-2.0
"""What a skill holds in its hands, and how it reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from grasp_core.actions import Action
from grasp_core.cell import Reason
from grasp_core.cell_config import Skills
from grasp_core.geometry import Array
from grasp_core.planning import MotionPlanner, PlanOptions, PlanResult, PlanStatus
from grasp_core.ports import Arm, Cancel, Gripper, JointState, Kinematics, MotionResult, MotionStatus


@dataclass(frozen=True)
class SkillResult:
    """How a skill ended: see ``grasp_core.cell.Outcome`` for the fields of the same names."""

    commanded: Action | None
    success: bool | None
    reason: Reason
    message: str = ""


@dataclass(frozen=True)
class ArmPorts:
    """One arm with its gripper; ``states`` are named joint positions (``ready``, ``drop``)."""

    arm: Arm
    gripper: Gripper
    force_n: float
    states: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class CellPorts:
    """Everything that a skill may use. ``cancel`` set from outside ends the running skill."""

    arms: Mapping[str, ArmPorts]
    planner: MotionPlanner
    kinematics: Kinematics
    settings: Skills
    cancel: Cancel

    def of(self, arm: str | None) -> ArmPorts:
        """Ports of the named arm, or of the first.

        Raises:
            KeyError: no such arm.
        """
        if arm is None:
            return next(iter(self.arms.values()))
        if arm not in self.arms:
            raise KeyError(f"no arm {arm!r}; this cell has {', '.join(self.arms)}")
        return self.arms[arm]


class SkillFailure(Exception):
    """Ends a skill early; carries the reason and a sentence."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


PLAN_REASONS = {
    PlanStatus.UNREACHABLE: Reason.UNREACHABLE,
    PlanStatus.LINE_INCOMPLETE: Reason.UNREACHABLE,
    PlanStatus.START_IN_COLLISION: Reason.IN_COLLISION,
    PlanStatus.GOAL_IN_COLLISION: Reason.IN_COLLISION,
    PlanStatus.PATH_IN_COLLISION: Reason.IN_COLLISION,
    PlanStatus.TIMED_OUT: Reason.PLANNING_FAILED,
    PlanStatus.INVALID_REQUEST: Reason.PLANNING_FAILED,
}


class Mover:
    """Plans and executes for one arm, turning whatever goes wrong into a ``SkillFailure``."""

    def __init__(self, ports: CellPorts, arm: str | None) -> None:
        self._ports = ports
        self._arm = ports.of(arm)

    @property
    def state(self) -> JointState:
        """The arm's present joint state."""
        return self._arm.arm.state()

    @property
    def T_base_tcp(self) -> Array:
        """Where the tool is now."""
        return self._ports.kinematics.fk(self.state.as_dict(), self._arm.arm.name)

    def to_joints(self, goal: Mapping[str, float], what: str) -> None:
        """Move to joint positions."""
        self._run(self._ports.planner.plan_to_joints(self._arm.arm.name, self.state, goal, self._options()), what)

    def to_pose(self, T_base_tcp: Array, what: str) -> None:
        """Move the tool to a pose along any path."""
        plan = self._ports.planner.plan_to_pose(self._arm.arm.name, self.state, T_base_tcp, self._options())
        self._run(plan, what)

    def along_line(self, T_base_tcp: Array, what: str, touching: bool = False) -> MotionResult:
        """Move the tool in a straight line; with ``touching`` contact with objects is part of the motion.

        A motion that contact stopped short is no failure then; the result tells. Furniture is kept clear of always.
        """
        plan = self._ports.planner.plan_line(self._arm.arm.name, self.state, T_base_tcp, self._options())
        return self._run(plan, what, stopped_is_fine=touching)

    def _options(self) -> PlanOptions:
        settings = self._ports.settings
        return PlanOptions(settings.speed_scale, settings.plan_timeout_s)

    def _run(self, plan: PlanResult, what: str, stopped_is_fine: bool = False) -> MotionResult:
        if self._ports.cancel.is_set():
            raise SkillFailure(Reason.CANCELLED, f"cancelled before {what}")
        if plan.trajectory is None:
            raise SkillFailure(PLAN_REASONS[plan.status], f"no way for {what}: {plan.message or plan.status}")
        result = self._arm.arm.execute(plan.trajectory, self._ports.cancel)
        if result.ok:
            return result
        if result.status is MotionStatus.CANCELLED:
            raise SkillFailure(Reason.CANCELLED, f"cancelled during {what}")
        if result.status is MotionStatus.REJECTED:
            raise SkillFailure(Reason.REFUSED_BY_GUARD, f"{what} was refused: {result.message}")
        if stopped_is_fine and result.status in (MotionStatus.PATH_TOLERANCE, MotionStatus.GOAL_TOLERANCE):
            return result
        raise SkillFailure(Reason.MOTION_FAILED, f"{what} ended early ({result.status}): {result.message}")
