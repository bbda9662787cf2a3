# SPDX-License-Identifier: Apache-2.0
"""Casting rays into the voxels, on the CPU.

Positions are in voxel units (voxel centres at whole numbers); along a ray they are measured by the depth ``s`` in
metres, so that what is found is the depth itself. Blocks of voxels without a surface are crossed in one step, and so is
the largest cube of such blocks around one: of blocks all free while a ray has met nothing but seen space, and of any
blocks without a surface once it has met unobserved space, because then only a surface can change what is told of it.
"""

from __future__ import annotations

import numba
import numpy as np

from grasp_fusion.jit import kernel, take

# Edge of a block in voxels, as a power of two. Small, because a ray samples a block with a surface voxel by voxel.
BLOCK_BITS = 2
# What a block holds: free space, perhaps a surface, nothing that was seen, or free space that was seen in parts.
FREE, SURFACE, UNOBSERVED, PARTLY = 0, 1, 2, 3
# What a ray met; grasp_fusion.render.ViewStatus names them.
HIT, FREE_SPACE, UNKNOWN, OUTSIDE = 0, 1, 2, 3
# A block's number holds its kind in the low bits, then how far the cube of its own kind reaches around it, in blocks,
# then how far the cube without a surface does.
KIND_BITS, KIND_MASK, CLEAR_BITS, MAX_REACH = 2, 3, 8, 63
# A block whose smallest distance is above this share of the truncation holds no surface.
FREE_ABOVE = 0.95
# A step is this share of the distance: a projective distance overestimates on slanted surfaces. It also makes up for
# the nearest voxel, up to 0.87 voxels away, standing for the point itself where that is far from surfaces.
STEP_SHARE = 0.75
# Shortest step, and the step through what was never seen, in voxels.
SHORTEST_STEP = 0.5
UNKNOWN_STEP = 1.0
# How far past the border of a block its next one is entered, in voxels.
PAST_BORDER = 1e-3
# Stands for one over zero, without an infinity that would make NaN of a zero distance.
NEVER = 1e30
# Halvings of the last step by regula falsi, and the share of the truncation that is near enough to zero to stop.
REFINEMENTS, NEAR_ZERO = 4, 2e-4


@kernel()
def fill_blocks(tsdf, blocks):
    """Write what every block of cells holds (FREE, SURFACE, UNOBSERVED or PARTLY) into ``blocks`` uint16."""
    size_x, size_y, size_z = tsdf.shape
    edge = 1 << BLOCK_BITS
    for bx in numba.prange(blocks.shape[0]):
        for by in range(blocks.shape[1]):
            for bz in range(blocks.shape[2]):
                unseen, total, smallest = 0, 0, np.float32(1.0)
                for i in range(bx * edge, min(bx * edge + edge + 1, size_x)):
                    for j in range(by * edge, min(by * edge + edge + 1, size_y)):
                        first, end = bz * edge, min(bz * edge + edge + 1, size_z)
                        total += end - first
                        for k in range(first, end):
                            value = tsdf[i, j, k]
                            if value != value:
                                unseen += 1
                            elif value < smallest:
                                smallest = value
                if unseen == total:
                    blocks[bx, by, bz] = UNOBSERVED
                elif not smallest > FREE_ABOVE:
                    blocks[bx, by, bz] = SURFACE
                else:
                    blocks[bx, by, bz] = FREE if unseen == 0 else PARTLY


@numba.njit
def _reach_from(blocks, i, j, k, di, dj, dk, kind, own, clear):
    """The two reaches of block (i, j, k) as far as its neighbour at an offset limits them."""
    x, y, z = i + di, j + dj, k + dk
    if x < 0 or y < 0 or z < 0 or x >= blocks.shape[0] or y >= blocks.shape[1] or z >= blocks.shape[2]:
        return own, clear
    other = np.int64(blocks[x, y, z])
    own = min(own, ((other >> KIND_BITS) & MAX_REACH) + 1) if other & KIND_MASK == kind else 1
    return own, min(clear, (other >> CLEAR_BITS) + 1)


@kernel(parallel=False)
def add_reach(blocks):
    """Add to every block's kind how far around it all is of its own kind, and how far around it is no surface.

    A reach of r says that the blocks up to r - 1 away along any axis are so, or lie outside of the volume; blocks with
    a surface get none. A chamfer transform of the Chebyshev distance, exact in two sweeps.
    """
    size_x, size_y, size_z = blocks.shape
    for sweep in range(2):
        to = -1 if sweep == 0 else 1
        for a in range(size_x):
            i = a if sweep == 0 else size_x - 1 - a
            for b in range(size_y):
                j = b if sweep == 0 else size_y - 1 - b
                for c in range(size_z):
                    k = c if sweep == 0 else size_z - 1 - c
                    block = np.int64(blocks[i, j, k])
                    kind = block & KIND_MASK
                    if kind == SURFACE:
                        continue
                    own = MAX_REACH if sweep == 0 else (block >> KIND_BITS) & MAX_REACH
                    clear = MAX_REACH if sweep == 0 else block >> CLEAR_BITS
                    # The thirteen neighbours that this sweep has been at.
                    for db in range(-1, 2):
                        for dc in range(-1, 2):
                            own, clear = _reach_from(blocks, i, j, k, to, db, dc, kind, own, clear)
                    for dc in range(-1, 2):
                        own, clear = _reach_from(blocks, i, j, k, 0, to, dc, kind, own, clear)
                    own, clear = _reach_from(blocks, i, j, k, 0, 0, to, kind, own, clear)
                    reaches = min(own, MAX_REACH) << KIND_BITS | min(clear, MAX_REACH) << CLEAR_BITS
                    blocks[i, j, k] = kind | reaches


@numba.njit
def distance_at(tsdf, x, y, z):
    """Trilinear distance at a point; NaN where the nearest voxel is unobserved, other unobserved corners are left out.

    A point outside the volume gets the distance of the nearest point inside.
    """
    i = min(max(int(x), 0), tsdf.shape[0] - 2)
    j = min(max(int(y), 0), tsdf.shape[1] - 2)
    k = min(max(int(z), 0), tsdf.shape[2] - 2)
    u, v, w = min(max(x - i, 0.0), 1.0), min(max(y - j, 0.0), 1.0), min(max(z - k, 0.0), 1.0)
    c00 = tsdf[i, j, k] * (1.0 - w) + tsdf[i, j, k + 1] * w
    c01 = tsdf[i, j + 1, k] * (1.0 - w) + tsdf[i, j + 1, k + 1] * w
    c10 = tsdf[i + 1, j, k] * (1.0 - w) + tsdf[i + 1, j, k + 1] * w
    c11 = tsdf[i + 1, j + 1, k] * (1.0 - w) + tsdf[i + 1, j + 1, k + 1] * w
    value = (c00 * (1.0 - v) + c01 * v) * (1.0 - u) + (c10 * (1.0 - v) + c11 * v) * u
    if value == value:
        return value
    nearest = tsdf[i + (u >= 0.5), j + (v >= 0.5), k + (w >= 0.5)]
    if nearest != nearest:
        return np.nan
    total, weights = 0.0, 0.0
    for a in range(2):
        for b in range(2):
            for c in range(2):
                corner = tsdf[i + a, j + b, k + c]
                if corner == corner:
                    weight = abs(1.0 - a - u) * abs(1.0 - b - v) * abs(1.0 - c - w)
                    total += weight * corner
                    weights += weight
    return total / weights


@numba.njit
def _nearest(tsdf, x, y, z):
    """The distance that the nearest voxel holds."""
    i = min(max(int(x + 0.5), 0), tsdf.shape[0] - 1)
    j = min(max(int(y + 0.5), 0), tsdf.shape[1] - 1)
    k = min(max(int(z + 0.5), 0), tsdf.shape[2] - 1)
    return tsdf[i, j, k]


@numba.njit
def _to_border(x, over_d, b, reach):
    """How far in s until the ray leaves the cube of blocks around block number b along one axis."""
    if over_d > 0.0:
        return (((b + reach) << BLOCK_BITS) - x) * over_d
    return (((b + 1 - reach) << BLOCK_BITS) - x) * over_d


@numba.njit
def _inside(o, d, size, enter, leave):
    """Shrink [enter, leave] to where 0 <= o + s * d <= size - 1."""
    if d == 0.0:
        return (enter, leave) if 0.0 <= o <= size - 1 else (np.inf, -np.inf)
    a, b = -o / d, (size - 1 - o) / d
    return max(enter, min(a, b)), min(leave, max(a, b))


@numba.njit
def cast(tsdf, blocks, ox, oy, oz, dx, dy, dz, near, far, truncation_voxels):
    """Follow one ray; returns what it met and, for a HIT, the depth s of the surface."""
    enter, leave = _inside(ox, dx, tsdf.shape[0], near, far)
    enter, leave = _inside(oy, dy, tsdf.shape[1], enter, leave)
    enter, leave = _inside(oz, dz, tsdf.shape[2], enter, leave)
    if not enter < leave:
        return OUTSIDE, np.nan
    per_voxel = 1.0 / np.sqrt(dx * dx + dy * dy + dz * dz)
    # Along an axis that the ray does not move on it never reaches a border.
    over_dx = 1.0 / dx if dx != 0.0 else NEVER
    over_dy = 1.0 / dy if dy != 0.0 else NEVER
    over_dz = 1.0 / dz if dz != 0.0 else NEVER
    s, before_s, before = enter, enter, np.nan
    unknown = False
    while s < leave:
        x, y, z = ox + s * dx, oy + s * dy, oz + s * dz
        bx = min(max(int(x), 0) >> BLOCK_BITS, blocks.shape[0] - 1)
        by = min(max(int(y), 0) >> BLOCK_BITS, blocks.shape[1] - 1)
        bz = min(max(int(z), 0) >> BLOCK_BITS, blocks.shape[2] - 1)
        block = np.int64(blocks[bx, by, bz])
        kind = block & KIND_MASK
        unknown |= kind == UNOBSERVED
        if kind == FREE or (unknown and kind != SURFACE):
            r = block >> CLEAR_BITS if unknown else (block >> KIND_BITS) & MAX_REACH
            border = min(_to_border(x, over_dx, bx, r), _to_border(y, over_dy, by, r), _to_border(z, over_dz, bz, r))
            before_s = s = s + max(border, 0.0) + PAST_BORDER * per_voxel
            # Where the cube was not all free, its last voxel says whether a surface now is met from seen space.
            before = _nearest(tsdf, ox + s * dx, oy + s * dy, oz + s * dz) if unknown else 1.0
            continue
        # The nearest voxel alone says whether the point is observed, or far from surfaces; that spares most others.
        value = _nearest(tsdf, x, y, z)
        if value <= FREE_ABOVE:
            value = distance_at(tsdf, x, y, z)
        if value != value:
            unknown = True
            before = np.nan
            s += UNKNOWN_STEP * per_voxel
        elif value > 0.0:
            before, before_s = value, s
            s += max(STEP_SHARE * value * truncation_voxels, SHORTEST_STEP) * per_voxel
        elif before != before:
            return UNKNOWN, np.nan
        else:
            for _ in range(REFINEMENTS):
                middle = before_s + (s - before_s) * before / (before - value)
                found = distance_at(tsdf, ox + middle * dx, oy + middle * dy, oz + middle * dz)
                if abs(found) < NEAR_ZERO:
                    return HIT, middle
                if found > 0.0:
                    before, before_s = found, middle
                elif found <= 0.0:
                    value, s = found, middle
                else:
                    break
            return HIT, before_s + (s - before_s) * before / (before - value)
    return (UNKNOWN if unknown else FREE_SPACE), np.nan


@numba.njit
def _slope(ahead, behind):
    """Difference over two voxels around a point on the surface; one-sided, or none, beside what was never seen."""
    if ahead == ahead:
        return ahead - behind if behind == behind else 2.0 * ahead
    return -2.0 * behind if behind == behind else 0.0


@numba.njit
def gradient_at(tsdf, x, y, z):
    """Direction in which the distance grows, away from the surface; not normalised."""
    gx = _slope(distance_at(tsdf, x + 1.0, y, z), distance_at(tsdf, x - 1.0, y, z))
    gy = _slope(distance_at(tsdf, x, y + 1.0, z), distance_at(tsdf, x, y - 1.0, z))
    gz = _slope(distance_at(tsdf, x, y, z + 1.0), distance_at(tsdf, x, y, z - 1.0))
    return gx, gy, gz


@numba.njit
def colour_at(colour, x, y, z, out):
    """Write the colour at a point, uint8 [3], from those corners that have one."""
    i = min(max(int(x), 0), colour.shape[0] - 2)
    j = min(max(int(y), 0), colour.shape[1] - 2)
    k = min(max(int(z), 0), colour.shape[2] - 2)
    u, v, w = x - i, y - j, z - k
    red, green, blue, weights = 0.0, 0.0, 0.0, 0.0
    for a in range(2):
        for b in range(2):
            for c in range(2):
                if colour[i + a, j + b, k + c, 3] > 0:
                    weight = abs(1.0 - a - u) * abs(1.0 - b - v) * abs(1.0 - c - w)
                    red += weight * colour[i + a, j + b, k + c, 0]
                    green += weight * colour[i + a, j + b, k + c, 1]
                    blue += weight * colour[i + a, j + b, k + c, 2]
                    weights += weight
    over = 1.0 / (256.0 * weights) if weights > 1e-9 else 0.0
    out[0], out[1], out[2] = int(red * over + 0.5), int(green * over + 0.5), int(blue * over + 0.5)


@kernel()
def render(
    tsdf, colour, blocks, origins, bases, R, camera, near, far, truncation_voxels, has_colour, has_normals,
    rgb, depth, normals, status, lanes, taken,
):  # fmt: skip
    """Cast the rays of N views.

    Args:
        tsdf: float32 [X, Y, Z] with NaN where unobserved.
        colour: uint16 [X, Y, Z, 4]; ignored unless ``has_colour``.
        blocks: uint16, from ``fill_blocks`` and ``add_reach``.
        origins: float64 [N, 3], camera centres in voxel units.
        bases: float64 [N, 3, 3], maps directions of the cameras' frames into voxel units.
        R: float64 [N, 3, 3], rotates directions of the voxels' axes into the frame that normals are wanted in.
        camera: fx, fy, cx, cy in pixels.
        near, far: depths between which surfaces are seen, metres.
        truncation_voxels: truncation in voxels.
        has_colour, has_normals: whether these are made.
        rgb: uint8 [N, H, W, 3], written.
        depth: float32 [N, H, W], written; NaN without a surface.
        normals: float32 [N, H, W, 3], written; NaN without a surface.
        status: uint8 [N, H, W], written.
        lanes: number of threads.
        taken: int64 [1], scratch.
    """
    views, height, width = depth.shape
    fx, fy, cx, cy = camera
    taken[0] = 0
    for _ in numba.prange(lanes):
        while True:
            row = take(taken)
            if row >= views * height:
                break
            n = row // height
            v = row - n * height
            B = bases[n]
            ox, oy, oz = origins[n, 0], origins[n, 1], origins[n, 2]
            b = (v - cy) / fy
            for u in range(width):
                a = (u - cx) / fx
                dx = B[0, 0] * a + B[0, 1] * b + B[0, 2]
                dy = B[1, 0] * a + B[1, 1] * b + B[1, 2]
                dz = B[2, 0] * a + B[2, 1] * b + B[2, 2]
                kind, s = cast(tsdf, blocks, ox, oy, oz, dx, dy, dz, near, far, truncation_voxels)
                status[n, v, u] = kind
                depth[n, v, u] = s
                x, y, z = ox + s * dx, oy + s * dy, oz + s * dz
                if has_colour:
                    if kind == HIT:
                        colour_at(colour, x, y, z, rgb[n, v, u])
                    else:
                        rgb[n, v, u, 0] = rgb[n, v, u, 1] = rgb[n, v, u, 2] = 0
                if has_normals:
                    gx = gy = gz = np.nan
                    if kind == HIT:
                        gx, gy, gz = gradient_at(tsdf, x, y, z)
                        if gx == 0.0 and gy == 0.0 and gz == 0.0:
                            gx, gy, gz = -dx, -dy, -dz
                    over = 1.0 / np.sqrt(gx * gx + gy * gy + gz * gz)
                    for c in range(3):
                        normals[n, v, u, c] = (R[n, c, 0] * gx + R[n, c, 1] * gy + R[n, c, 2] * gz) * over
