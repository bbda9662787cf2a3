# SPDX-License-Identifier: Apache-2.0
"""Robots, grippers and cells: xacro, SRDF and `RobotModel` (kinematics and collision on Pinocchio and Coal)."""

from .grippers import GripperSpec, load_gripper
from .resources import cell_srdf, cell_urdf, cells, resolve
from .robot_model import RobotModel
from .specs import CellSpec, RobotSpec, load_cell, load_robot

__all__ = [
    "CellSpec",
    "GripperSpec",
    "RobotModel",
    "RobotSpec",
    "cell_srdf",
    "cell_urdf",
    "cells",
    "load_cell",
    "load_gripper",
    "load_robot",
    "resolve",
]
