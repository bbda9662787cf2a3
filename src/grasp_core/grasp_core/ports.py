# SPDX-License-Identifier: Apache-2.0
"""The ports: what a cell's parts offer, whether a simulator, a driver or a fake stands behind them.

Calls block until the motion ended and return what was reached. Every blocking call watches ``cancel`` and stops its
part, decelerating, when it is set. Nothing here raises for a motion that went wrong: the result says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from grasp_core.camera import CameraFrame
from grasp_core.geometry import Array
from grasp_core.observation import GripperState


class Cancel(Protocol):
    """Asks a blocking call to stop; ``threading.Event`` is one."""

    def is_set(self) -> bool:
        """Whether to stop."""
        ...


class StateError(RuntimeError):
    """A port has no current state: never received, or older than allowed. The message says of what and how old."""


@dataclass(frozen=True)
class JointState:
    """Positions (rad or m) and velocities of named joints at one moment, float64 [n]."""

    names: tuple[str, ...]
    positions: Array
    velocities: Array
    stamp_ns: int

    def __post_init__(self) -> None:
        n = (len(self.names),)
        if self.positions.shape != n or self.velocities.shape != n:
            raise ValueError(
                f"{len(self.names)} joint names with positions {self.positions.shape} "
                f"and velocities {self.velocities.shape}"
            )

    @classmethod
    def at_rest(cls, positions: Mapping[str, float], stamp_ns: int = 0) -> JointState:
        """The state of joints that do not move."""
        values = np.array(list(positions.values()), dtype=np.float64)
        return cls(tuple(positions), values, np.zeros_like(values), stamp_ns)

    def as_dict(self) -> dict[str, float]:
        """Positions by joint name."""
        return dict(zip(self.names, self.positions.tolist(), strict=True))

    def select(self, names: tuple[str, ...]) -> JointState:
        """The state of some joints, in the given order.

        Raises:
            KeyError: a joint that this state does not have.
        """
        index = {name: i for i, name in enumerate(self.names)}
        missing = [name for name in names if name not in index]
        if missing:
            raise KeyError(f"no state of {', '.join(missing)}; there is {', '.join(self.names)}")
        order = [index[name] for name in names]
        return JointState(names, self.positions[order], self.velocities[order], self.stamp_ns)


@dataclass(frozen=True)
class JointTrajectory:
    """A timed path of named joints.

    Attributes:
        names: joints, [n].
        times_s: strictly increasing seconds from the start [m]; the first may be 0.
        positions: rad or m, float64 [m, n].
        velocities, accelerations: [m, n], or none where the controller shall interpolate.
    """

    names: tuple[str, ...]
    times_s: Array
    positions: Array
    velocities: Array | None = None
    accelerations: Array | None = None

    def __post_init__(self) -> None:
        m, n = len(self.times_s), len(self.names)
        if m == 0:
            raise ValueError("a trajectory needs at least one point")
        for name in ("positions", "velocities", "accelerations"):
            value = getattr(self, name)
            if value is not None and value.shape != (m, n):
                raise ValueError(f"{name} of a trajectory have shape {value.shape}; expected {(m, n)}")
        if not (np.all(np.diff(self.times_s) > 0.0) and self.times_s[0] >= 0.0):
            raise ValueError("the times of a trajectory must increase from 0 or more")
        if len(set(self.names)) != n:
            raise ValueError(f"a trajectory names a joint twice: {', '.join(self.names)}")

    @property
    def duration_s(self) -> float:
        """Time of the last point."""
        return float(self.times_s[-1])


class MotionStatus(StrEnum):
    """How a motion ended."""

    SUCCEEDED = "succeeded"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    PATH_TOLERANCE = "path_tolerance_violated"
    GOAL_TOLERANCE = "goal_tolerance_violated"
    STOPPED = "stopped"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True)
class MotionResult:
    """How a motion ended, where the joints are now, and in words what went wrong."""

    status: MotionStatus
    state: JointState
    message: str = ""

    @property
    def ok(self) -> bool:
        """Whether the goal was reached."""
        return self.status is MotionStatus.SUCCEEDED


@runtime_checkable
class Arm(Protocol):
    """A kinematic chain that follows trajectories; a mobile base may be part of it."""

    @property
    def name(self) -> str:
        """The cell's name of the arm."""
        ...

    @property
    def joint_names(self) -> tuple[str, ...]:
        """The joints that trajectories of this arm move, in order."""
        ...

    def state(self) -> JointState:
        """The newest joint state.

        Raises:
            StateError: there is none, or it is too old.
        """
        ...

    def execute(self, trajectory: JointTrajectory, cancel: Cancel | None = None) -> MotionResult:
        """Follow the trajectory to its end."""
        ...

    def stop(self) -> None:
        """Decelerate to a halt now; safe to call from another thread, and when nothing moves."""
        ...


@dataclass(frozen=True)
class GripperLimits:
    """Range of openings in metres and of forces in newtons that a gripper takes."""

    min_width_m: float
    max_width_m: float
    min_force_n: float
    max_force_n: float


@runtime_checkable
class Gripper(Protocol):
    """A gripper or a hand."""

    @property
    def name(self) -> str:
        """The cell's name of the gripper."""
        ...

    @property
    def limits(self) -> GripperLimits:
        """Openings and forces that it takes."""
        ...

    def state(self) -> GripperState:
        """What it reports now.

        Raises:
            StateError: nothing was heard of it, or too long ago.
        """
        ...

    def move(self, width_m: float, force_n: float | None = None, cancel: Cancel | None = None) -> GripperState:
        """Open or close to ``width_m``; stops earlier where something is between the fingers.

        ``force_n`` none means the gripper's default.
        """
        ...

    def preshape(self, positions: Mapping[str, float], cancel: Cancel | None = None) -> GripperState:
        """Move a hand's joints (rad) to the given positions; others stay.

        Raises:
            ValueError: a joint that the hand does not have.
        """
        ...


@runtime_checkable
class Camera(Protocol):
    """A camera of the cell."""

    @property
    def name(self) -> str:
        """The cell's name of the camera."""
        ...

    def frame(self, max_age_s: float) -> CameraFrame:
        """A picture not older than ``max_age_s``; waits up to that long for one.

        Raises:
            StateError: the camera is silent.
        """
        ...


@runtime_checkable
class Kinematics(Protocol):
    """Where the tool is for given joints, and back."""

    def fk(self, joints: Mapping[str, float], arm: str | None = None) -> Array:
        """``T_base_tcp`` [4, 4] of an arm's tool."""
        ...

    def ik(self, T_base_tcp: ArrayLike, seed: Mapping[str, float], arm: str | None = None) -> dict[str, float] | None:
        """Joint positions that put the tool there, near ``seed``; none where there are none."""
        ...
