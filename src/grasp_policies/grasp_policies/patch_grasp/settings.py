# SPDX-License-Identifier: Apache-2.0
"""Settings of ``patch_grasp``. Where the default departs from the paper, the paper's value is named beside it."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from grasp_core.config import Config
from grasp_policies.heightmaps.settings import MapSettings

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Plane = tuple[float, float]
CoarseAngles = Literal[3, 6, 9, 18]

# Angles of a grasp over half a circle: 0, 10, ... 170 degrees (section III-B).
BINS = 18


class ArmReach(Config):
    """The part of the table that an arm serves."""

    arm: str
    """Its name in the cell."""
    low_m: Plane
    """Smallest x and y, base frame."""
    high_m: Plane
    """Largest x and y."""


class GraspSettings(Config):
    """How a pixel and an angle become a motion."""

    low_m: Plane = (0.525, -0.195)
    """Smallest x and y of a grasp point, base frame."""
    high_m: Plane = (0.765, 0.195)
    """Largest x and y of a grasp point."""
    arms: Annotated[tuple[ArmReach, ...], Field(min_length=1)] = (
        ArmReach(arm="left", low_m=(0.525, 0.0), high_m=(0.765, 0.195)),
        ArmReach(arm="right", low_m=(0.525, -0.195), high_m=(0.765, 0.0)),
    )
    """The first arm whose part a grasp point lies in takes it; the last takes what no part covers."""
    depth_m: NotNegative = 0.03
    """How far the fingertips go below the surface (the paper does not say)."""
    floor_m: NotNegative = 0.004
    """Lowest height of the fingertips above the table."""
    tip_beyond_m: NotNegative = 0.0125
    """How far the fingertips reach beyond the tool's origin (Baxter's: urdf/grippers/baxter_electric.yaml)."""
    approach_m: Positive = 0.25
    """Length of the straight approach (paper: 0.25)."""

    @model_validator(mode="after")
    def _has_area(self) -> Self:
        if not all(a < b for a, b in zip(self.low_m, self.high_m, strict=True)):
            raise ValueError(f"low_m {self.low_m} and high_m {self.high_m}: the region has no area")
        return self


class NetworkSettings(Config):
    """What tells good grasps from bad ones."""

    trunk: Literal["fine", "small", "alexnet"] = "fine"
    """``fine`` and ``small`` learn from scratch on a CPU, ``fine`` with a layer that reads every pixel before the first
    that skips some; ``alexnet`` is the paper's, for patches of 227 pixels."""
    head: Literal["aligned", "bins"] = "aligned"
    """``aligned`` is shown a patch turned into the grasp, and one output serves every angle, so that every try teaches
    all of them; ``bins`` is shown the patch as it lies and has an output for each of 18 angles (paper)."""
    across_px: Annotated[int, Field(ge=9, le=255)] | None = 25
    """Rows of an aligned patch, across the closing direction, an odd number of at most ``patch_px``; none for a square
    (paper: square)."""
    heights: Literal["fingertips", "table"] = "fingertips"
    """What heights are told from: where the fingertips go down to at this patch, or the table (paper: no heights)."""
    height_limit_m: Positive = 0.04
    """Heights further than this from the fingertips look all the same."""
    views: Literal[1, 2, 4] = 4
    """Reflections of an aligned patch, all the same grasp, whose answers are averaged where tries are told apart: 2
    swap the fingers, 4 swap their sides too (paper: 1). While acting one has to do."""
    channels: Annotated[int, Field(ge=4, le=512)] = 16
    """Width of the first layer of ``fine`` and ``small``."""
    use_depth: bool = True
    """Read heights (paper: colour alone)."""
    use_colour: bool = True
    """Read colour (paper: yes)."""
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.3
    """Of the fully connected layers while learning (``alexnet``: 0.5 is usual)."""

    @model_validator(mode="after")
    def _sees_something(self) -> Self:
        if not (self.use_depth or self.use_colour):
            raise ValueError("use_depth and use_colour are both false: the network would see nothing")
        return self

    @property
    def inputs(self) -> int:
        """Channels that are read: height and what was seen; red, green, blue."""
        return 2 * self.use_depth + 3 * self.use_colour

    @property
    def outputs(self) -> int:
        """Two-way outputs."""
        return 1 if self.head == "aligned" else BINS


class PatchGraspConfig(Config):
    """Everything that the weights depend on; stored beside them in the checkpoint's card."""

    map: MapSettings = MapSettings(
        corner_m=(0.393, -0.252, 0.74), pixels=168, pixel_m=0.003, max_height_m=0.25, camera="head_camera"
    )
    """The table from above; its ``camera`` is the head's."""
    patch_px: Annotated[int, Field(ge=9, le=255)] = 37
    """Edge of a patch in pixels of the map: 1.4 times the open fingers (paper: 1.5 times, as 380 camera pixels)."""
    object_height_m: Positive = 0.006
    """What rises this high above the table does not belong to it."""
    colour_distance: Positive = 40.0
    """What differs this much in colour from the table (0 to 255, largest channel) does not belong to it."""
    grasp: GraspSettings = GraspSettings()
    network: NetworkSettings = NetworkSettings()

    @model_validator(mode="after")
    def _middle_is_a_pixel(self) -> Self:
        across = self.network.across_px
        # Else a patch that is learned from would lie half a pixel beside the one that is acted on.
        for name, value in (("patch_px", self.patch_px), ("network.across_px", across)):
            if value is not None and value % 2 == 0:
                raise ValueError(f"{name} is {value}: an odd number of pixels, so that the grasp point is one")
        if self._narrow and across is not None and across > self.patch_px:
            raise ValueError(f"network.across_px is {across}: at most patch_px, {self.patch_px}")
        return self

    @property
    def _narrow(self) -> bool:
        return self.network.head == "aligned" and self.network.trunk != "alexnet"

    @property
    def rows_px(self) -> int:
        """Rows of a patch as the network sees it; it has ``patch_px`` columns."""
        return (self.network.across_px or self.patch_px) if self._narrow else self.patch_px

    @property
    def window_px(self) -> int:
        """Edge of the window that is kept of a try: a patch at any angle fits into it."""
        return 2 * int(np.ceil(0.5 * self.patch_px * np.sqrt(2.0))) + 1


class ActingSettings(Config):
    """How a loaded policy acts."""

    device: str = "cpu"
    """torch device."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """CPU threads of torch; none for torch's own choice."""
    patches: Annotated[int, Field(ge=1, le=20000)] = 800
    """Patches that are looked at (paper: 800)."""
    coarse_angles: CoarseAngles = 6
    """Angles at which an aligned network looks at every patch (paper: 18)."""
    fine_share: Share = 0.05
    """Share of the patches, the most promising, that it looks at from all 18 angles (paper: all)."""
    rerank: bool = True
    """Weigh the best by their neighbourhoods (section IV-F)."""
    rerank_best: Annotated[int, Field(ge=1)] = 10
    """How many of the best (paper: 10)."""
    rerank_neighbours: Annotated[int, Field(ge=1)] = 10
    """Neighbours of each (paper: 10)."""
    neighbour_m: Positive = 0.012
    """How far neighbours lie at most (the paper does not say)."""
    patience: Annotated[int, Field(ge=0)] = 3
    """A grasp in vain is not repeated within ``avoid_m`` for this many decisions."""
    avoid_m: NotNegative = 0.012
    """Distance of grasps that count as repeated where the angle is alike too."""
    candidates: Annotated[int, Field(ge=0, le=100)] = 8
    """Runners-up that a decision tells."""
