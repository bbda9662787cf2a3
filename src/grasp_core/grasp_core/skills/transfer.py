# SPDX-License-Identifier: Apache-2.0
"""Going to a named state, and bringing what is held to the drop place."""

from __future__ import annotations

from grasp_core.cell import Reason
from grasp_core.geometry import transform
from grasp_core.planning import Box
from grasp_core.skills.ports import CellPorts, Mover, SkillFailure, SkillResult

# Taken for the size of a held object along the fingers and across them, and for its least width between them (m).
HELD_M, LEAST_M = 0.04, 0.01


def go_to_state(ports: CellPorts, state: str, arm: str | None = None) -> SkillResult:
    """Move an arm to one of its named states.

    Raises:
        KeyError: the arm has no such state.
    """
    hand = ports.of(arm)
    if state not in hand.states:
        raise KeyError(f"arm {hand.arm.name} has no state {state!r}; it has {', '.join(hand.states)}")
    try:
        Mover(ports, arm).to_joints(hand.states[state], f"the way to {state}")
    except SkillFailure as failure:
        return SkillResult(None, False, failure.reason, failure.message)
    return SkillResult(None, True, Reason.MOVED)


def drop(ports: CellPorts, arm: str | None = None) -> SkillResult:
    """Bring what is held to the arm's ``drop`` state and open the gripper.

    On the way the planner keeps a box around what is held clear of everything; where that leaves no way, it goes
    without.
    """
    hand = ports.of(arm)
    name = hand.arm.name
    ports.planner.set_held(name, (_held_box(ports, arm),))
    try:
        result = go_to_state(ports, "drop", arm)
    finally:
        ports.planner.set_held(name, ())
    if result.reason in (Reason.IN_COLLISION, Reason.PLANNING_FAILED):
        result = go_to_state(ports, "drop", arm)
    if not result.success:
        return result
    hand.gripper.move(hand.gripper.limits.max_width_m, hand.force_n, ports.cancel)
    return SkillResult(None, True, Reason.MOVED, "released over the drop place")


def _held_box(ports: CellPorts, arm: str | None) -> Box:
    """What is held, as far as anybody knows: as wide as the fingers are apart, and beyond their tips."""
    hand = ports.of(arm)
    beyond_m = ports.settings.held_reach_m
    size = (max(hand.gripper.state().width_m, LEAST_M), HELD_M, HELD_M + beyond_m)
    return Box(f"held_by_{hand.arm.name}", transform((0.0, 0.0, 0.5 * (beyond_m - HELD_M))), size)
