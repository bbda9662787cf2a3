# SPDX-License-Identifier: Apache-2.0
"""Limits and tool frames of a whole cell, put together from the robot's and the grippers' files."""

from __future__ import annotations

from collections.abc import Mapping

from .grippers import load_gripper
from .specs import JointLimits, load_cell


def joint_limits(
    cell: str, prefix: str = "", arguments: Mapping[str, str | float] | None = None
) -> Mapping[str, JointLimits]:
    """Limits of every joint of a cell, robot and grippers, by name; `arguments` are the xacro's."""
    spec = load_cell(cell)
    limits = {f"{prefix}{name}": values for name, values in spec.robot_spec(arguments).joints.items()}
    for effector in spec.end_effectors:
        gripper = load_gripper(effector.gripper)
        limits.update({f"{prefix}{effector.prefix}{name}": values for name, values in gripper.joints.items()})
    return limits


def tool_frames(cell: str, prefix: str = "") -> Mapping[str, str]:
    """The tool frame of each arm group, and of each group whose chain ends at the same link as that arm."""
    spec = load_cell(cell)
    groups = spec.robot_spec().groups
    frames = {}
    for effector in spec.end_effectors:
        tip = groups[effector.arm].tip
        for name, group in groups.items():
            if group.tip == tip:
                frames[name] = f"{prefix}{effector.prefix}{load_gripper(effector.gripper).tcp_frame}"
    return frames
