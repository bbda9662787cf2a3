# SPDX-License-Identifier: Apache-2.0
"""What the loopback controllers pretend to be."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from grasp_core.config import Config

Port = Annotated[int, Field(ge=0, le=65535)]
Positive = Annotated[float, Field(gt=0.0)]

# Controller versions by kind: major, minor, bugfix, build.
VERSIONS = {"cb3": (3, 15, 8, 106339), "e_series": (5, 12, 6, 1102099)}
RATES_HZ = {"cb3": 125.0, "e_series": 500.0}


class LoopbackSettings(Config):
    """Settings of the loopback controllers."""

    host: Annotated[str, Field(pattern=r"^127\.\d+\.\d+\.\d+$")] = "127.0.0.1"
    """Address to listen at; only loopback addresses are taken. Others than 127.0.0.1 allow several at once."""
    cell: str = "ur5"
    """The cell whose arm and gripper are imitated."""
    controller: Literal["cb3", "e_series"] = "cb3"
    """Kind of controller: 125 Hz or 500 Hz, and the version that clients are told."""
    rtde_port: Port = 30004
    script_port: Port = 30003
    dashboard_port: Port = 29999
    modbus_port: Port = 5020
    """The Compute Box listens at 502, which needs privileges."""
    control_port: Port = 30998
    """Takes faults, one JSON object a line."""
    plant: str = ""
    """Address host:port of a plant in another process (the simulated world); empty: ideal kinematics."""
    gripper: Literal["modbus", "digital"] = "modbus"
    """How the RG2 is wired."""
    close_output: Annotated[int, Field(ge=0, le=17)] = 16
    """Digital output that closes the gripper (digital): 0-7 standard, 8-15 configurable, 16-17 tool."""
    grip_input: Annotated[int, Field(ge=0, le=17)] = 16
    """Digital input that tells of a grip (digital), numbered likewise."""
    unlock_after_s: Annotated[float, Field(ge=0.0, le=60.0)] = 5.0
    """How long after a protective stop it may be unlocked; a real controller wants five seconds."""
    deviation_rad: Positive = 0.2
    """Distance between commanded and measured joint positions at which the controller makes a protective stop."""
    stop_rad_s2: Positive = 20.0
    """Deceleration of protective and emergency stops."""

    @property
    def rate_hz(self) -> float:
        """Cycles a second."""
        return RATES_HZ[self.controller]

    @property
    def version(self) -> tuple[int, int, int, int]:
        """What clients are told."""
        return VERSIONS[self.controller]
