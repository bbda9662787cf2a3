# SPDX-License-Identifier: Apache-2.0
"""What a driver's node and its servo process tell each other. Plain data, so that it crosses a pipe."""

from __future__ import annotations

from dataclasses import dataclass, field

from grasp_core.geometry import Array
from grasp_core.ports import JointTrajectory, MotionStatus


@dataclass(frozen=True)
class Tolerances:
    """When a trajectory is given up; arrays [n] in rad, infinite where anything goes.

    Attributes:
        path: distance of the joints to the nearest point of the path that was commanded lately.
        goal: distance at the end.
        goal_time_s: how late the goal may be reached.
    """

    path: Array
    goal: Array
    goal_time_s: float


@dataclass(frozen=True)
class Follow:
    """Follow a trajectory, from ``wait_s`` on; answered by ``Done`` with the same number."""

    number: int
    trajectory: JointTrajectory
    tolerances: Tolerances
    wait_s: float = 0.0


@dataclass(frozen=True)
class Stream:
    """Go towards joint positions [n] within ``reach_s``; stop where nothing newer comes within ``deadman_s``."""

    target: Array
    reach_s: float
    deadman_s: float


@dataclass(frozen=True)
class Cancel:
    """Decelerate and end the motion of this number."""

    number: int


@dataclass(frozen=True)
class Halt:
    """Decelerate now and take no motion until ``Release``."""


@dataclass(frozen=True)
class Release:
    """Take motions again after ``Halt``."""


@dataclass(frozen=True)
class Recover:
    """Bring the robot back to where it takes commands; answered by ``Recovered``."""


@dataclass(frozen=True)
class SpeedScale:
    """Largest share of the joints' speed limits from now on, running motions included."""

    share: float


@dataclass(frozen=True)
class Close:
    """Decelerate, let go of the robot, end."""


@dataclass(frozen=True)
class Done:
    """A motion has ended."""

    number: int
    status: MotionStatus
    message: str


@dataclass(frozen=True)
class Recovered:
    """What became of ``Recover``."""

    ok: bool
    message: str


@dataclass(frozen=True)
class Reading:
    """What the robot and the servo loop do; sent once a cycle.

    Attributes:
        stamp_ns: system time at which the joint state arrived; 0 where there has been none.
        positions, velocities: measured, rad and rad/s.
        setpoint: commanded positions; the measured ones where nothing is commanded.
        connected: whether states arrive.
        problem: in words why no motion is taken; empty where the robot is ready.
        halted: whether ``Halt`` is in force.
        slider: the robot's speed slider, 0 to 1.
        robot_mode, safety_mode: the robot's own numbers.
        digital_in: bits of its digital inputs.
        moving: number of the motion that runs, or 0; -1 while a stream is followed.
        progress_s: how far along its trajectory it is.
        counts: cycles, late cycles, reconnections.
    """

    stamp_ns: int
    positions: tuple[float, ...]
    velocities: tuple[float, ...]
    setpoint: tuple[float, ...]
    connected: bool
    problem: str
    halted: bool
    slider: float
    robot_mode: int
    safety_mode: int
    digital_in: int
    moving: int
    progress_s: float
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def warning(self) -> str:
        """What keeps motions waiting although nothing is wrong; empty where nothing does."""
        if self.halted:
            return "halted: call e_stop_release to go on"
        return "the robot's speed slider is at 0: motions wait" if self.connected and self.slider <= 0.0 else ""

    def values(self) -> dict[str, float | int]:
        """What people want to see of it in diagnostics."""
        modes = {"robot mode": self.robot_mode, "safety mode": self.safety_mode}
        return {"speed slider": self.slider, **modes, **self.counts}


ToServo = Follow | Stream | Cancel | Halt | Release | Recover | SpeedScale | Close
FromServo = Done | Recovered | Reading
