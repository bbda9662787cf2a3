# SPDX-License-Identifier: Apache-2.0
"""The fast mode for collecting data: free space is jumped, contact is simulated as ever.

What exactly is skipped: the first stretch of a trajectory in which a box around the hand stays ``margin_m`` clear of
the bounding boxes of all objects and furniture, while the fingers touch nothing. The joints are set to the end of that
stretch with the trajectory's velocity; the simulated clock and the objects stand still meanwhile. A gripper that is in
free space and touches nothing jumps to its opening. Whatever comes near an object runs through the same controllers,
motors and physics steps as in the full mode, and so does everything that follows until the trajectory's end. Only the
hand is looked at, not the arm behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from grasp_core.geometry import Array
from grasp_core.ports import JointTrajectory
from grasp_sim.trajectories import Sampler
from grasp_sim.world import World

SAMPLE_S = 0.02


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

    def __init__(self, world: World, kinematics: Forward, margin_m: float = 0.02) -> None:
        self._world = world
        self._kinematics = kinematics
        self._margin_m = margin_m
        self._reach = {name: self._hand_radius(name) for name in world.config.arms}

    def skip(self, arm: str, trajectory: JointTrajectory) -> JointTrajectory | None:
        """Jump over the free beginning; returns what must be simulated, or none where the end was reached."""
        world = self._world
        if self._holds(arm):
            return trajectory
        names = trajectory.names
        start, _ = world.robot.state_of(names)
        sampler = Sampler(trajectory, start)
        times = np.unique(np.append(np.arange(0.0, sampler.duration_s, SAMPLE_S), sampler.duration_s))
        obstacles = self._obstacles()
        joints = world.robot.positions()
        free = 0
        for t in times:
            joints.update(zip(names, sampler.at(float(t))[0].tolist(), strict=True))
            if self._near(arm, joints, obstacles):
                break
            free += 1
        if free == len(times):
            self._jump(names, sampler, sampler.duration_s)
            return None
        if free <= 1:
            return trajectory
        begin = float(times[free - 1])
        self._jump(names, sampler, begin)
        rest = times[free - 1 :] - begin
        samples = [sampler.at(begin + float(t)) for t in rest]
        return JointTrajectory(names, rest, np.stack([q for q, _ in samples]), np.stack([v for _, v in samples]))

    def set_gripper(self, gripper: str, width_m: float) -> bool:
        """Put a gripper to an opening at once if nothing is near; returns whether it was done."""
        world = self._world
        arm = next(name for name, settings in world.config.arms.items() if settings.gripper == gripper)
        if world.drives[gripper].state().holding or self._near(arm, world.robot.positions(), self._obstacles()):
            return False
        drive = world.drives[gripper]
        world.robot.set_positions(drive.joints_at(width_m))
        drive.hold_here()
        world.forget_pictures()
        return True

    def _jump(self, names: tuple[str, ...], sampler: Sampler, time_s: float) -> None:
        world = self._world
        positions, velocities = sampler.at(time_s)
        world.take_over(
            dict(zip(names, positions.tolist(), strict=True)), dict(zip(names, velocities.tolist(), strict=True))
        )

    def _holds(self, arm: str) -> bool:
        gripper = self._world.config.arms[arm].gripper
        if self._world.drives[gripper].state().holding:
            return True
        body = self._world.robot.body
        links = set(self._world.drives[gripper].finger_links)
        return any(contact[3] in links for contact in self._world.api.getContactPoints(bodyA=body))

    def _obstacles(self) -> list[tuple[Array, Array]]:
        world = self._world
        bodies = [thing.body for thing in world.present()] + list(world.extra_bodies.values())
        boxes = [world.api.getAABB(body) for body in bodies]
        # Furniture that rises above the support: the walls of a bin, a camera post.
        for link in range(world.api.getNumJoints(world.robot.statics)):
            low, high = world.api.getAABB(world.robot.statics, link)
            if high[2] > world.config.support_z_m + 0.005:
                boxes.append((low, high))
        return [(np.array(low), np.array(high)) for low, high in boxes]

    def _near(self, arm: str, joints: Mapping[str, float], obstacles: list[tuple[Array, Array]]) -> bool:
        T_base_tcp = self._kinematics.fk(joints, arm)
        back, out = self._reach[arm]
        ends = np.stack([T_base_tcp[:3, 3], T_base_tcp[:3, 3] - back * T_base_tcp[:3, 2]])
        low, high = ends.min(axis=0) - out - self._margin_m, ends.max(axis=0) + out + self._margin_m
        if low[2] < self._world.config.support_z_m:
            return True
        return any(not (np.any(low > b) or np.any(high < a)) for a, b in obstacles)

    def _hand_radius(self, arm: str) -> tuple[float, float]:
        """Length of the hand behind the tool's origin, and how far it reaches to the sides and beyond, open (m)."""
        world = self._world
        settings = world.config.arms[arm]
        drive = world.drives[settings.gripper]
        T_base_tcp = world.robot.T_base(settings.tcp_frame)
        out = 0.5 * drive.limits.max_width_m
        back = 0.0
        for link in drive.finger_links:
            low, high = map(np.array, world.api.getAABB(world.robot.body, link))
            corners = np.array(
                [[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])]
            )
            local = (corners - T_base_tcp[:3, 3]) @ T_base_tcp[:3, :3]
            out = max(out, float(np.abs(local[:, :2]).max()), float(local[:, 2].max()))
            back = max(back, float(-local[:, 2].min()))
        return back, out
