# SPDX-License-Identifier: Apache-2.0
"""Kinematics of the imitated arm in its controller's words: poses in ``base`` as position and rotation vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from grasp_core.cell_config import CellConfig
from grasp_core.geometry import Array, invert, rotation_of, transform
from grasp_description.cell_kinematics import description_name
from grasp_description.robot_model import RobotModel

# The controller's own frames in the description.
BASE, FLANGE = "base", "tool0"


class ArmModel:
    """The arm of a cell, seen by its controller."""

    def __init__(self, config: CellConfig) -> None:
        _, settings = config.arm()
        self.joints = settings.joints
        self._model = RobotModel.from_cell(description_name(config), **config.description.arguments)
        self._group = settings.group
        indices = [self._model.index(joint) for joint in self.joints]
        self._indices = np.array(indices)
        prefix = config.description.arguments.get("prefix", "")
        self._base, self._flange = prefix + BASE, prefix + FLANGE
        self._T_base_world = invert(self._model.fk(self._model.neutral, self._base))
        self.ready: Array = self._model.state(settings.ready, settings.group)[self._indices]
        self.speed_limits: Array = self._model.velocity_limit[self._indices]
        self.acceleration_limits: Array = self._model.acceleration_limit[self._indices]

    def T_base_flange(self, q: Array) -> Array:
        """Pose of the flange [4, 4]."""
        return self._T_base_world @ self._model.fk(self._full(q), self._flange)

    def pose(self, q: Array, tcp: Sequence[float]) -> list[float]:
        """Pose of the tool: x, y, z and a rotation vector; ``tcp`` is the tool in the flange likewise."""
        T = self.T_base_flange(q) @ matrix_of(tcp)
        return pose_of(T)

    def speed(self, q: Array, qd: Array) -> list[float]:
        """Velocity of the flange in ``base``: m/s, then rad/s."""
        J = self._model.jacobian(self._full(q), self._flange, self._group)
        twist = J @ qd
        R = self._T_base_world[:3, :3]
        return [*(R @ twist[:3]).tolist(), *(R @ twist[3:]).tolist()]

    def joint_rates(self, q: Array, twist: Sequence[float]) -> Array:
        """Joint velocities for a flange velocity in ``base``, damped near singularities."""
        J = self._model.jacobian(self._full(q), self._flange, self._group)
        R = self._T_base_world[:3, :3].T
        wanted = np.concatenate([R @ np.array(twist[:3]), R @ np.array(twist[3:])])
        return J.T @ np.linalg.solve(J @ J.T + 1e-6 * np.eye(6), wanted)

    def joints_at(self, pose: Sequence[float], tcp: Sequence[float], seed: Array) -> Array | None:
        """Joint positions that put the tool there, near ``seed``; none where there are none."""
        T_world = invert(self._T_base_world) @ matrix_of(pose) @ invert(matrix_of(tcp))
        found = self._model.ik(T_world, self._full(seed), self._group, frame=self._flange)
        return found.q[self._indices] if found.success else None

    def _full(self, q: Array) -> Array:
        full = self._model.neutral.copy()
        full[self._indices] = q
        return full


def matrix_of(pose: Sequence[float]) -> Array:
    """[4, 4] of x, y, z and a rotation vector."""
    return transform(tuple(pose[:3]), Rotation.from_rotvec(np.array(pose[3:6])))


def pose_of(T: Array) -> list[float]:
    """x, y, z and the rotation vector of a pose [4, 4]."""
    return [*T[:3, 3].tolist(), *rotation_of(T).as_rotvec().tolist()]
