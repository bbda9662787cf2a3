# SPDX-License-Identifier: Apache-2.0
"""The step of a closed-loop policy: a short relative motion, then the gripper."""

from __future__ import annotations

from grasp_core.actions import GripperMotion, Step
from grasp_core.cell import Reason
from grasp_core.geometry import Array, transform
from grasp_core.observation import Observation
from grasp_core.skills.ports import CellPorts, Mover, SkillFailure, SkillResult


def goal_of(step: Step, T_base_tcp: Array, R_base_frame: Array) -> Array:
    """Tool pose [4, 4] that a step leads to from ``T_base_tcp``; ``R_base_frame`` [3, 3] are the axes it uses."""
    rotation = R_base_frame @ step.T_delta[:3, :3] @ R_base_frame.T @ T_base_tcp[:3, :3]
    return transform(T_base_tcp[:3, 3] + R_base_frame @ step.T_delta[:3, 3], rotation)


def step(ports: CellPorts, action: Step, observation: Observation) -> SkillResult:
    """Move by a step, then open or close the gripper; contact may end the motion early."""
    hand = ports.of(action.arm)
    mover = Mover(ports, action.arm)
    goal = goal_of(action, mover.T_base_tcp, observation.axes(action.frame, action.arm))
    moved = mover.along_line(goal, "the step", touching=True)
    limits = hand.gripper.limits
    if action.gripper is GripperMotion.OPEN:
        hand.gripper.move(limits.max_width_m, hand.force_n, ports.cancel)
    elif action.gripper is GripperMotion.CLOSE:
        hand.gripper.move(limits.min_width_m, hand.force_n, ports.cancel)
    if ports.cancel.is_set():
        raise SkillFailure(Reason.CANCELLED, "cancelled during the step")
    return SkillResult(action, True, Reason.MOVED, moved.message)
