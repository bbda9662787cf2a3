# SPDX-License-Identifier: Apache-2.0
"""Moving a depth image into another camera's pixels."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from grasp_core.camera import Depth, Intrinsics
from grasp_core.geometry import Array, apply


def register_depth(depth_m: Depth, source: Intrinsics, target: Intrinsics, T_target_source: Array) -> Depth:
    """Depth as the target camera would see it, float32 [H, W] metres, NaN where nothing was measured.

    The nearest surface wins. Where the target has finer pixels, a measurement fills its whole footprint, so that a
    surface stays closed. The source's distortion is taken to be removed already (depth cameras rectify); the target's
    is applied.
    """
    valid = np.isfinite(depth_m)
    points = apply(T_target_source, source.deproject(depth_m)[valid])
    points = points[points[:, 2] > 0.0]
    out = np.full((target.height, target.width), np.nan, dtype=np.float32)
    if len(points) == 0:
        return out
    pixels = project(points, target)
    points = points[order := np.argsort(-points[:, 2])]  # far first, so that what is near overwrites it
    pixels = pixels[order]
    # A source pixel covers this many target pixels across; the ratio of the distances is close to one.
    footprint = max(1, int(np.ceil(max(target.fx / source.fx, target.fy / source.fy) - 0.05)))
    corner = np.round(pixels - 0.5 * (footprint - 1)).astype(np.int64)
    flat, values = [], []
    for dv in range(footprint):
        for du in range(footprint):
            u, v = corner[:, 0] + du, corner[:, 1] + dv
            inside = (u >= 0) & (u < target.width) & (v >= 0) & (v < target.height)
            flat.append(np.where(inside, v * target.width + u, -1))
            values.append(points[:, 2])
    # Interleaved, so that the order far to near holds across the footprint.
    index = np.stack(flat, axis=1).ravel()
    z = np.stack(values, axis=1).ravel().astype(np.float32)
    keep = index >= 0
    out.ravel()[index[keep]] = z[keep]
    return out


def project(points_camera: Array, camera: Intrinsics) -> Array:
    """Pixels [n, 2] of points [n, 3] in front of the camera, with its distortion."""
    if not camera.distortion or not any(camera.distortion):
        return camera.project(points_camera)
    distortion = np.array(camera.distortion)
    pixels, _ = cv2.projectPoints(points_camera, np.zeros(3), np.zeros(3), camera.K, distortion)
    return np.asarray(pixels.reshape(-1, 2), dtype=np.float64)


@lru_cache(maxsize=8)
def undistorted_rays(camera: Intrinsics) -> tuple[Depth, Depth]:
    """x and y at depth 1 of every pixel, float32 [H, W] each, the lens' distortion removed; kept for the next call."""
    u, v = np.meshgrid(np.arange(camera.width, dtype=np.float64), np.arange(camera.height, dtype=np.float64))
    x, y = (u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy
    if any(camera.distortion):
        pixels = np.stack([u, v], axis=-1).reshape(-1, 1, 2)
        rays = cv2.undistortPoints(pixels, camera.K, np.array(camera.distortion)).reshape(
            camera.height, camera.width, 2
        )
        x, y = np.asarray(rays[..., 0], dtype=np.float64), np.asarray(rays[..., 1], dtype=np.float64)
    return np.ascontiguousarray(x, dtype=np.float32), np.ascontiguousarray(y, dtype=np.float32)
