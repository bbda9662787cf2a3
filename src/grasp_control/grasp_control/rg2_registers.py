# SPDX-License-Identifier: Apache-2.0
"""Registers of OnRobot's Compute Box for an RG2, as driver and loopback gripper both need them.

Source: OnRobot connectivity manual and the community drivers of Osaka University. Lengths in tenths of a millimetre,
forces in tenths of a newton.
"""

from __future__ import annotations

from enum import IntFlag

# Modbus unit of a single tool.
TOOL_UNIT = 65
# Written: target force, target width, control.
FORCE, WIDTH, CONTROL = 0, 1, 2
MOST_FORCE, MOST_WIDTH = 400, 1100
GRIP, STOP, GRIP_WITH_OFFSET = 1, 8, 16
# Read: a block of 18 registers holds all that is looked at.
FIRST_READ, READ_COUNT = 258, 18
FINGERTIP_OFFSET, WIDTH_NOW, STATUS, WIDTH_WITH_OFFSET = 258, 267, 268, 275


class Status(IntFlag):
    """Bits of the status register."""

    BUSY = 1
    GRIP = 2
    S1_PUSHED = 4
    S1_TRIGGERED = 8
    S2_PUSHED = 16
    S2_TRIGGERED = 32
    SAFETY_ERROR = 64


UNSAFE = Status.S1_TRIGGERED | Status.S2_TRIGGERED | Status.SAFETY_ERROR
