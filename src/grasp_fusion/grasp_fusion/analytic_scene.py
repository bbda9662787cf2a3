# SPDX-License-Identifier: Apache-2.0
"""A scene whose every depth is known in closed form: planes, boxes and spheres, seen by a pinhole camera.

It is the known answer that tests and benchmarks of fusion are measured against; no simulator is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from grasp_core.camera import CameraFrame, Intrinsics
from grasp_core.geometry import Array


class Shape(Protocol):
    """Something that rays can meet."""

    rgb: tuple[int, int, int]

    def meet(self, origin: Array, directions: Array) -> tuple[Array, Array]:
        """Smallest positive multiple of ``directions`` [P, 3] at which rays from ``origin`` [3] meet it [P] (infinite
        where they do not), and the outward normal there [P, 3].
        """


@dataclass(frozen=True)
class Plane:
    """All points p with normal . p = offset_m; the normal is a unit vector."""

    normal: tuple[float, float, float] = (0.0, 0.0, 1.0)
    offset_m: float = 0.0
    rgb: tuple[int, int, int] = (120, 110, 100)

    def meet(self, origin: Array, directions: Array) -> tuple[Array, Array]:
        """See Shape."""
        n = np.asarray(self.normal)
        with np.errstate(divide="ignore", invalid="ignore"):
            s = (self.offset_m - n @ origin) / (directions @ n)
        side = np.sign(n @ origin - self.offset_m)
        return np.where(s > 0.0, s, np.inf), np.broadcast_to(side * n, directions.shape)


@dataclass(frozen=True)
class Sphere:
    """A ball; metres."""

    centre_m: tuple[float, float, float]
    radius_m: float
    rgb: tuple[int, int, int] = (200, 40, 40)

    def meet(self, origin: Array, directions: Array) -> tuple[Array, Array]:
        """See Shape."""
        centre = np.asarray(self.centre_m)
        a = np.einsum("pi,pi->p", directions, directions)
        b = directions @ (origin - centre)
        c = (origin - centre) @ (origin - centre) - self.radius_m**2
        under_root = b * b - a * c
        s = (-b - np.sqrt(np.maximum(under_root, 0.0))) / a
        s = np.where((under_root >= 0.0) & (s > 0.0), s, np.inf)
        with np.errstate(invalid="ignore"):
            normal = (origin + s[:, None] * directions - centre) / self.radius_m
        return s, normal


@dataclass(frozen=True)
class Box:
    """An axis-aligned box between two corners; metres."""

    low_m: tuple[float, float, float]
    high_m: tuple[float, float, float]
    rgb: tuple[int, int, int] = (40, 80, 200)

    def meet(self, origin: Array, directions: Array) -> tuple[Array, Array]:
        """See Shape."""
        with np.errstate(divide="ignore", invalid="ignore"):
            to_low = (np.asarray(self.low_m) - origin) / directions
            to_high = (np.asarray(self.high_m) - origin) / directions
        enter, leave = np.fmin(to_low, to_high), np.fmax(to_low, to_high)
        axis = enter.argmax(axis=1)
        s = enter.max(axis=1)
        normal = np.zeros_like(directions)
        rows = np.arange(len(directions))
        normal[rows, axis] = -np.sign(directions[rows, axis])
        return np.where((s <= leave.min(axis=1)) & (s > 0.0), s, np.inf), normal


@dataclass(frozen=True)
class Picture:
    """What a camera sees of a scene: ``frame`` as a camera would give it, ``normals`` float32 [H, W, 3] in the base."""

    frame: CameraFrame
    normals: NDArray[np.float32]


def photograph(
    shapes: tuple[Shape, ...], T_base_camera: Array, intrinsics: Intrinsics, stamp_ns: int = 0, far_m: float = 10.0
) -> Picture:
    """Picture of a scene with exact depth; pixels that see nothing within ``far_m`` are NaN and black."""
    pixels = intrinsics.deproject(np.ones((intrinsics.height, intrinsics.width))).reshape(-1, 3)
    directions = pixels @ T_base_camera[:3, :3].T
    depth = np.full(len(pixels), far_m)
    rgb = np.zeros((len(pixels), 3), np.uint8)
    normals = np.full((len(pixels), 3), np.nan, np.float32)
    for shape in shapes:
        s, normal = shape.meet(T_base_camera[:3, 3], directions)
        nearer = s < depth
        depth[nearer] = s[nearer]
        rgb[nearer] = shape.rgb
        normals[nearer] = normal[nearer]
    depth[depth >= far_m] = np.nan
    size = (intrinsics.height, intrinsics.width)
    frame = CameraFrame(
        intrinsics, T_base_camera, stamp_ns, rgb.reshape(*size, 3), depth.astype(np.float32).reshape(size)
    )
    return Picture(frame, normals.reshape(*size, 3))
