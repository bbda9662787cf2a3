# SPDX-License-Identifier: Apache-2.0
"""Motion planning: the back ends of ``grasp_core.planning.MotionPlanner``."""

from .embedded import StraightLinePlanner
from .factory import make_planner
from .model import CellModel
from .ompl_planner import OmplPlanner
from .requests import PlanSettings

__all__ = ["CellModel", "OmplPlanner", "PlanSettings", "StraightLinePlanner", "make_planner"]
