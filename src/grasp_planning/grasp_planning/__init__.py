# SPDX-License-Identifier: Apache-2.0
"""Motion planning: the back ends of ``grasp_core.planning.MotionPlanner``."""

from .embedded import StraightLinePlanner
from .model import CellModel
from .requests import PlanSettings

__all__ = ["CellModel", "PlanSettings", "StraightLinePlanner"]
