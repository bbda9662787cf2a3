# SPDX-License-Identifier: Apache-2.0
"""``highest_point``: a scripted baseline that grasps what stands highest, from above, across its thinner side.

It learns nothing. Pick the top of the pile first, since nothing lies on it: the usual heuristic that learned systems
are compared with. On a heightmap of one fixed depth camera (as in Visual Pushing for Grasping, section IV-A) it cuts
the scene a little below each local summit; what is left around the summit is the top of one object. The fingers close
across that patch where it is thin enough for the stroke and where both fingers find room. What was tried in vain at a
place counts against that place, so that the next try is another one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from grasp_core.actions import Grasp, Stop
from grasp_core.cell_config import Point
from grasp_core.config import Config
from grasp_core.geometry import top_down
from grasp_core.observation import Observation
from grasp_core.policy import CameraNeed, Candidate, Decision, Goal, PolicySpec
from grasp_fusion.heightmap import Heightmap, HeightmapConfig, heightmap

Metres = Annotated[float, Field(gt=0.0, le=1.0)]

SPEC = PolicySpec(
    name="highest_point",
    cells=("ur5",),
    cameras=(CameraNeed("fixed_camera", rgb=True, depth=True),),
    actions=("grasp", "stop"),
    description="scripted baseline: grasps what stands highest, from above, across its thinner side",
)


class HighestPointConfig(Config):
    """The work area and the gripper; defaults are the UR5's table and the RG2."""

    camera: str = "fixed_camera"
    """The cell's depth camera."""
    corner_m: Point = (0.276, -0.224, 0.0)
    """Corner of the work area with the smallest x and y, at the height of the table; base frame."""
    pixels: Annotated[int, Field(ge=16, le=1024)] = 224
    """Rows and columns of the map."""
    pixel_m: Metres = 0.002
    """Edge of a pixel."""
    max_height_m: Metres = 0.17
    """What is higher is the arm, which waits above the table, not the scene."""
    object_height_m: Metres = 0.008
    """What is higher than this is an object, not the table."""
    layer_m: Metres = 0.015
    """How far below its summit a patch is cut."""
    grasp_depth_m: Metres = 0.03
    """How far below the summit the middle of the pads closes."""
    tip_beyond_pad_m: Metres = 0.0148
    """How far the fingers reach beyond the middle of the pads (urdf/grippers/rg2.yaml)."""
    floor_m: Metres = 0.006
    """Room that the fingertips keep over the table."""
    pad_rise_m: tuple[tuple[float, float], ...] = ((0.0, 0.0), (0.04, 0.0028), (0.08, 0.0147), (0.11, 0.0382))
    """How far the pads of an open gripper stand back from where they meet: pairs of opening and distance (RG2)."""
    max_opening_m: Metres = 0.11
    """Stroke of the gripper."""
    opening_margin_m: Metres = 0.03
    """How much wider than the patch the fingers open, both sides together."""
    finger_m: tuple[Metres, Metres] = (0.014, 0.024)
    """A finger from above: thickness along the closing direction, breadth across it."""
    yaws: Annotated[int, Field(ge=2, le=64)] = 16
    """Closing directions that are weighed over the half circle."""
    forget_m: Metres = 0.03
    """Tries nearer than this to each other are tries at the same place."""
    candidates: Annotated[int, Field(ge=1, le=50)] = 8
    """Patches that are weighed, highest first."""

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


@dataclass(frozen=True)
class Patch:
    """The top of one object: its mask [rows, columns], its middle (row, column) and the height of its summit."""

    mask: NDArray[np.bool_]
    row: float
    column: float
    top_m: float


class HighestPointPolicy:
    """See the module; two runs with the same seed and pictures decide alike."""

    def __init__(self, config: HighestPointConfig) -> None:
        self._config = config
        self._tried: list[NDArray[np.float64]] = []
        self._rng = np.random.default_rng(0)

    @property
    def spec(self) -> PolicySpec:
        """What it needs and does."""
        return SPEC

    def reset(self, goal: Goal, seed: int) -> None:
        """Begin an episode; there is no goal but an empty table."""
        self._tried = []
        self._rng = np.random.default_rng((seed, 17))

    def act(self, observation: Observation) -> Decision:
        """Grasp the highest patch that the fingers fit around, or stop at an empty table.

        Raises:
            KeyError: the observation lacks the camera.
            FrameError: its picture has no depth.
        """
        begin = time.perf_counter()
        seen = heightmap(observation.frame(self._config.camera), self._config.heightmap)
        heights = ndimage.median_filter(_without_gaps(seen), size=5)
        mapped = time.perf_counter()
        found = [self._weigh(patch, heights, seen) for patch in patches(heights, self._config)]
        ranked = sorted(found, key=lambda candidate: -candidate.value)
        decided = time.perf_counter()
        stages = {"heightmap": 1e3 * (mapped - begin), "search": 1e3 * (decided - mapped)}
        maps = {"height_m": heights, "top_view": seen.rgb}
        if not ranked:
            return Decision(Stop("the table is empty"), 0.0, (), maps, stages)
        best, others = ranked[0], tuple(ranked[1:])
        assert isinstance(best.action, Grasp)
        self._tried.append(best.action.T_base_tcp[:2, 3])
        return Decision(best.action, best.value, others, maps, stages)

    def _weigh(self, patch: Patch, heights: NDArray[np.float32], seen: Heightmap) -> Candidate:
        """The best closing direction over a patch; its value falls with want of room and with tries in vain."""
        c = self._config
        x, y, _ = seen.to_base(patch.row, patch.column)
        tries = sum(bool(np.hypot(*(place - (x, y))) < c.forget_m) for place in self._tried)
        yaws = np.pi * np.arange(c.yaws) / c.yaws
        rooms = np.array([self._room(patch, heights, yaw) for yaw in yaws])
        # Of the directions that leave room, those across the thinner side; after tries in vain, one farther down.
        widths = np.array([_extent(patch, yaw, c.pixel_m)[1] for yaw in yaws])
        order = np.lexsort((widths, -np.round(rooms, 1)))
        pick = int(order[min(tries * 2, len(order) - 1)])
        if tries:
            x, y = np.array([x, y]) + self._rng.normal(0.0, 0.004, 2)
            x, y = np.clip((x, y), c.corner_m[:2], np.array(c.corner_m[:2]) + c.pixels * c.pixel_m - 1e-6)
        width = min(float(widths[pick]), c.max_opening_m)
        opening = min(c.max_opening_m, width + c.opening_margin_m)
        rise = float(np.interp(width, *np.transpose(c.pad_rise_m)))
        lowest = c.floor_m + c.tip_beyond_pad_m
        z = c.corner_m[2] + max(patch.top_m - c.grasp_depth_m - rise, lowest - rise, c.floor_m)
        highest = float(heights.max())
        value = float(rooms[pick]) * (0.5 + 0.5 * patch.top_m / highest) * 0.5**tries
        return Candidate(Grasp(top_down((x, y, z), float(yaws[pick])), opening), value)

    def _room(self, patch: Patch, heights: NDArray[np.float32], yaw: float) -> float:
        """Share of both fingers' footprints that is free down to where the fingertips go; 0 if it is too wide."""
        c = self._config
        middle, width = _extent(patch, yaw, c.pixel_m)
        if width > c.max_opening_m - 0.005:
            return 0.0
        half = 0.5 * min(c.max_opening_m, width + c.opening_margin_m) + 0.5 * c.finger_m[0]
        along = np.array([np.sin(yaw), np.cos(yaw)]) / c.pixel_m
        across = np.array([np.cos(yaw), -np.sin(yaw)]) / c.pixel_m
        steps = np.stack(np.meshgrid(*(np.linspace(-0.5, 0.5, 7) * size for size in c.finger_m)), axis=-1)
        tip_m = max(patch.top_m - c.grasp_depth_m - c.tip_beyond_pad_m, c.floor_m)
        free = []
        for side in (-1.0, 1.0):
            offset = (middle + side * half + steps[..., :1]) * along + steps[..., 1:] * across
            pixels = np.round(np.array([patch.row, patch.column]) + offset).astype(int)
            inside = np.all((pixels >= 0) & (pixels < heights.shape), axis=-1)
            rows, columns = np.clip(pixels, 0, np.array(heights.shape) - 1).reshape(-1, 2).T
            free.append((heights[rows, columns] < tip_m + 0.004) | ~inside.ravel())
        return float(min(side.mean() for side in free))


def patches(heights: NDArray[np.float32], config: HighestPointConfig) -> list[Patch]:
    """Tops of objects, highest first: connected pixels within ``layer_m`` below each summit that is left.

    Args:
        heights: float32 [rows, columns] over the table, 0 where nothing was seen.
        config: heights and sizes.
    """
    left = heights > config.object_height_m
    found: list[Patch] = []
    # Fewer pixels than this are noise: a square of 6 mm.
    least = max(4, round((0.006 / config.pixel_m) ** 2))
    while left.any() and len(found) < config.candidates:
        summit = np.unravel_index(np.where(left, heights, 0.0).argmax(), heights.shape)
        top = float(heights[summit])
        labels, _ = ndimage.label(left & (heights > max(top - config.layer_m, config.object_height_m)))
        mask = labels == labels[summit]
        left &= ~ndimage.binary_dilation(mask, iterations=2)
        if mask.sum() >= least:
            row, column = ndimage.center_of_mass(mask)
            found.append(Patch(mask, float(row), float(column), top))
    return found


def _without_gaps(seen: Heightmap) -> NDArray[np.float32]:
    """Heights [rows, columns]; pixels that a coarse camera skipped take the highest of their seen neighbours."""
    gaps = np.isnan(seen.height_m)
    beside = ndimage.maximum_filter(np.where(gaps, np.float32(-1.0), seen.height_m), size=3)
    return np.where(gaps & (beside > 0.0), beside, seen.filled())


def _extent(patch: Patch, yaw: float, pixel_m: float) -> tuple[float, float]:
    """Where the middle of a patch lies along a closing direction, seen from its centre, and its width there (m)."""
    rows, columns = np.nonzero(patch.mask)
    along = ((columns - patch.column) * np.cos(yaw) + (rows - patch.row) * np.sin(yaw)) * pixel_m
    low, high = np.percentile(along, (1, 99))
    return 0.5 * float(low + high), float(high - low) + pixel_m


class Factory:
    """Makes the policy; ``options`` are fields of ``HighestPointConfig``."""

    spec = SPEC

    def load(self, checkpoint: Path | None, device: str, options: Mapping[str, Any]) -> HighestPointPolicy:
        """Make the policy.

        Raises:
            ValueError: a checkpoint was given, though there is nothing to load.
            ConfigError: an option that it does not have.
        """
        if checkpoint is not None:
            raise ValueError(f"highest_point is scripted; it loads no checkpoint, and {checkpoint} was given")
        return HighestPointPolicy(HighestPointConfig.from_mapping(options, "options of highest_point"))


FACTORY = Factory()
