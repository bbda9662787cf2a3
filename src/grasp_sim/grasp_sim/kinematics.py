# SPDX-License-Identifier: Apache-2.0
"""The cell's planners by name, on the kinematics that its description gives."""

from __future__ import annotations

from typing import Literal

from grasp_core.planning import MotionPlanner
from grasp_description.cell_kinematics import CellKinematics, description_name
from grasp_description.specs import load_cell

__all__ = ["CellKinematics", "PlannerName", "description_name", "make_planner"]

PlannerName = Literal["line", "ompl"]


def make_planner(name: PlannerName, kinematics: CellKinematics) -> MotionPlanner:
    """A planner for skills, on the same model: ``line`` goes straight and avoids only the robot, ``ompl`` searches.

    Raises:
        ValueError: no such planner.
    """
    # Here, so that a world or a bridge does not need the planning package.
    from grasp_planning import CellModel, StraightLinePlanner
    from grasp_planning.model import furniture

    config = kinematics.config
    prefix = config.description.arguments.get("prefix", "")
    robot_root = load_cell(description_name(config)).robot_spec(config.description.arguments).root
    model = CellModel(kinematics.model, config, furniture(kinematics.model, prefix + robot_root))
    if name == "line":
        return StraightLinePlanner(model)
    if name == "ompl":
        from grasp_planning.ompl_planner import OmplPlanner

        return OmplPlanner(model)
    raise ValueError(f"no planner {name!r}; there is line, ompl")
