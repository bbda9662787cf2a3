# SPDX-License-Identifier: Apache-2.0
"""What a gripper's data says to those who only see its joint states: how wide it is open, what it can do."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from grasp_core.cell_config import GripperConfig
from grasp_core.ports import GripperLimits
from grasp_description.grippers import load_gripper


class GripperGeometry:
    """Opening of a cell's gripper from the positions of its driving joints (a hand: the mean of its fingers)."""

    def __init__(self, config: GripperConfig) -> None:
        self._spec = load_gripper(config.kind)
        self.joints = tuple(config.prefix + joint for joint in (self._spec.driver, *self._spec.together))
        self.limits = GripperLimits(*self._spec.stroke_m, *self._spec.force_n)

    def width_m(self, positions: Mapping[str, float]) -> float:
        """Opening in metres; fingers that have closed past each other leave none."""
        return max(0.0, float(np.mean([self._spec.width_m(positions[joint]) for joint in self.joints])))
