# SPDX-License-Identifier: Apache-2.0
"""Skills: how an action becomes arm, gripper and planner calls. The same code runs in simulation and over ROS."""

from grasp_core.skills.execute import execute_action
from grasp_core.skills.ports import ArmPorts, CellPorts, SkillResult
from grasp_core.skills.transfer import drop, go_to_state

__all__ = ["ArmPorts", "CellPorts", "SkillResult", "drop", "execute_action", "go_to_state"]
