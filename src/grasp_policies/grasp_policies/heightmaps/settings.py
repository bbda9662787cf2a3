# SPDX-License-Identifier: Apache-2.0
"""Which piece of the table a heightmap shows, and how finely."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from grasp_core.cell_config import Point
from grasp_core.config import Config
from grasp_fusion.heightmap import HeightmapConfig


class MapSettings(Config):
    """The heightmap; the defaults are those of push_grasp (section IV-A: 224 x 224 pixels of 2 mm)."""

    corner_m: Point = (0.276, -0.224, 0.0)
    """Corner of the work area with the smallest x and y, at the height of the table; base frame."""
    pixels: Annotated[int, Field(ge=16, le=1024)] = 224
    """Rows and columns."""
    pixel_m: Annotated[float, Field(gt=0.0)] = 0.002
    """Edge of a pixel."""
    max_height_m: Annotated[float, Field(gt=0.0)] = 0.2
    """What is higher is the arm, not the scene."""
    camera: str = "fixed_camera"
    """The cell's depth camera that the map is made from."""

    @property
    def heightmap(self) -> HeightmapConfig:
        """For ``grasp_fusion.heightmap``."""
        return HeightmapConfig(
            corner_m=self.corner_m,
            rows=self.pixels,
            columns=self.pixels,
            pixel_m=self.pixel_m,
            max_height_m=self.max_height_m,
        )
