# SPDX-License-Identifier: Apache-2.0
"""The ports of ``grasp_core`` on a simulated world: a call steps the physics until the motion has ended."""

from __future__ import annotations

from collections.abc import Mapping

from grasp_core.observation import GripperState
from grasp_core.ports import (
    Cancel,
    GripperLimits,
    JointState,
    JointTrajectory,
    MotionResult,
    MotionStatus,
)
from grasp_sim.fast_motion import FastMotion
from grasp_sim.trajectories import TrajectoryController, split_trajectory
from grasp_sim.world import World

# Longest simulated time for a gripper motion and, beyond its end, for a trajectory.
GRIPPER_LIMIT_S = 6.0
OVERTIME_S = 3.0
# How many steps pass between two looks at ``cancel``.
CANCEL_EVERY = 12
# And between two looks at whether the rest of a motion is free, in the fast mode.
LEAP_EVERY = 12


class SimArm:
    """An arm of the world; ``fast`` lets it jump through free space."""

    def __init__(self, world: World, name: str, fast: FastMotion | None = None) -> None:
        self._world = world
        self._name = name
        self._controllers = world.config.arms[name].controllers
        self._fast = fast

    @property
    def name(self) -> str:
        """The cell's name of the arm."""
        return self._name

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Its joints, in the controllers' order."""
        return self._world.config.arms[self._name].joints

    def state(self) -> JointState:
        """Positions and velocities now."""
        positions, velocities = self._world.robot.state_of(self.joint_names)
        return JointState(self.joint_names, positions, velocities, self._world.now_ns)

    def execute(self, trajectory: JointTrajectory, cancel: Cancel | None = None) -> MotionResult:
        """Step the physics until every controller has finished."""
        try:
            split_trajectory(trajectory, self._controllers)
        except ValueError as error:
            return MotionResult(MotionStatus.REJECTED, self.state(), str(error))
        if self._fast is not None:
            rest = self._fast.skip(self._name, trajectory)
            if rest is None:
                return MotionResult(MotionStatus.SUCCEEDED, self.state())
            trajectory = rest
        running, started_s = self._start(trajectory), self._world.time_s
        deadline_s = started_s + trajectory.duration_s + OVERTIME_S
        while any(controller.active for controller in running):
            if self._fast is not None and (self._world.engine.steps + 1) % LEAP_EVERY == 0:
                rest = self._fast.leap(self._name, trajectory, self._world.time_s - started_s)
                if rest is None:
                    break
                if rest is not trajectory:
                    trajectory = rest
                    running, started_s = self._start(trajectory), self._world.time_s
            if cancel is not None and self._world.engine.steps % CANCEL_EVERY == 0 and cancel.is_set():
                self._halt(running)
                return MotionResult(MotionStatus.CANCELLED, self.state())
            if self._world.time_s > deadline_s:
                self._halt(running)
                return MotionResult(MotionStatus.TIMED_OUT, self.state(), "the controllers did not finish in time")
            self._world.step()
            failed = [c for c in running if c.status not in (None, MotionStatus.SUCCEEDED)]
            if failed:
                status, message = failed[0].status, failed[0].message
                assert status is not None
                self._halt(running)
                return MotionResult(status, self.state(), message)
        return MotionResult(MotionStatus.SUCCEEDED, self.state())

    def stop(self) -> None:
        """Give up what is followed; the joints hold where they are."""
        for name in self._controllers:
            self._world.controllers[name].cancel()

    def _start(self, trajectory: JointTrajectory) -> list[TrajectoryController]:
        parts = split_trajectory(trajectory, self._controllers)
        for name, part in parts.items():
            self._world.controllers[name].start(part)
        return [self._world.controllers[name] for name in parts]

    def _halt(self, running: list[TrajectoryController]) -> None:
        for controller in running:
            controller.cancel()
        self._world.step(CANCEL_EVERY)


class SimGripper:
    """A gripper of the world."""

    def __init__(self, world: World, name: str, fast: FastMotion | None = None) -> None:
        self._world = world
        self._name = name
        self._fast = fast

    @property
    def name(self) -> str:
        """The cell's name of the gripper."""
        return self._name

    @property
    def limits(self) -> GripperLimits:
        """Openings and forces that it takes."""
        return self._world.drives[self._name].limits

    def state(self) -> GripperState:
        """What it reports now."""
        return self._world.drives[self._name].state()

    def move(self, width_m: float, force_n: float | None = None, cancel: Cancel | None = None) -> GripperState:
        """Open or close; returns when the opening is reached or something stops the fingers."""
        drive = self._world.drives[self._name]
        force = self._world.config.grippers[self._name].force_n if force_n is None else force_n
        drive.command_width(width_m, force)
        if self._fast is not None and self._fast.set_gripper(self._name, width_m):
            return drive.state()
        return self._run(cancel)

    def preshape(self, positions: Mapping[str, float], cancel: Cancel | None = None) -> GripperState:
        """Move a hand's motors to joint positions.

        Raises:
            ValueError: a joint without a motor.
        """
        self._world.drives[self._name].command_joints(positions)
        return self._run(cancel)

    def _run(self, cancel: Cancel | None) -> GripperState:
        drive = self._world.drives[self._name]

        def ended() -> bool:
            stopped = cancel is not None and self._world.engine.steps % CANCEL_EVERY == 0 and cancel.is_set()
            return drive.settled or stopped

        self._world.step()
        self._world.step_until(ended, GRIPPER_LIMIT_S)
        if cancel is not None and cancel.is_set():
            drive.hold_here()
        return drive.state()
