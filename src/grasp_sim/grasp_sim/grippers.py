# SPDX-License-Identifier: Apache-2.0
"""Picks the drive for a gripper's data: hands with breakaway fingers, or fingers that one motor moves."""

from __future__ import annotations

from grasp_description.grippers import GripperSpec
from grasp_sim.engine import Engine
from grasp_sim.finger_drive import FingerDrive
from grasp_sim.gripper_drive import GripperDrive, StallSettings
from grasp_sim.hand_drive import HandDrive
from grasp_sim.robot import Robot


def make_drive(
    robot: Robot, engine: Engine, spec: GripperSpec, prefix: str, stall: StallSettings | None = None
) -> GripperDrive:
    """The drive that fits the data: a ``breakaway`` table means a hand."""
    if spec.breakaway:
        return HandDrive(robot, engine, spec, prefix, stall)
    return FingerDrive(robot, engine, spec, prefix, stall)
