# SPDX-License-Identifier: Apache-2.0
"""The push: closed gripper, down, along a straight line, up again (VPG section IV-B)."""

from __future__ import annotations

import numpy as np

from grasp_core.actions import Push
from grasp_core.cell import Reason
from grasp_core.geometry import top_down, transform
from grasp_core.skills.ports import CellPorts, Mover, SkillFailure, SkillResult

# Least horizontal part of a push's direction, and least length (m) that is worth coming down for.
LEAST_SLOPE = 0.1
LEAST_PUSH_M = 0.005


def push(ports: CellPorts, action: Push) -> SkillResult:
    """Push in a straight line; the broad side of the closed fingers goes first.

    A push that met something it could not move ends where it was stopped; that is a push all the same.
    """
    if np.linalg.norm(action.direction[:2]) < LEAST_SLOPE:
        raise SkillFailure(Reason.INVALID_ACTION, "a push straight up or down has no direction on the table")
    if action.length_m < LEAST_PUSH_M:
        text = f"nothing is left to push along: {action.length_m:.3f} m inside the workspace"
        raise SkillFailure(Reason.REFUSED_BY_GUARD, text)
    hand = ports.of(action.arm)
    mover = Mover(ports, action.arm)
    hand.gripper.move(hand.gripper.limits.min_width_m, hand.force_n, ports.cancel)
    # The closing direction lies across the push, so that both fingers meet the object side by side.
    yaw = float(np.arctan2(action.direction[1], action.direction[0])) + 0.5 * np.pi
    T_start = top_down(action.start, yaw)
    above = transform((0.0, 0.0, ports.settings.push_height_m))
    mover.to_pose(above @ T_start, "the way to above the push")
    mover.along_line(T_start, "the descent to the push", touching=True)
    T_end = transform(action.direction * action.length_m) @ T_start
    moved = mover.along_line(T_end, "the push", touching=True)
    mover.along_line(above @ mover.T_base_tcp, "the way up from the push", touching=True)
    return SkillResult(action, True, Reason.PUSHED, moved.message)
