# SPDX-License-Identifier: Apache-2.0
"""The fast mode for collecting data: free space is jumped, contact is simulated as ever.

What exactly is skipped: the stretches of a trajectory in which a box around the hand stays ``margin_m`` clear of the
convex parts of all objects and of the furniture's bounding boxes; what the hand holds is inside of that box, so that a
loaded hand never jumps. The joints are set to the end of the stretch with the trajectory's velocity; the simulated
clock and the objects stand still meanwhile. A stretch that follows a simulated one (the way back) is jumped only once
every object is at rest. A gripper in free space jumps to its opening, and closing fingers jump until one is near
something. Whatever comes near an object runs through the same controllers, motors and physics steps as in the full
mode. Only the hand is looked at, not the arm behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from grasp_core.geometry import Array, quaternion_of, transform
from grasp_core.ports import JointTrajectory
from grasp_sim.robot import Robot
from grasp_sim.trajectories import Sampler
from grasp_sim.world import World

SAMPLE_S = 0.02
# Shorter free stretches in the middle of a motion are simulated.
SHORTEST_LEAP_S = 0.1
# Speeds below which an object counts as at rest.
REST_M_S = 0.01
REST_RAD_S = 0.2
# A closing gripper jumps in such steps while its fingers have this much room.
FINGER_STEP_M = 0.004
FINGER_MARGIN_M = 0.003
# Joints that differ by less from where the opening would have them count as there.
SAME_RAD = 0.02
# Openings, as shares of the stroke, at which the hand's box is measured: closing fingers may reach further out.
OPENINGS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class _Around:
    """What stands around the hand: boxes of furniture, and objects with middle and radius of a ball about each."""

    boxes: list[tuple[Array, Array]]
    bodies: list[int]
    middles: Array
    radii: Array


class Forward(Protocol):
    """Forward kinematics; ``grasp_core.ports.Kinematics`` has it."""

    def fk(self, joints: Mapping[str, float], arm: str | None = None) -> Array:
        """``T_base_tcp``."""
        ...


class FastMotion:
    """Decides what of a motion may be jumped, and jumps.

    Args:
        world: whose robot.
        kinematics: where the tool is.
        margin_m: clearance between hand and objects below which everything is simulated.
    """

    def __init__(self, world: World, kinematics: Forward, margin_m: float = 0.01) -> None:
        self._world = world
        self._kinematics = kinematics
        self._margin_m = margin_m
        self._boxes = {name: self._hand_box(name) for name in world.config.arms}
        self._middles = {name: transform(box.mean(axis=0)) for name, box in self._boxes.items()}
        self._shapes: dict[str, int] = {}
        self._shapes_of: Robot | None = None

    def skip(self, arm: str, trajectory: JointTrajectory) -> JointTrajectory | None:
        """Jump over the free beginning; returns what must be simulated, or none where the end was reached."""
        world = self._world
        names = trajectory.names
        start, _ = world.robot.state_of(names)
        sampler = Sampler(trajectory, start)
        times = np.unique(np.append(np.arange(0.0, sampler.duration_s, SAMPLE_S), sampler.duration_s))
        joints, around = world.robot.positions(), self._around()
        free = 0
        for t in times:
            joints.update(zip(names, sampler.at(float(t))[0].tolist(), strict=True))
            if self._near(arm, joints, around):
                break
            free += 1
        if free == len(times):
            self._jump(names, sampler, sampler.duration_s)
            return None
        if free <= 1:
            return trajectory
        begin = float(times[free - 1])
        self._jump(names, sampler, begin)
        return _rest(trajectory.names, sampler, begin)

    def leap(self, arm: str, trajectory: JointTrajectory, elapsed_s: float) -> JointTrajectory | None:
        """In the middle of a motion: the same, once the hand is free and all objects are at rest.

        Args:
            arm: whose motion.
            trajectory: what is being followed.
            elapsed_s: since when.

        Returns:
            ``trajectory`` itself where nothing was jumped, else as ``skip``.
        """
        world = self._world
        if self._near(arm, world.robot.positions(), self._around()) or not self._at_rest():
            return trajectory
        start, _ = world.robot.state_of(trajectory.names)
        sampler = Sampler(trajectory, start)
        rest = _rest(trajectory.names, sampler, elapsed_s)
        if rest.duration_s < SHORTEST_LEAP_S:
            return trajectory
        ahead = Sampler(rest, start)
        joints, around = world.robot.positions(), self._around()
        for t in np.arange(0.0, SHORTEST_LEAP_S, SAMPLE_S):
            joints.update(zip(rest.names, ahead.at(float(t))[0].tolist(), strict=True))
            if self._near(arm, joints, around):
                return trajectory
        return self.skip(arm, rest)

    def set_gripper(self, gripper: str, width_m: float) -> bool:
        """Jump a gripper towards an opening as far as nothing is near; returns whether it got there.

        With the hand in free space that is the whole way; else until a finger comes near something.
        """
        world = self._world
        arm = next(name for name, settings in world.config.arms.items() if settings.gripper == gripper)
        drive = world.drives[gripper]
        if not self._near(arm, world.robot.positions(), self._around()):
            world.robot.set_positions(drive.joints_at(width_m))
            drive.hold_here()
            world.forget_pictures()
            return True
        self._approach(gripper, width_m)
        return False

    def _approach(self, gripper: str, width_m: float) -> None:
        drive, robot = self._world.drives[gripper], self._world.robot
        now_m = drive.state().width_m
        here = drive.joints_at(now_m)
        real = robot.positions()
        if any(abs(real[name] - value) > SAME_RAD for name, value in here.items()):
            return  # Bent by something, or a hand with its fingers spread: there is no one way to jump along.
        count = int(abs(width_m - now_m) / FINGER_STEP_M)
        free = None
        for width in np.linspace(now_m, width_m, count + 1)[:-1]:
            joints = drive.joints_at(float(width))
            robot.set_positions(joints)
            if self._fingers_near(joints):
                break
            free = joints
        robot.set_positions(free or {name: real[name] for name in here})
        self._world.forget_pictures()

    def _fingers_near(self, joints: Mapping[str, float]) -> bool:
        world = self._world
        bodies = [thing.body for thing in world.present()] + list(world.extra_bodies.values()) + [world.robot.statics]
        # PyBullet numbers a link as the joint that carries it.
        links = [world.robot.joint_index[name] for name in joints]
        return any(
            world.api.getClosestPoints(world.robot.body, body, FINGER_MARGIN_M, linkIndexA=link)
            for link in links
            for body in bodies
        )

    def _jump(self, names: tuple[str, ...], sampler: Sampler, time_s: float) -> None:
        world = self._world
        positions, velocities = sampler.at(time_s)
        world.take_over(
            dict(zip(names, positions.tolist(), strict=True)), dict(zip(names, velocities.tolist(), strict=True))
        )

    def _at_rest(self) -> bool:
        speeds = map(self._world.speed_of, self._world.present())
        return all(linear < REST_M_S and angular < REST_RAD_S for linear, angular in speeds)

    def _around(self) -> _Around:
        world = self._world
        boxes = [world.api.getAABB(body) for body in world.extra_bodies.values()]
        # Furniture that rises above the support: the walls of a bin, a camera post.
        for link in range(world.api.getNumJoints(world.robot.statics)):
            low, high = world.api.getAABB(world.robot.statics, link)
            if high[2] > world.config.support_z_m + 0.005:
                boxes.append((low, high))
        things = world.present()
        return _Around(
            [(np.array(low), np.array(high)) for low, high in boxes],
            [thing.body for thing in things],
            np.array([world.pose_of(thing)[:3, 3] for thing in things]).reshape(-1, 3),
            np.array([0.5 * np.linalg.norm(thing.model.extents_m) for thing in things]),
        )

    def _near(self, arm: str, joints: Mapping[str, float], around: _Around) -> bool:
        T_base_tcp = self._kinematics.fk(joints, arm)
        corners = self._boxes[arm] @ T_base_tcp[:3, :3].T + T_base_tcp[:3, 3]
        low, high = corners.min(axis=0) - self._margin_m, corners.max(axis=0) + self._margin_m
        if low[2] < self._world.config.support_z_m:
            return True
        if any(not (np.any(low > b) or np.any(high < a)) for a, b in around.boxes):
            return True
        # Balls first, then true distances: thrown objects have boxes with much air in them.
        radii = around.radii[:, None]
        close = np.all((around.middles + radii >= low) & (around.middles - radii <= high), axis=1)
        return any(self._touches(arm, T_base_tcp, around.bodies[k]) for k in np.flatnonzero(close))

    def _touches(self, arm: str, T_base_tcp: Array, body: int) -> bool:
        T_base_middle = T_base_tcp @ self._middles[arm]
        return bool(
            self._world.api.getClosestPoints(
                bodyA=-1,
                bodyB=body,
                distance=self._margin_m,
                collisionShapeA=self._shape(arm),
                collisionShapePositionA=T_base_middle[:3, 3].tolist(),
                collisionShapeOrientationA=quaternion_of(T_base_tcp).tolist(),
            )
        )

    def _shape(self, arm: str) -> int:
        # A reset of the world deletes all shapes and makes a new robot.
        if self._shapes_of is not self._world.robot:
            self._shapes, self._shapes_of = {}, self._world.robot
        if arm not in self._shapes:
            half = 0.5 * np.ptp(self._boxes[arm], axis=0)
            api = self._world.api
            self._shapes[arm] = int(api.createCollisionShape(api.GEOM_BOX, halfExtents=half.tolist()))
        return self._shapes[arm]

    def _hand_box(self, arm: str) -> Array:
        """Corners [8, 3] in the tool's frame of a box around the fingers at any opening, and the tool's origin (m)."""
        world = self._world
        settings = world.config.arms[arm]
        drive = world.drives[settings.gripper]
        before = world.robot.positions()
        low, high = np.zeros(3), np.zeros(3)
        for share in OPENINGS:
            width = drive.limits.min_width_m + share * (drive.limits.max_width_m - drive.limits.min_width_m)
            world.robot.set_positions(drive.joints_at(width))
            # The tool's frame moves along the hand as the fingers close; the box is wanted about the one of fk.
            T_base_tcp = self._kinematics.fk(world.robot.positions(), arm)
            for link in drive.finger_links:
                corners = _corners(*map(np.array, world.api.getAABB(world.robot.body, link)))
                local = (corners - T_base_tcp[:3, 3]) @ T_base_tcp[:3, :3]
                low, high = np.minimum(low, local.min(axis=0)), np.maximum(high, local.max(axis=0))
        world.robot.set_positions(before)
        return _corners(low, high)


def _corners(low: Array, high: Array) -> Array:
    """Corners [8, 3] of a box."""
    return np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])


def _rest(names: tuple[str, ...], sampler: Sampler, begin_s: float) -> JointTrajectory:
    """What is left of a trajectory after ``begin_s``, with velocities."""
    begin = min(begin_s, sampler.duration_s)
    times = np.append(np.arange(begin, sampler.duration_s - 1e-6, SAMPLE_S), sampler.duration_s)
    samples = [sampler.at(float(t)) for t in times]
    return JointTrajectory(names, times - begin, np.stack([q for q, _ in samples]), np.stack([v for _, v in samples]))
