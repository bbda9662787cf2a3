# SPDX-License-Identifier: Apache-2.0
"""Looking straight down on what cameras saw, and from a pixel to a point.

Source: Visual Pushing for Grasping, section IV-A: gravity-aligned orthographic reprojection, 224 x 224 pixels of 2 mm.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from grasp_core.camera import CameraFrame, FrameError
from grasp_core.cell_config import Point
from grasp_core.config import Config
from grasp_core.geometry import Array, apply
from grasp_fusion.jit import kernel

# Pixels of a patch whose depth differs more than this from the patch's median belong to something else.
SAME_SURFACE_M = 0.01


class HeightmapConfig(Config):
    """A rectangle of the table seen from above; defaults as in the paper."""

    corner_m: Point
    """Corner with the smallest x and y, and the height that counts as zero; base frame."""
    rows: Annotated[int, Field(ge=1, le=4096)] = 224
    """Pixels along the base's y."""
    columns: Annotated[int, Field(ge=1, le=4096)] = 224
    """Pixels along the base's x."""
    pixel_m: Annotated[float, Field(gt=0.0, le=0.1)] = 0.002
    """Edge of a pixel."""
    max_height_m: Annotated[float, Field(gt=0.0)] = 0.5
    """Points above this are left out: the arm, not the scene."""
    min_height_m: float = -0.05
    """Points below this are left out."""


@dataclass(frozen=True)
class Heightmap:
    """The highest point over every pixel.

    Attributes:
        config: the rectangle.
        height_m: float32 [rows, columns] above ``config.corner_m``; NaN where nothing was seen.
        rgb: uint8 [rows, columns, 3], colour of that point; black where unknown.
    """

    config: HeightmapConfig
    height_m: NDArray[np.float32]
    rgb: NDArray[np.uint8]

    def to_base(self, row: float, column: float) -> Array:
        """Point [3] in the base frame of the surface over the centre of a pixel; z is NaN where nothing was seen."""
        c = self.config
        height = self.height_m[round(row), round(column)]
        offset = np.array([(column + 0.5) * c.pixel_m, (row + 0.5) * c.pixel_m, height], dtype=np.float64)
        return np.asarray(c.corner_m) + offset

    def to_pixel(self, point_base: ArrayLike) -> tuple[int, int]:
        """Row and column of the pixel that a point lies over; they may be outside the map."""
        p = np.asarray(point_base, dtype=np.float64)
        c = self.config
        column, row = np.floor((p[:2] - np.asarray(c.corner_m)[:2]) / c.pixel_m).astype(int)
        return int(row), int(column)

    def filled(self, height_m: float = 0.0) -> NDArray[np.float32]:
        """Heights with what was not seen, and what is below zero, at ``height_m``: what the paper's network reads."""
        with np.errstate(invalid="ignore"):
            return np.where(self.height_m >= height_m, self.height_m, np.float32(height_m))


@kernel(parallel=False)
def _splat(depth, rgb, has_rgb, fx, fy, cx, cy, T, corner, pixel, lowest, highest, height, colour):
    """Raise every pixel of the map to the highest point over it."""
    rows, columns = height.shape
    for v in range(depth.shape[0]):
        for u in range(depth.shape[1]):
            d = depth[v, u]
            if not (d > 0.0 and d < np.inf):
                continue
            x, y = (u - cx) / fx * d, (v - cy) / fy * d
            h = T[2, 0] * x + T[2, 1] * y + T[2, 2] * d + T[2, 3] - corner[2]
            if not (lowest <= h <= highest):
                continue
            column = int(np.floor((T[0, 0] * x + T[0, 1] * y + T[0, 2] * d + T[0, 3] - corner[0]) / pixel))
            row = int(np.floor((T[1, 0] * x + T[1, 1] * y + T[1, 2] * d + T[1, 3] - corner[1]) / pixel))
            if row < 0 or column < 0 or row >= rows or column >= columns or h <= height[row, column]:
                continue
            height[row, column] = h
            if has_rgb:
                for c in range(3):
                    colour[row, column, c] = rgb[v, u, c]


def heightmap(frames: CameraFrame | Iterable[CameraFrame], config: HeightmapConfig) -> Heightmap:
    """Reproject one picture or several.

    Args:
        frames: with depth, colour if there is some; without lens distortion.
        config: the rectangle to look at.

    Raises:
        FrameError: a frame has no depth, or is distorted.
    """
    size = (config.rows, config.columns)
    height = np.full(size, -np.inf, dtype=np.float32)
    colour = np.zeros((*size, 3), dtype=np.uint8)
    for frame in [frames] if isinstance(frames, CameraFrame) else frames:
        depth = _depth(frame)
        rgb = np.zeros((1, 1, 3), np.uint8) if frame.rgb is None else frame.rgb
        lens = (float(v) for v in (frame.intrinsics.fx, frame.intrinsics.fy, frame.intrinsics.cx, frame.intrinsics.cy))
        _splat(
            depth, rgb, frame.rgb is not None, *lens, np.ascontiguousarray(frame.T_base_camera, np.float64),
            np.array(config.corner_m), config.pixel_m, config.min_height_m, config.max_height_m, height, colour,
        )  # fmt: skip
    height[np.isinf(height)] = np.nan
    return Heightmap(config, height, colour)


def pixel_to_base(frame: CameraFrame, u: float, v: float, radius_px: int = 2) -> Array:
    """Point [3] in the base frame that a pixel shows.

    The depth comes from a plane through the patch around the pixel: over a plane the inverse of depth is linear in the
    pixel's coordinates, so that noise averages out and a slanted surface is met where the pixel is.

    Args:
        frame: with depth.
        u: column, may be a fraction.
        v: row, may be a fraction.
        radius_px: the patch is 2 * radius + 1 pixels wide; 0 takes the nearest pixel alone.

    Raises:
        FrameError: no depth, distorted, the pixel lies outside the image, or nothing in the patch has a depth.
    """
    depth = _depth(frame)
    rows, columns = depth.shape
    if not (-0.5 <= u < columns - 0.5 and -0.5 <= v < rows - 0.5):
        raise FrameError(f"pixel ({u}, {v}) lies outside the image of {columns} x {rows}")
    left, top = max(0, round(u) - radius_px), max(0, round(v) - radius_px)
    patch = depth[top : round(v) + radius_px + 1, left : round(u) + radius_px + 1].astype(np.float64)
    valid = np.isfinite(patch) & (patch > 0.0)
    if not valid.any():
        raise FrameError(f"no pixel within {radius_px} of ({u}, {v}) has a depth")
    with np.errstate(invalid="ignore"):
        valid &= np.abs(patch - np.median(patch[valid])) <= SAME_SURFACE_M
    ys, xs = np.nonzero(valid)
    inverse = 1.0 / patch[valid]
    du, dv = xs + left - u, ys + top - v
    spread = np.ptp(du) > 0 and np.ptp(dv) > 0 and len(du) >= 4
    terms = np.stack([np.ones_like(inverse), du, dv] if spread else [np.ones_like(inverse)], axis=1)
    d = 1.0 / np.linalg.lstsq(terms, inverse, rcond=None)[0][0]
    c = frame.intrinsics
    return apply(frame.T_base_camera, np.array([(u - c.cx) / c.fx * d, (v - c.cy) / c.fy * d, d]))


def _depth(frame: CameraFrame) -> NDArray[np.float32]:
    if frame.depth_m is None:
        raise FrameError("this frame carries no depth")
    if any(frame.intrinsics.distortion):
        raise FrameError("the images are distorted; rectify them first (grasp_fusion.rectify)")
    return frame.depth_m
