# SPDX-License-Identifier: Apache-2.0
"""Where the surface crosses the edges between voxels, on the CPU."""

from __future__ import annotations

import numba
import numpy as np

from grasp_fusion.jit import kernel
from grasp_fusion.raycast_kernels import colour_at, gradient_at


@numba.njit
def _crossing(a, b):
    """Share of the way from a to b at which the distance is zero; negative where it is not, or too steep to be one."""
    if (a > 0.0) == (b > 0.0) or not abs(a - b) < 1.0:
        return -1.0
    return a / (a - b)


@kernel()
def count_crossings(tsdf, counts):
    """Write into ``counts`` int64 [X] the number of points that ``fill_crossings`` finds in every slab."""
    size_x, size_y, size_z = tsdf.shape
    for i in numba.prange(size_x):
        found = 0
        for j in range(size_y):
            for k in range(size_z):
                a = tsdf[i, j, k]
                if a != a or abs(a) >= 1.0:
                    continue
                if i + 1 < size_x and _crossing(a, tsdf[i + 1, j, k]) >= 0.0:
                    found += 1
                if j + 1 < size_y and _crossing(a, tsdf[i, j + 1, k]) >= 0.0:
                    found += 1
                if k + 1 < size_z and _crossing(a, tsdf[i, j, k + 1]) >= 0.0:
                    found += 1
        counts[i] = found


@kernel()
def fill_crossings(tsdf, colour, starts, points, normals, rgb, has_colour):
    """Write the points at which the surface crosses an edge between two voxels.

    Args:
        tsdf: float32 [X, Y, Z] with NaN where unobserved.
        colour: uint16 [X, Y, Z, 4]; ignored unless ``has_colour``.
        starts: int64 [X], where the points of every slab begin.
        points: float32 [P, 3] in voxel units, written.
        normals: float32 [P, 3], written; unit vectors out of the surface along the volume's axes; zero where
            too little around was seen.
        rgb: uint8 [P, 3], written if ``has_colour``.
        has_colour: whether colours are made.
    """
    size_x, size_y, size_z = tsdf.shape
    for i in numba.prange(size_x):
        at = starts[i]
        for j in range(size_y):
            for k in range(size_z):
                a = tsdf[i, j, k]
                if a != a or abs(a) >= 1.0:
                    continue
                for axis in range(3):
                    oi, oj, ok = axis == 0, axis == 1, axis == 2
                    if i + oi >= size_x or j + oj >= size_y or k + ok >= size_z:
                        continue
                    share = _crossing(a, tsdf[i + oi, j + oj, k + ok])
                    if share < 0.0:
                        continue
                    x, y, z = i + share * oi, j + share * oj, k + share * ok
                    gx, gy, gz = gradient_at(tsdf, x, y, z)
                    length = np.sqrt(gx * gx + gy * gy + gz * gz)
                    over = 1.0 / length if length > 0.0 else 0.0
                    points[at, 0], points[at, 1], points[at, 2] = x, y, z
                    normals[at, 0], normals[at, 1], normals[at, 2] = gx * over, gy * over, gz * over
                    if has_colour:
                        colour_at(colour, x, y, z, rgb[at])
                    at += 1
