# SPDX-License-Identifier: Apache-2.0
"""Following a trajectory inside the physics step, with the tolerances of ros2_control's joint_trajectory_controller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from grasp_core.config import Config
from grasp_core.geometry import Array
from grasp_core.ports import JointTrajectory, MotionStatus
from grasp_core.sampler import Sampler
from grasp_sim.description import Joint
from grasp_sim.engine import Engine
from grasp_sim.robot import Robot


class Tolerances(Config):
    """When a motion counts as off its path or at its goal; rad, or m for prismatic joints times ``prismatic_share``."""

    path_rad: float = 0.05
    """Largest deviation on the way; beyond it the motion is given up and the joints hold where they are."""
    goal_rad: float = 0.01
    """Largest deviation at the end."""
    prismatic_share: float = 0.2
    """A prismatic joint's tolerance in metres for each radian of the two above."""
    goal_time_s: float = 0.5
    """How long after the end of the trajectory the goal may be reached."""
    stopped_rad_s: float = 0.02
    """Greatest speed that counts as at rest at the goal."""


# A cancelled motion comes to rest within this time.
BRAKE_S = 0.15


@dataclass
class _Goal:
    """What is followed; tolerances [n] in rad or m, infinite where there is none."""

    sampler: Sampler
    started_s: float
    path: Array
    goal: Array
    goal_time_s: float


class TrajectoryController:
    """Drives some joints with position motors of limited speed and effort; holds them when there is nothing to follow.

    Args:
        name: the controller's name, as ros2_control would know it.
        robot, engine: whose joints.
        joints: names, in the order of its trajectories after reordering.
        tolerances: when a motion is given up.
    """

    def __init__(
        self, name: str, robot: Robot, engine: Engine, joints: tuple[str, ...], tolerances: Tolerances
    ) -> None:
        self.name = name
        self.joints = joints
        self.tolerances = tolerances
        self._robot, self._engine = robot, engine
        known: list[Joint] = [robot.description.joints[joint] for joint in joints]
        self._indices = [robot.joint_index[joint] for joint in joints]
        self._efforts = [joint.effort for joint in known]
        self._speeds = np.array([joint.velocity for joint in known])
        self._share = np.array([tolerances.prismatic_share if j.kind == "prismatic" else 1.0 for j in known])
        self._hold, _ = robot.state_of(joints)
        self._goal: _Goal | None = None
        self._brake: tuple[Sampler, float] | None = None
        self.status: MotionStatus | None = None
        self.message = ""

    @property
    def active(self) -> bool:
        """Whether a trajectory is being followed."""
        return self._goal is not None

    def start(
        self,
        trajectory: JointTrajectory,
        path: Array | None = None,
        goal: Array | None = None,
        goal_time_s: float | None = None,
        delay_s: float = 0.0,
    ) -> None:
        """Follow a trajectory from now on, in place of what was followed before (which counts as cancelled).

        Args:
            trajectory: of all of this controller's joints.
            path, goal: tolerances [n] in rad or m in place of the controller's: 0 keeps its own, negative means none.
            goal_time_s: how late the goal may be reached, in place of the controller's.
            delay_s: when it begins; until then the joints hold, and before now means that a part of it is over.

        Raises:
            ValueError: its joints are not this controller's.
        """
        if set(trajectory.names) != set(self.joints):
            raise ValueError(
                f"controller {self.name} moves {', '.join(self.joints)}; the trajectory {', '.join(trajectory.names)}"
            )
        order = [trajectory.names.index(joint) for joint in self.joints]
        velocities = None if trajectory.velocities is None else trajectory.velocities[:, order]
        reordered = JointTrajectory(self.joints, trajectory.times_s, trajectory.positions[:, order], velocities)
        start, _ = self._robot.state_of(self.joints)
        limits = self.tolerances
        self._goal = _Goal(
            Sampler(reordered, start),
            self._engine.time_s + delay_s,
            _tolerance(path, limits.path_rad * self._share),
            _tolerance(goal, limits.goal_rad * self._share),
            limits.goal_time_s if goal_time_s is None else goal_time_s,
        )
        self._brake = None
        self.status, self.message = None, ""

    def cancel(self) -> None:
        """Give up the trajectory and decelerate to a halt where the joints are."""
        if self._goal is None:
            return
        positions, velocities = self._robot.state_of(self.joints)
        self._finish(MotionStatus.CANCELLED, "")
        halt = positions + 0.5 * BRAKE_S * velocities
        way = JointTrajectory(
            self.joints,
            np.array([0.0, BRAKE_S]),
            np.stack([positions, halt]),
            np.stack([velocities, np.zeros_like(velocities)]),
        )
        self._hold = halt
        self._brake = (Sampler(way, positions), self._engine.time_s)

    def progress(self) -> tuple[Array, Array, Array]:
        """Wanted positions, present positions and present velocities now, each [n]."""
        positions, velocities = self._robot.state_of(self.joints)
        if self._goal is None:
            return self._hold, positions, velocities
        return self._goal.sampler.at(self._engine.time_s - self._goal.started_s)[0], positions, velocities

    def hold_here(self) -> None:
        """Forget everything and hold the present positions (after the joints were put somewhere)."""
        self._goal, self._brake = None, None
        self._hold, _ = self._robot.state_of(self.joints)

    def update(self) -> None:
        """Judge the present state and command the next step; called right before each physics step."""
        if self._goal is None:
            self._command_at_rest()
            return
        elapsed = self._engine.time_s - self._goal.started_s
        wanted, _ = self._goal.sampler.at(elapsed)
        positions, velocities = self._robot.state_of(self.joints)
        self._judge(elapsed, np.abs(wanted - positions), np.abs(velocities) / self._share)
        if self._goal is None:
            self._command_at_rest()
        else:
            self._command(*self._goal.sampler.at(elapsed + self._engine.dt_s))

    def snapshot(self) -> tuple:
        """State for ``restore``."""
        return self._hold.copy(), self._goal, self._brake, self.status, self.message

    def restore(self, state: tuple) -> None:
        """Back to a snapshot; the clock must be set back as well."""
        hold, self._goal, self._brake, self.status, self.message = state
        self._hold = hold.copy()

    def _judge(self, elapsed: float, error: Array, speed: Array) -> None:
        assert self._goal is not None
        goal = self._goal
        overdue = elapsed - goal.sampler.duration_s
        allowed = goal.path if overdue < 0.0 else goal.goal
        worst = int((error / allowed).argmax())
        within = bool(error[worst] <= allowed[worst])
        if overdue < 0.0:
            if not within:
                text = f"{self.joints[worst]} is {error[worst]:.3f} off its path (allowed {allowed[worst]:.3g})"
                self._finish(MotionStatus.PATH_TOLERANCE, text)
        elif within and float(speed.max()) <= self.tolerances.stopped_rad_s:
            final, _ = self._goal.sampler.at(elapsed)
            self._finish(MotionStatus.SUCCEEDED, "", final)
        elif overdue > goal.goal_time_s:
            text = f"{self.joints[worst]} is {error[worst]:.3f} away from its goal (allowed {allowed[worst]:.3g})"
            self._finish(MotionStatus.GOAL_TOLERANCE, text)

    def _finish(self, status: MotionStatus, message: str, hold: Array | None = None) -> None:
        self._goal = None
        self.status, self.message = status, message
        self._hold = hold.copy() if hold is not None else self._robot.state_of(self.joints)[0]

    def _command_at_rest(self) -> None:
        """Brake after a cancelled motion, then hold."""
        if self._brake is not None:
            sampler, started_s = self._brake
            elapsed = self._engine.time_s + self._engine.dt_s - started_s
            if elapsed < sampler.duration_s:
                self._command(*sampler.at(elapsed))
                return
            self._brake = None
        self._command(self._hold, np.zeros(len(self.joints)))

    def _command(self, positions: Array, velocities: Array) -> None:
        self._engine.api.setJointMotorControlArray(
            self._robot.body,
            self._indices,
            self._engine.api.POSITION_CONTROL,
            targetPositions=positions.tolist(),
            targetVelocities=np.clip(velocities, -self._speeds, self._speeds).tolist(),
            forces=self._efforts,
            positionGains=[0.3] * len(self._indices),
            velocityGains=[1.0] * len(self._indices),
        )


def _tolerance(given: Array | None, own: Array) -> Array:
    """The tolerance that counts: given where positive, the controller's own where 0, none where negative."""
    if given is None:
        return own
    return np.where(given > 0.0, given, np.where(given < 0.0, np.inf, own))


def split_trajectory(
    trajectory: JointTrajectory, controllers: Mapping[str, tuple[str, ...]]
) -> dict[str, JointTrajectory]:
    """The part of a trajectory for each controller that has joints in it, in the controller's joints.

    Raises:
        ValueError: a joint that no controller moves, or only some of a controller's joints.
    """
    rest = set(trajectory.names)
    parts = {}
    for name, joints in controllers.items():
        mine = [joint for joint in joints if joint in rest]
        if not mine:
            continue
        if len(mine) != len(joints):
            raise ValueError(f"controller {name} needs all of {', '.join(joints)}; given were {', '.join(mine)}")
        rest -= set(mine)
        order = [trajectory.names.index(joint) for joint in joints]
        velocities = None if trajectory.velocities is None else trajectory.velocities[:, order]
        parts[name] = JointTrajectory(joints, trajectory.times_s, trajectory.positions[:, order], velocities)
    if rest:
        raise ValueError(f"no controller moves {', '.join(sorted(rest))}")
    return parts
