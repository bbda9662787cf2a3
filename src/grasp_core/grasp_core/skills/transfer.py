# SPDX-License-Identifier: Apache-2.0
"""Going to a named state, and bringing what is held to the drop place."""

from __future__ import annotations

from grasp_core.cell import Reason
from grasp_core.skills.ports import CellPorts, Mover, SkillFailure, SkillResult


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
    """Bring what is held to the arm's ``drop`` state and open the gripper."""
    result = go_to_state(ports, "drop", arm)
    if not result.success:
        return result
    hand = ports.of(arm)
    hand.gripper.move(hand.gripper.limits.max_width_m, hand.force_n, ports.cancel)
    return SkillResult(None, True, Reason.MOVED, "released over the drop place")
