# SPDX-License-Identifier: Apache-2.0
"""The cell's robot and furniture as PyBullet bodies, with names instead of numbers."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from grasp_core.geometry import Array, transform
from grasp_sim.description import SimDescription, split
from grasp_sim.engine import Engine


class Robot:
    """The moving body and the static one of a cell.

    Args:
        engine: where they are loaded.
        urdf: the cell's URDF, meshes as absolute paths, couplings free.
        ready: joint positions to load them in; pairs of a link and a piece of furniture that touch there may always
            touch (a base on its table).
    """

    def __init__(self, engine: Engine, urdf: str, ready: Mapping[str, float]) -> None:
        self._api = engine.api
        self.description: SimDescription = split(urdf)
        self.body = engine.load_urdf_text(self.description.robot_urdf, fixed=True)
        self.statics = engine.load_urdf_text(self.description.static_urdf, fixed=True)
        self.joint_index: dict[str, int] = {}
        self.link_index: dict[str, int] = {self.description.root: -1}
        for index in range(self._api.getNumJoints(self.body)):
            info = self._api.getJointInfo(self.body, index)
            self.joint_index[info[1].decode()] = index
            self.link_index[info[12].decode()] = index
        self.joint_names = tuple(self.joint_index)
        self._all = list(self.joint_index.values())
        self._free_motors()
        self._set_friction(engine)
        self.set_positions(ready)
        self._allow_touching()

    def positions(self) -> dict[str, float]:
        """Position of every joint, rad or m."""
        return {name: s[0] for name, s in zip(self.joint_names, self._states(self._all), strict=True)}

    def state_of(self, names: Sequence[str]) -> tuple[Array, Array]:
        """Positions and velocities [n] of some joints."""
        states = self._states([self.joint_index[name] for name in names])
        return np.array([s[0] for s in states]), np.array([s[1] for s in states])

    def efforts_of(self, names: Sequence[str]) -> Array:
        """What the motors of some joints applied in the last step, Nm or N [n]."""
        return np.array([s[3] for s in self._states([self.joint_index[name] for name in names])])

    def set_positions(self, positions: Mapping[str, float], velocities: Mapping[str, float] | None = None) -> None:
        """Put joints somewhere at once, without physics."""
        rates = velocities or {}
        for name, value in positions.items():
            self._api.resetJointState(self.body, self.joint_index[name], value, rates.get(name, 0.0))

    def T_base(self, frame: str) -> Array:
        """Pose [4, 4] of a link or frame of the URDF in its root frame.

        Raises:
            KeyError: no such frame.
        """
        if frame not in self.description.anchors:
            raise KeyError(f"the description has no link or frame {frame!r}")
        link, T_link_frame = self.description.anchors[frame]
        if link == self.description.root:
            return T_link_frame
        state = self._api.getLinkState(self.body, self.link_index[link], computeForwardKinematics=1)
        return transform(state[4], state[5]) @ T_link_frame

    def links_of(self, frames: Sequence[str]) -> tuple[int, ...]:
        """Link numbers that carry the named links."""
        return tuple(self.link_index[self.description.anchors[frame][0]] for frame in frames)

    def static_names(self) -> dict[int, str]:
        """Names of the furniture by link number of the static body."""
        count = self._api.getNumJoints(self.statics)
        return {i: self._api.getJointInfo(self.statics, i)[12].decode() for i in range(count)}

    def _states(self, indices: list[int]) -> list[tuple]:
        return self._api.getJointStates(self.body, indices) if indices else []

    def _free_motors(self) -> None:
        # PyBullet starts every joint with a small velocity motor; the controllers take its place.
        count = len(self._all)
        if count:
            self._api.setJointMotorControlArray(
                self.body, self._all, self._api.VELOCITY_CONTROL, forces=[0.0] * count, targetVelocities=[0.0] * count
            )

    def _set_friction(self, engine: Engine) -> None:
        settings = engine.settings
        for link in range(-1, len(self._all)):
            self._api.changeDynamics(
                self.body, link, lateralFriction=settings.static_friction, restitution=settings.restitution
            )
        for link in range(-1, self._api.getNumJoints(self.statics)):
            self._api.changeDynamics(
                self.statics, link, lateralFriction=settings.static_friction, restitution=settings.restitution
            )

    def _allow_touching(self) -> None:
        self._api.performCollisionDetection()
        touching = {(c[3], c[4]) for c in self._api.getContactPoints(self.body, self.statics) if c[8] < 0.002}
        moving_first = {
            self.link_index[j.child] for j in self.description.joints.values() if j.parent == self.description.root
        }
        static_links = range(-1, self._api.getNumJoints(self.statics))
        touching |= set(itertools.product(moving_first, static_links))
        for a, b in touching:
            self._api.setCollisionFilterPair(self.body, self.statics, a, b, 0)
