# SPDX-License-Identifier: Apache-2.0
"""The grasp: approach in a straight line, close, lift, judge by what the gripper reports."""

from __future__ import annotations

from grasp_core.actions import Grasp
from grasp_core.cell import Reason
from grasp_core.geometry import Array, transform
from grasp_core.observation import GripperState
from grasp_core.skills.ports import ArmPorts, CellPorts, Mover, SkillFailure, SkillResult


def grasp(ports: CellPorts, action: Grasp) -> SkillResult:
    """Carry out a grasp.

    The grasp counts as held when the gripper, told to close again after the lift, is stopped by something.
    ``SLIPPED`` means it held before the lift only.
    """
    hand = ports.of(action.arm)
    mover = Mover(ports, action.arm)
    T_base_pre = action.T_base_tcp @ transform((0.0, 0.0, -action.approach_m))
    _open(ports, hand, action)
    mover.to_pose(T_base_pre, "the way to the pre-grasp pose")
    mover.along_line(action.T_base_tcp, "the approach", touching=True)
    closed = hand.gripper.move(hand.gripper.limits.min_width_m, hand.force_n, ports.cancel)
    if ports.cancel.is_set():
        raise SkillFailure(Reason.CANCELLED, "cancelled while closing")
    mover.along_line(_lifted(ports, mover.T_base_tcp), "the lift", touching=True)
    # Closing once more brings the fingers to rest: what turned between them is still held, what fell lets them close.
    lifted = hand.gripper.move(hand.gripper.limits.min_width_m, hand.force_n, ports.cancel)
    return _judge(action, closed, lifted)


def _open(ports: CellPorts, hand: ArmPorts, action: Grasp) -> None:
    limits = hand.gripper.limits
    hand.gripper.move(limits.max_width_m if action.width_m is None else action.width_m, hand.force_n, ports.cancel)
    if action.preshape:
        try:
            hand.gripper.preshape(action.preshape, ports.cancel)
        except ValueError as error:
            raise SkillFailure(Reason.GRIPPER_FAILED, str(error)) from error


def _lifted(ports: CellPorts, T_base_tcp: Array) -> Array:
    lift_m = ports.settings.lift_m
    if ports.settings.lift_along == "back":
        return T_base_tcp @ transform((0.0, 0.0, -lift_m))
    return transform((0.0, 0.0, lift_m)) @ T_base_tcp


def _judge(action: Grasp, closed: GripperState, lifted: GripperState) -> SkillResult:
    if lifted.holding is None:
        return SkillResult(action, None, Reason.MOVED, "the gripper cannot tell whether it holds something")
    width_mm = f"{1000.0 * lifted.width_m:.1f} mm"
    if lifted.holding:
        return SkillResult(action, True, Reason.HELD, f"held at an opening of {width_mm}")
    if closed.holding:
        return SkillResult(action, False, Reason.SLIPPED, f"slipped during the lift; the opening is now {width_mm}")
    return SkillResult(action, False, Reason.MISSED, f"nothing between the fingers; the opening is {width_mm}")
