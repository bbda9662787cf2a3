# SPDX-License-Identifier: Apache-2.0
"""What skills and guard must know of a cell's robot and grippers, from its description alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from grasp_core.cell_config import CellConfig, GripperConfig
from grasp_core.geometry import Array, invert
from grasp_core.guard import JointLimit
from grasp_core.ports import GripperLimits

from .grippers import load_gripper
from .robot_model import RobotModel


class CellKinematics:
    """``grasp_core.ports.Kinematics`` of a cell on its ``RobotModel``. For one thread."""

    def __init__(self, config: CellConfig) -> None:
        self.config = config
        self.model = RobotModel.from_cell(description_name(config), **config.description.arguments)
        self._T_root_base = self.model.fk(self.model.neutral, config.base_frame)
        self._T_base_root = invert(self._T_root_base)

    def fk(self, joints: Mapping[str, float], arm: str | None = None) -> Array:
        """``T_base_tcp`` [4, 4]; joints that are not given stand in their ready state."""
        _, settings = self.config.arm(arm)
        return self._T_base_root @ self.model.fk(self._vector(joints), settings.tcp_frame)

    def ik(self, T_base_tcp: ArrayLike, seed: Mapping[str, float], arm: str | None = None) -> dict[str, float] | None:
        """Positions of the arm's joints near ``seed``, or none."""
        _, settings = self.config.arm(arm)
        target = self._T_root_base @ np.asarray(T_base_tcp, dtype=np.float64)
        found = self.model.ik(target, self._vector(seed), settings.group, frame=settings.tcp_frame)
        if not found.success:
            return None
        return {joint: float(found.q[self.model.index(joint)]) for joint in settings.joints}

    def ready(self) -> dict[str, float]:
        """Every moving joint of the cell in its ready state, the coupled ones included."""
        return self.model.positions(self.model.neutral)

    def states(self, arm: str) -> dict[str, dict[str, float]]:
        """Named states of an arm's group, joints by name."""
        group = self.model.group(self.config.arms[arm].group)
        return {name: dict(zip(group.joints, values.tolist(), strict=True)) for name, values in group.states.items()}

    def limits(self) -> dict[str, JointLimit]:
        """Limits of every joint that a trajectory may move."""
        model = self.model
        rows = zip(model.joint_names, model.lower, model.upper, model.velocity_limit, strict=True)
        return {name: JointLimit(float(low), float(high), float(speed)) for name, low, high, speed in rows}

    def _vector(self, joints: Mapping[str, float]) -> Array:
        known = {name: value for name, value in joints.items() if name in self.model.joint_names}
        return self.model.vector(known)


class GripperGeometry:
    """Opening of a cell's gripper from the positions of its driving joints (a hand: the mean of its fingers)."""

    def __init__(self, config: GripperConfig) -> None:
        self._spec = load_gripper(config.kind)
        self.joints = tuple(config.prefix + joint for joint in (self._spec.driver, *self._spec.together))
        self.limits = GripperLimits(*self._spec.stroke_m, *self._spec.force_n)

    def width_m(self, positions: Mapping[str, float]) -> float:
        """Opening in metres; fingers that have closed past each other leave none."""
        return max(0.0, float(np.mean([self._spec.width_m(positions[joint]) for joint in self.joints])))


def description_name(config: CellConfig) -> str:
    """Name under which ``grasp_description`` knows the cell: ``cells/ur5.urdf.xacro`` is ur5's."""
    return config.description.xacro.rsplit("/", 1)[-1].removesuffix(".urdf.xacro")
