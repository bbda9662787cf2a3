# SPDX-License-Identifier: Apache-2.0
"""Fusing one depth image into the voxels, on the CPU.

What bounds it is the number of voxels in the camera's frustum, each of which needs one division and one look into the
depth image. A column of voxels (along z) is a straight line in the camera's frame, so the part of it inside the
frustum is found in closed form and no voxel outside is visited. Per column the pixels are found first, in a loop
without branches that the compiler vectorises, and the voxels updated second; what saturates already is not written.
Columns are dealt to the threads in turn, because neighbouring columns are equally expensive.
"""

from __future__ import annotations

import numba
import numpy as np

from grasp_fusion.jit import kernel, take

# Colours are kept in 1/256 of a level, so that a long mean does not stall on rounding.
COLOUR_SCALE = 256.0
# Voxels nearer to the camera's centre than this are not looked at.
NEAREST_VOXEL_M = 1e-3


@numba.njit(inline="always")
def _clip(first, last, at_zero, slope):
    """Shrink [first, last] to where at_zero + slope * k >= 0."""
    if slope > 0.0:
        first = max(first, -at_zero / slope)
    elif slope < 0.0:
        last = min(last, -at_zero / slope)
    elif at_zero < 0.0:
        last = first - 1.0
    return first, last


@numba.njit(inline="always")
def _in_frustum(size_z, px, py, pz, dx, dy, dz, fx, fy, cx, cy, width, height, deepest):
    """First and one past the last voxel of the column p + k * d that the camera sees."""
    left, above = width - 0.5 - cx, height - 0.5 - cy
    first, last = _clip(0.0, size_z - 1.0, pz - NEAREST_VOXEL_M, dz)
    first, last = _clip(first, last, deepest - pz, -dz)
    first, last = _clip(first, last, fx * px + (cx + 0.5) * pz, fx * dx + (cx + 0.5) * dz)
    first, last = _clip(first, last, fy * py + (cy + 0.5) * pz, fy * dy + (cy + 0.5) * dz)
    first, last = _clip(first, last, left * pz - fx * px, left * dz - fx * dx)
    first, last = _clip(first, last, above * pz - fy * py, above * dz - fy * dy)
    return int(np.ceil(first)), int(np.floor(last)) + 1


@kernel()
def integrate(
    tsdf,
    weight,
    colour,
    depth,
    rgb,
    A,
    camera,
    near,
    far,
    truncation,
    alpha,
    max_weight,
    is_mean,
    has_colour,
    pixels,
    taken,
):
    """Fuse a depth image.

    Args:
        tsdf: float32 [X, Y, Z], signed distance over truncation; NaN where nothing was seen yet. Changed.
        weight: uint16 [X, Y, Z], observations in mode mean, else of any size. Changed.
        colour: uint16 [X, Y, Z, 4], red, green, blue in 1/256 level and the number of observations. Changed.
        depth: float32 [H * W], metres; what is not within near..far is skipped, NaN with it.
        rgb: uint8 [H * W, 3].
        A: float64 [3, 4], maps voxel indices (centres) into the camera's frame, metres.
        camera: width, height (int), fx, fy, cx, cy (float) in pixels.
        near, far: believed depths, metres.
        truncation: metres.
        alpha: share of the new observation where not ``is_mean``.
        max_weight: cap of the weights where ``is_mean``.
        is_mean: mean instead of exponential moving average.
        has_colour: whether ``colour`` and ``rgb`` are used.
        pixels: int32 [threads, Z], scratch; its first dimension is the number of threads.
        taken: int64 [1], scratch.
    """
    size_x, size_y, size_z = tsdf.shape
    width, height, fx, fy, cx, cy = camera
    dx, dy, dz = A[0, 2], A[1, 2], A[2, 2]
    over_truncation = 1.0 / truncation
    lanes = pixels.shape[0]
    taken[0] = 0
    for lane in numba.prange(lanes):
        pixel = pixels[lane]
        while True:
            i = take(taken)
            if i >= size_x:
                break
            for j in range(size_y):
                px = A[0, 0] * i + A[0, 1] * j + A[0, 3]
                py = A[1, 0] * i + A[1, 1] * j + A[1, 3]
                pz = A[2, 0] * i + A[2, 1] * j + A[2, 3]
                first, end = _in_frustum(
                    size_z, px, py, pz, dx, dy, dz, fx, fy, cx, cy, width, height, far + truncation
                )
                for k in range(first, end):
                    over_z = 1.0 / (pz + k * dz)
                    u = np.int32(fx * (px + k * dx) * over_z + cx + 0.5)
                    v = np.int32(fy * (py + k * dy) * over_z + cy + 0.5)
                    pixel[k] = min(v, np.int32(height - 1)) * np.int32(width) + min(u, np.int32(width - 1))
                for k in range(first, end):
                    p = pixel[k]
                    d = np.float64(depth[p])
                    sdf = d - (pz + k * dz)
                    if not (sdf >= -truncation and d >= near and d <= far):
                        continue
                    new = np.float32(min(1.0, sdf * over_truncation))
                    old = tsdf[i, j, k]
                    share = np.float32(alpha)
                    if is_mean:
                        count = min(weight[i, j, k] + 1, max_weight)
                        weight[i, j, k] = count
                        share = np.float32(1.0 / count)
                    if old != new:
                        tsdf[i, j, k] = new if old != old else old + share * (new - old)
                    if has_colour and sdf <= truncation:
                        seen = colour[i, j, k, 3]
                        if is_mean:
                            share = np.float32(1.0 / min(seen + 1, max_weight))
                        elif seen == 0:
                            share = np.float32(1.0)
                        for c in range(3):
                            level = np.float32(colour[i, j, k, c])
                            step = share * (np.float32(COLOUR_SCALE) * rgb[p, c] - level)
                            colour[i, j, k, c] = np.uint16(level + step + np.float32(0.5))
                        colour[i, j, k, 3] = min(seen + 1, max_weight)
