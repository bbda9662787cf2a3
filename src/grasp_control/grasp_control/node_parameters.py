# SPDX-License-Identifier: Apache-2.0
"""Parameters of the driver nodes as configurations; ROS only declares them."""

from __future__ import annotations

from typing import Annotated, Any

import yaml
from pydantic import Field

from grasp_core.config import Config, ConfigError

Share = Annotated[float, Field(gt=0.0, le=1.0)]


class DriverParameters(Config):
    """What arm and gripper nodes have in common."""

    cell: str = "ur5"
    """Name of the cell, a file in config/cells."""
    driver: str = ""
    """Name of the driver, an entry point of the group grasp.drivers."""
    robot_ip: str = ""
    """Address of the robot."""
    options: str = ""
    """YAML mapping of the driver's settings, as a string: -p "options:='{servo_gain: 400}'"."""
    tf_prefix: str = ""
    """In front of every joint."""

    def settings(self, **more: Any) -> dict[str, Any]:
        """The driver's settings: ``more`` with the options on top.

        Raises:
            ConfigError: the options are no mapping.
        """
        try:
            options = yaml.safe_load(self.options or "{}")
        except yaml.YAMLError as error:
            raise ConfigError(f"parameter options is {self.options!r}: no YAML: {error}") from error
        if not isinstance(options, dict):
            raise ConfigError(f"parameter options is {self.options!r}; a YAML mapping is wanted")
        return {**more, **options}


class ArmParameters(DriverParameters):
    """Parameters of ``arm_node``."""

    driver: str = "ur_rtde"
    arm: str = ""
    """Name of the arm in the cell's file; empty: the first."""
    speed_scale: Share = 0.25
    """Largest share of the joints' speed limits; may be set while the node runs."""
    deadman_s: Annotated[float, Field(ge=0.05, le=2.0)] = 0.3
    """A streamed step ends in a stop when nothing newer comes for so long."""
    state_hz: Annotated[float, Field(ge=10.0, le=500.0)] = 125.0
    """Joint states are published at most so often."""


class GripperParameters(DriverParameters):
    """Parameters of ``gripper_node``."""

    driver: str = "rg2_modbus"
    gripper: str = ""
    """Name of the gripper in the cell's file; empty: the first."""
    state_hz: Annotated[float, Field(ge=2.0, le=100.0)] = 25.0
    """How often joint states are published."""
