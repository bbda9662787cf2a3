# SPDX-License-Identifier: Apache-2.0
"""Settings of the RG2 drivers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from grasp_core.config import Config

Positive = Annotated[float, Field(gt=0.0)]
Signal = Annotated[int, Field(ge=0, le=17)]


class Rg2Settings(Config):
    """An RG2 behind OnRobot's Compute Box, over Modbus TCP."""

    host: Annotated[str, Field(min_length=1)] = "192.168.1.1"
    """Address of the Compute Box; it leaves the factory with 192.168.1.1."""
    port: Annotated[int, Field(ge=1, le=65535)] = 502
    """Its Modbus port."""
    unit: Annotated[int, Field(ge=1, le=247)] = 65
    """Modbus unit: 65 behind a single quick changer, 66 and 67 behind a dual one."""
    poll_hz: Annotated[float, Field(ge=2.0, le=100.0)] = 25.0
    """How often its registers are read."""
    reply_s: Positive = 0.3
    """Longest wait for a reply; after it the connection is made anew."""
    stale_s: Positive = 0.5
    """An older state counts as none."""
    motion_s: Positive = 4.0
    """Longest motion; a gripper that is still busy then is told to stop."""
    reached_m: Positive = 0.0015
    """Distance to the commanded opening that counts as reached."""
    empty_m: Positive = 0.002
    """Opening above fully closed from which a grip means that something is held."""


class DigitalSettings(Config):
    """An RG2 that digital signals of the robot open and close."""

    host: Annotated[str, Field(min_length=1)]
    """Address of the robot's controller."""
    close_output: Signal = 16
    """Output that closes the gripper while it is on: 0-7 standard, 8-15 configurable, 16-17 tool."""
    grip_input: Annotated[int, Field(ge=-1, le=17)] = 16
    """Input that is on while something is gripped, numbered likewise; -1: not wired, a grip cannot be told then."""
    travel_s: Positive = 1.2
    """Time for the whole stroke."""
    stale_s: Positive = 0.5
    """An older state of the controller counts as none."""
