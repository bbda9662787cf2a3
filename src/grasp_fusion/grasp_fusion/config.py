# SPDX-License-Identifier: Apache-2.0
"""What a volume is made from."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from grasp_core.cell_config import BoxRegion, Point, Positive
from grasp_core.config import Config

# More voxels than this are a mistake in the units of a size, not a wish: 12 bytes each.
MAX_VOXELS = 400_000_000


class TsdfConfig(Config):
    """A box of voxels, axis-aligned in the robot's base frame, and how pictures enter it."""

    origin_m: Point
    """Corner of the box with the smallest coordinates, in the base frame."""
    size_m: tuple[Positive, Positive, Positive]
    """Edge lengths; rounded up to whole voxels."""
    voxel_m: Annotated[float, Field(ge=0.0005, le=0.2)] = 0.005
    """Edge of a voxel. 5 mm in the paper (Grasping in the Wild, section V-A)."""
    truncation_m: Positive | None = None
    """Distance from a surface at which the signed distance saturates; none means four voxels."""
    mode: Literal["ema", "mean"] = "ema"
    """Exponential moving average, which forgets what moved, or the mean of all observations."""
    alpha: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8
    """Share of the new observation in mode ema (paper: 0.8)."""
    max_weight: Annotated[int, Field(ge=1, le=65535)] = 1000
    """Observations after which mode mean stops growing heavier."""
    colour: bool = True
    """Keep colours; frames must then carry them."""
    min_depth_m: Annotated[float, Field(gt=0.0)] = 0.05
    """Nearest depth that is believed."""
    max_depth_m: Annotated[float, Field(gt=0.0)] = 4.0
    """Farthest depth that is believed."""
    max_camera_speed_m_s: Positive | None = 2.0
    """A pose that would need a faster camera is a jump and refused; none switches the check off."""
    max_camera_turn_rad_s: Positive | None = 6.0
    """The same for its rotation."""
    backend: Literal["numba", "torch"] = "numba"
    """Where the volume lives: on the CPU's cores, or on a torch device."""
    device: str = "cuda"
    """The torch device; the numba back end has none."""
    threads: Annotated[int, Field(ge=1, le=256)] | None = None
    """CPU threads of the numba back end; none means all."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.min_depth_m >= self.max_depth_m:
            raise ValueError(f"min_depth_m {self.min_depth_m} must be less than max_depth_m {self.max_depth_m}")
        if self.truncation < 2.0 * self.voxel_m:
            raise ValueError(f"truncation_m {self.truncation_m} must be at least two voxels of {self.voxel_m} m")
        count = int(np.prod(np.asarray(self.shape, dtype=np.float64)))
        if count > MAX_VOXELS:
            raise ValueError(
                f"size_m {self.size_m} with voxels of {self.voxel_m} m: {count:.3g} voxels, at most {MAX_VOXELS:.3g}"
            )
        return self

    @classmethod
    def over(cls, region: BoxRegion, margin_m: float = 0.1, **values: object) -> TsdfConfig:
        """A volume that covers a cell's workspace with a margin on every side; ``values`` are further settings."""
        low = np.asarray(region.min_m) - margin_m
        size = np.asarray(region.max_m) + margin_m - low
        return cls.from_mapping({**values, "origin_m": tuple(low), "size_m": tuple(size)}, "TsdfConfig")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y and z."""
        x, y, z = (max(2, int(np.ceil(size / self.voxel_m - 1e-6))) for size in self.size_m)
        return x, y, z

    @property
    def truncation(self) -> float:
        """The truncation distance in metres."""
        return 4.0 * self.voxel_m if self.truncation_m is None else self.truncation_m
