# SPDX-License-Identifier: Apache-2.0
"""Settings of the viewer; the node takes them as parameters."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from grasp_core.config import Config


class ViewerConfig(Config):
    """Shows a running cell in the browser, and starts and stops its episodes."""

    cell: str = "ur5"
    """Name of the cell, a file in config/cells."""
    tf_prefix: str = ""
    """In front of every joint and robot frame."""
    host: str = "127.0.0.1"
    """Address to listen on. Whoever can reach it can start the robot: 0.0.0.0 only in a network that you trust."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
    """Port to listen on; the next free one where it is taken."""
    motion_hz: Annotated[float, Field(gt=0.0, le=60.0)] = 15.0
    """How often the robot is moved and buttons are looked at."""
    picture_hz: Annotated[float, Field(gt=0.0, le=30.0)] = 4.0
    """How often pictures and maps are sent."""
    surface_hz: Annotated[float, Field(gt=0.0, le=10.0)] = 1.0
    """How often cloud or mesh is sent."""
    picture_width: Annotated[int, Field(ge=64, le=1920)] = 480
    """Pictures wider than this are made smaller [pixel]."""
    cloud_points: Annotated[int, Field(ge=100, le=1_000_000)] = 60_000
    """Clouds with more points than this are thinned out."""
