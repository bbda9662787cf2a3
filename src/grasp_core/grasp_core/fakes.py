# SPDX-License-Identifier: Apache-2.0
"""In-memory stand-ins of every port, with known answers, for tests of whatever is written on the ports.

The fake robot is a gantry: joints x, y, z (m) and yaw (rad), tool pointing down. Whatever is asked of it can be checked
in one's head.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from grasp_core.camera import CameraFrame
from grasp_core.geometry import Array, interpolate, rotation_of, top_down
from grasp_core.guard import JointLimit
from grasp_core.observation import GripperState
from grasp_core.planning import Box, Obstacle, PlanOptions, PlanResult, PlanStatus
from grasp_core.ports import (
    Cancel,
    GripperLimits,
    JointState,
    JointTrajectory,
    MotionResult,
    MotionStatus,
    StateError,
)

GANTRY_JOINTS = ("x", "y", "z", "yaw")
GANTRY_LIMITS: Mapping[str, JointLimit] = {
    "x": JointLimit(-1.0, 1.0, 1.0),
    "y": JointLimit(-1.0, 1.0, 1.0),
    "z": JointLimit(0.0, 1.0, 1.0),
    "yaw": JointLimit(-np.pi, np.pi, 3.0),
}


class FakeKinematics:
    """The gantry's kinematics; only top-down poses within the joint limits are reachable."""

    def fk(self, joints: Mapping[str, float], arm: str | None = None) -> Array:
        """Tool pose of the gantry."""
        return top_down((joints["x"], joints["y"], joints["z"]), joints["yaw"])

    def ik(self, T_base_tcp: ArrayLike, seed: Mapping[str, float], arm: str | None = None) -> dict[str, float] | None:
        """Joints of a top-down pose, or none."""
        T = np.asarray(T_base_tcp, dtype=np.float64)
        if T[2, 2] > -1.0 + 1e-6:
            return None
        yaw = float(np.arctan2(T[1, 0], T[0, 0]))
        joints = dict(zip(GANTRY_JOINTS, [*T[:3, 3].tolist(), yaw], strict=True))
        inside = all(GANTRY_LIMITS[n].lower - 1e-9 <= v <= GANTRY_LIMITS[n].upper + 1e-9 for n, v in joints.items())
        return joints if inside else None


@dataclass
class FakeArm:
    """A gantry that is where the last trajectory ended, at once; it remembers all that it was told.

    ``stop_at_z`` makes it stop there on the way down, as on a table. ``fails_with`` makes every motion fail.
    """

    clock_ns: Callable[[], int]
    name: str = "arm"
    position: Array = field(default_factory=lambda: np.array([0.0, 0.0, 0.5, 0.0]))
    stop_at_z: float | None = None
    fails_with: MotionStatus | None = None
    executed: list[JointTrajectory] = field(default_factory=list)
    stops: int = 0
    silent: bool = False

    @property
    def joint_names(self) -> tuple[str, ...]:
        """The gantry's joints."""
        return GANTRY_JOINTS

    def state(self) -> JointState:
        """Where it is, at rest."""
        if self.silent:
            raise StateError(f"no joint state of {self.name}")
        return JointState(GANTRY_JOINTS, self.position.copy(), np.zeros(4), self.clock_ns())

    def execute(self, trajectory: JointTrajectory, cancel: Cancel | None = None) -> MotionResult:
        """Jump to the end of the trajectory."""
        self.executed.append(trajectory)
        if cancel is not None and cancel.is_set():
            return MotionResult(MotionStatus.CANCELLED, self.state())
        if self.fails_with is not None:
            return MotionResult(self.fails_with, self.state(), "told to fail")
        order = [trajectory.names.index(name) for name in GANTRY_JOINTS]
        self.position = trajectory.positions[-1, order].copy()
        if self.stop_at_z is not None and self.position[2] < self.stop_at_z:
            self.position[2] = self.stop_at_z
            return MotionResult(MotionStatus.PATH_TOLERANCE, self.state(), f"stopped at z {self.stop_at_z}")
        return MotionResult(MotionStatus.SUCCEEDED, self.state())

    def stop(self) -> None:
        """Count the call."""
        self.stops += 1


@dataclass
class FakeGripper:
    """A gripper of 0 to 110 mm; ``object_width_m()`` says what lies between its fingers now, none for nothing."""

    object_width_m: Callable[[], float | None] = lambda: None
    name: str = "gripper"
    width_m: float = 0.11
    commands: list[float] = field(default_factory=list)

    @property
    def limits(self) -> GripperLimits:
        """0 to 110 mm, 3 to 40 N."""
        return GripperLimits(0.0, 0.11, 3.0, 40.0)

    def state(self) -> GripperState:
        """Its opening, and whether an object stops it."""
        between = self.object_width_m()
        closing = bool(self.commands) and self.commands[-1] < (between or 0.0)
        width = between if closing and between is not None else self.width_m
        return GripperState(width, 20.0 if closing else 0.0, closing, closing, {})

    def move(self, width_m: float, force_n: float | None = None, cancel: Cancel | None = None) -> GripperState:
        """Open or close at once."""
        self.commands.append(width_m)
        self.width_m = width_m
        return self.state()

    def preshape(self, positions: Mapping[str, float], cancel: Cancel | None = None) -> GripperState:
        """Refused: a plain gripper has no joints of its own."""
        raise ValueError(f"{self.name} has no joint {next(iter(positions))!r}")


@dataclass
class FakeCamera:
    """Shows one picture for ever, or is silent."""

    picture: CameraFrame | None
    name: str = "camera"

    def frame(self, max_age_s: float) -> CameraFrame:
        """The picture."""
        if self.picture is None:
            raise StateError(f"camera {self.name} is silent for more than {max_age_s} s")
        return self.picture


@dataclass
class FakePlanner:
    """Straight lines of the gantry, a second long each; remembers the obstacles."""

    kinematics: FakeKinematics = field(default_factory=FakeKinematics)
    obstacles: tuple[Obstacle, ...] = ()
    held: tuple[Box, ...] = ()
    carried: list[tuple[Box, ...]] = field(default_factory=list)

    def set_obstacles(self, obstacles: tuple[Obstacle, ...]) -> None:
        """Remember them."""
        if len({o.name for o in obstacles}) != len(obstacles):
            raise ValueError("two obstacles share a name")
        self.obstacles = obstacles

    def set_held(self, arm: str | None, held: tuple[Box, ...]) -> None:
        """Remember it, and that it was told."""
        self.held = held
        self.carried.append(held)

    def plan_to_joints(
        self, arm: str | None, start: JointState, goal: Mapping[str, float], options: PlanOptions
    ) -> PlanResult:
        """Two points, one second."""
        unknown = [name for name in goal if name not in start.names]
        if unknown:
            return PlanResult(PlanStatus.INVALID_REQUEST, message=f"no joint {unknown[0]!r}")
        end = {**start.as_dict(), **goal}
        positions = np.stack([start.positions, np.array([end[name] for name in start.names])])
        return PlanResult(PlanStatus.SUCCEEDED, JointTrajectory(start.names, np.array([0.0, 1.0]), positions))

    def plan_to_pose(self, arm: str | None, start: JointState, T_base_tcp: Array, options: PlanOptions) -> PlanResult:
        """Inverse kinematics, then two points."""
        goal = self.kinematics.ik(T_base_tcp, start.as_dict(), arm)
        if goal is None:
            return PlanResult(PlanStatus.UNREACHABLE, message="the gantry only reaches top-down poses in its range")
        return self.plan_to_joints(arm, start, goal, options)

    def plan_line(self, arm: str | None, start: JointState, T_base_tcp: Array, options: PlanOptions) -> PlanResult:
        """Five points along the line."""
        T_start = self.kinematics.fk(start.as_dict(), arm)
        if (rotation_of(T_start).inv() * rotation_of(T_base_tcp)).magnitude() > np.pi - 1e-6:
            return PlanResult(PlanStatus.INVALID_REQUEST, message="half a turn has no single way round")
        rows = []
        for T in interpolate(T_start, T_base_tcp, 5):
            joints = self.kinematics.ik(T, start.as_dict(), arm)
            if joints is None:
                return PlanResult(PlanStatus.LINE_INCOMPLETE, message="the line leaves the gantry's range")
            rows.append([joints[name] for name in start.names])
        trajectory = JointTrajectory(start.names, np.linspace(0.0, 1.0, 5), np.array(rows))
        return PlanResult(PlanStatus.SUCCEEDED, trajectory)
