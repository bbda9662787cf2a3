# SPDX-License-Identifier: Apache-2.0
"""Where the time of an action goes: ports that look at the clock and pass everything on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from grasp_core.geometry import Array
from grasp_core.observation import GripperState
from grasp_core.planning import Box, MotionPlanner, Obstacle, PlanOptions, PlanResult
from grasp_core.ports import Arm, Cancel, Gripper, GripperLimits, JointState, JointTrajectory, MotionResult
from grasp_core.skills.ports import CellPorts


@dataclass
class StageClock:
    """Seconds by stage since ``start``, and when the first command left (ns of ``now_ns``; none yet)."""

    now_ns: Callable[[], int]
    seconds: dict[str, float] = field(default_factory=dict)
    first_command_ns: int | None = None
    first_motion_ns: int | None = None

    def start(self) -> None:
        """Begin anew."""
        self.seconds, self.first_command_ns, self.first_motion_ns = {}, None, None

    def add(self, stage: str, begin: float) -> None:
        """Count the time since ``begin`` (``time.perf_counter``) for a stage."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - begin

    def command(self, motion: bool) -> None:
        """A command leaves; ``motion``: for an arm."""
        if self.first_command_ns is None:
            self.first_command_ns = self.now_ns()
        if motion and self.first_motion_ns is None:
            self.first_motion_ns = self.now_ns()


class TimedPlanner:
    """A planner whose time is counted."""

    def __init__(self, planner: MotionPlanner, clock: StageClock) -> None:
        self._planner, self._clock = planner, clock

    def set_obstacles(self, obstacles: tuple[Obstacle, ...]) -> None:
        """Passed on."""
        self._planner.set_obstacles(obstacles)

    def set_held(self, arm: str | None, held: tuple[Box, ...]) -> None:
        """Passed on."""
        self._planner.set_held(arm, held)

    def plan_to_joints(
        self, arm: str | None, start: JointState, goal: Mapping[str, float], options: PlanOptions
    ) -> PlanResult:
        """Passed on, counted."""
        return self._timed(lambda: self._planner.plan_to_joints(arm, start, goal, options))

    def plan_to_pose(self, arm: str | None, start: JointState, T_base_tcp: Array, options: PlanOptions) -> PlanResult:
        """Passed on, counted."""
        return self._timed(lambda: self._planner.plan_to_pose(arm, start, T_base_tcp, options))

    def plan_line(self, arm: str | None, start: JointState, T_base_tcp: Array, options: PlanOptions) -> PlanResult:
        """Passed on, counted."""
        return self._timed(lambda: self._planner.plan_line(arm, start, T_base_tcp, options))

    def _timed(self, plan: Callable[[], PlanResult]) -> PlanResult:
        begin = time.perf_counter()
        try:
            return plan()
        finally:
            self._clock.add("plan", begin)


class TimedArm:
    """An arm whose motions are counted."""

    def __init__(self, arm: Arm, clock: StageClock) -> None:
        self._arm, self._clock = arm, clock

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
        """Passed on, counted."""
        self._clock.command(motion=True)
        begin = time.perf_counter()
        try:
            return self._arm.execute(trajectory, cancel)
        finally:
            self._clock.add("motion", begin)

    def stop(self) -> None:
        """Passed on."""
        self._arm.stop()


class TimedGripper:
    """A gripper whose motions are counted."""

    def __init__(self, gripper: Gripper, clock: StageClock) -> None:
        self._gripper, self._clock = gripper, clock

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
        """Passed on, counted."""
        return self._timed(lambda: self._gripper.move(width_m, force_n, cancel))

    def preshape(self, positions: Mapping[str, float], cancel: Cancel | None = None) -> GripperState:
        """Passed on, counted."""
        return self._timed(lambda: self._gripper.preshape(positions, cancel))

    def _timed(self, move: Callable[[], GripperState]) -> GripperState:
        self._clock.command(motion=False)
        begin = time.perf_counter()
        try:
            return move()
        finally:
            self._clock.add("gripper", begin)


def timed_ports(ports: CellPorts, clock: StageClock) -> CellPorts:
    """The same ports, their time counted by ``clock``."""
    arms = {
        name: replace(hand, arm=TimedArm(hand.arm, clock), gripper=TimedGripper(hand.gripper, clock))
        for name, hand in ports.arms.items()
    }
    return replace(ports, arms=arms, planner=TimedPlanner(ports.planner, clock))
