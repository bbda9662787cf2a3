# SPDX-License-Identifier: Apache-2.0
"""Where an open gripper finds room among blocks: plain geometry, no physics.

For many closing directions the blocks are drawn from above on a grid. A finger is a rectangle, as wide as the pad and
as thick as the finger at its tip; what is on either side of the blocks between two fingers must be free of any other
block. Knuckles and the body of the gripper are left out and places are not checked for reach, so that a block that is
said to have no room has none, while one that is said to have room may still be hard to grasp.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, maximum_filter1d, uniform_filter
from scipy.spatial import ConvexHull

from grasp_core.geometry import Array, apply
from grasp_sim.objects.meshes import CONTACT_MARGIN_M, inset, read_mesh
from grasp_sim.objects.models import MeshShape, ObjectModel

# Least height of a block above the fingertips that is worth closing on (m).
LEAST_DEPTH_M = 0.010
# Fingertips stay this far above the table (m).
FLOOR_M = 0.002
# What lies this close to the outermost point of a side is touched by a pad (m).
TOUCH_M = 0.0008
# What reaches less far in between the pads, across the closing direction, is not held (m).
LEAST_OVERLAP_M = 0.004
# Less than this between the pads is not worth closing on (m2).
LEAST_BETWEEN_M2 = 1e-4


@dataclass(frozen=True)
class Hand:
    """Two parallel fingers; the defaults are those of the RG2 (urdf/grippers/rg2)."""

    stroke_m: float = 0.110
    """Largest opening between the pads."""
    width_m: float = 0.020
    """Of a pad, across the closing direction."""
    thickness_m: float = 0.010
    """Of a finger at its tip, along the closing direction."""
    friction: float = 0.72
    """Between pads and blocks: beyond its cone a pad slides off (``PhysicsSettings``)."""


@dataclass(frozen=True)
class Solid:
    """A block as convex parts, each its vertices [n, 3] in one frame with z up, m."""

    parts: tuple[Array, ...]

    @property
    def top_m(self) -> float:
        """Its highest point."""
        return float(max(part[:, 2].max() for part in self.parts))


def solid_of(model: ObjectModel, T_table_object: Array) -> Solid:
    """A block of meshes at a pose over the table.

    Raises:
        ValueError: the model is no mesh.
    """
    if not isinstance(model.shape, MeshShape):
        raise ValueError(f"{model.name} is no mesh")
    parts = []
    for file in model.shape.convex_parts:
        # Parts are smaller than the block by what the simulator adds.
        points = inset(read_mesh(file), -CONTACT_MARGIN_M).vertices * model.shape.scale + model.shape.shift_m
        parts.append(np.array([apply(T_table_object, point) for point in points]))
    return Solid(tuple(parts))


@dataclass(frozen=True)
class Hold:
    """A top-down grasp that has room: between which fingers which blocks are."""

    x_m: float
    y_m: float
    yaw_rad: float
    """Closing direction."""
    width_m: float
    """Of what is between the pads."""
    tip_m: float
    """Height of the fingertips."""
    blocks: tuple[int, ...]
    """Indices of what is between the pads."""


def holds(solids: Sequence[Solid], hand: Hand | None = None, angles: int = 24, step_m: float = 0.001) -> list[Hold]:
    """All grasps of one place and direction each that have room for both fingers and do not slide off.

    Args:
        solids: the blocks, standing or lying on z = 0.
        hand: the gripper.
        angles: closing directions over half a turn.
        step_m: grid.

    Returns:
        One hold for each direction, place across it and pair of gaps; empty where nothing can be grasped.
    """
    hand = hand or Hand()
    tips = sorted({FLOOR_M} | {round(max(FLOOR_M, solid.top_m - LEAST_DEPTH_M), 4) for solid in solids})
    found = []
    for tip_m in tips:
        outlines = [[o for part in solid.parts if (o := outline(part, tip_m)) is not None] for solid in solids]
        deep = {k for k, solid in enumerate(solids) if solid.top_m >= tip_m + LEAST_DEPTH_M - 1e-6}
        for yaw in np.arange(angles) * np.pi / angles:
            found += _holds_along(outlines, deep, float(yaw), tip_m, hand, step_m)
    return found


@dataclass(frozen=True)
class Straddle:
    """Where an open hand comes down with a finger on either side of something."""

    x_m: float
    y_m: float
    yaw_rad: float
    """Closing direction."""


def straddles(
    solids: Sequence[Solid],
    wanted: Sequence[int],
    rng: np.random.Generator,
    count: int,
    tip_m: float = 0.018,
    hand: Hand | None = None,
    angles: int = 16,
    step_m: float = 0.001,
) -> list[Straddle]:
    """Draw places where both fingers of the wide open hand come down free and blocks stand between them.

    Whether the hand would hold what it closes on is not asked: a corner of a pack can be straddled, and the pads slide
    off or turn a block out of it. These are all the grasps that are worth a try at a pack.

    Args:
        solids: the blocks, standing or lying on z = 0.
        wanted: indices of the blocks that have to be between the fingers.
        count: how many to draw, evenly over places and directions; fewer only where there is none at all.
        tip_m: height of the fingertips.
        angles: closing directions over half a turn.
        step_m: grid.
    """
    hand = hand or Hand()
    outlines = [[o for part in solid.parts if (o := outline(part, tip_m)) is not None] for solid in solids]
    if not any(outlines):
        return []
    every = np.concatenate([points for parts in outlines for points in parts])
    reach = float(np.abs(every).max()) * np.sqrt(2.0) + hand.stroke_m
    low, size = np.array([-reach, -reach]), int(np.ceil(2.0 * reach / step_m))
    pad = (2 * round(0.5 * hand.width_m / step_m) + 1, 2 * round(0.5 * hand.thickness_m / step_m) + 1)
    inside = (pad[0], round(hand.stroke_m / step_m))
    shift = round(0.5 * (hand.stroke_m + hand.thickness_m) / step_m)
    found = []
    for yaw in np.arange(angles) * np.pi / angles:
        turn = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
        label = np.full((size, size), -1)
        for index, parts in enumerate(outlines):
            for points in parts:
                _fill(label, points @ turn.T, low, step_m, index)
        taken = maximum_filter(label >= 0, size=pad)
        between = uniform_filter(np.isin(label, wanted).astype(float), size=inside, mode="constant")
        free = ~np.roll(taken, shift, axis=1) & ~np.roll(taken, -shift, axis=1)
        places = np.argwhere(free & (between * np.prod(inside) * step_m**2 >= LEAST_BETWEEN_M2))
        found.append((turn, float(yaw), places))
    weights = np.array([len(places) for *_, places in found], dtype=float)
    if not weights.any():
        return []
    drawn = []
    for k in rng.choice(len(found), size=count, p=weights / weights.sum()):
        turn, yaw, places = found[k]
        row, column = places[int(rng.integers(len(places)))]
        x, y = turn.T @ (low + step_m * np.array([column + 0.5, row + 0.5]))
        drawn.append(Straddle(float(x), float(y), yaw))
    return drawn


def outline(part: Array, above_m: float) -> Array | None:
    """Seen from above, the outline [m, 2] of what of a convex part lies above a height; none where nothing does."""
    high = part[:, 2] > above_m
    if not high.any():
        return None
    points = [part[high, :2]]
    low = part[~high]
    if len(low):
        # Where the lines between upper and lower vertices cross the height; those inside of the hull do not matter.
        for vertex in part[high]:
            share = (above_m - low[:, 2]) / np.maximum(vertex[2] - low[:, 2], 1e-12)
            points.append(low[:, :2] + share[:, None] * (vertex[:2] - low[:, :2]))
    # Points that differ by rounding alone would make edges of any direction.
    flat = np.unique(np.concatenate(points).round(6), axis=0)
    return flat[ConvexHull(flat).vertices]


def _holds_along(
    outlines: list[list[Array]], deep: set[int], yaw: float, tip_m: float, hand: Hand, step_m: float
) -> list[Hold]:
    turn = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
    turned = [[points @ turn.T for points in parts] for parts in outlines]
    every = np.concatenate([points for parts in turned for points in parts])
    # Room for a finger all around.
    margin = hand.thickness_m + hand.width_m + 2.0 * step_m
    low = every.min(axis=0) - margin
    columns, rows = np.ceil((every.max(axis=0) + margin - low) / step_m).astype(int)
    label = np.full((rows, columns), -1)
    for index, parts in enumerate(turned):
        for points in parts:
            _fill(label, points, low, step_m, index)
    occupied = label >= 0
    half = round(0.5 * hand.width_m / step_m)
    band = maximum_filter1d(occupied, 2 * half + 1, axis=0, mode="constant")
    need = round(hand.thickness_m / step_m)
    found = []
    for row in range(half, rows - half, 2):
        gaps = [(a, b) for a, b in _runs(~band[row]) if b - a >= need]
        for (_, begin), (end, _) in itertools.combinations(gaps, 2):
            if (end - begin) * step_m > hand.stroke_m:
                continue
            between = label[row - half : row + half + 1, begin:end]
            if not (set(np.unique(between[between >= 0]).tolist()) & deep) or not _grips(between, hand, step_m):
                continue
            middle = low + step_m * np.array([0.5 * (begin + end), row + 0.5])
            x, y = turn.T @ middle
            blocks = tuple(int(k) for k in np.unique(between[between >= 0]))
            found.append(Hold(float(x), float(y), yaw, (end - begin) * step_m, tip_m, blocks))
    return found


def _fill(label: NDArray[np.int_], points: Array, low: Array, step_m: float, value: int) -> None:
    """Write a convex outline (counter-clockwise) into the grid: cells whose middle lies inside."""
    first = np.maximum(((points.min(axis=0) - low) / step_m).astype(int) - 1, 0)
    last = ((points.max(axis=0) - low) / step_m).astype(int) + 2
    v, u = np.mgrid[first[1] : last[1], first[0] : last[0]]
    x, y = low[0] + (u + 0.5) * step_m, low[1] + (v + 0.5) * step_m
    inside = np.ones(x.shape, dtype=bool)
    for a, b in zip(points, np.roll(points, -1, axis=0), strict=True):
        inside &= (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0]) >= 0.0
    label[first[1] : last[1], first[0] : last[0]][inside] = value


def _runs(free: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], free, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _grips(between: NDArray[np.int_], hand: Hand, step_m: float) -> bool:
    """Whether pads that close on this [rows across, columns along] stay on it: touched within the friction cone."""
    filled = between >= 0
    count = filled.shape[0]
    lines = np.flatnonzero(filled.any(axis=1))
    if len(lines) * step_m < LEAST_OVERLAP_M:
        return False
    left = filled[lines].argmax(axis=1)
    right = filled.shape[1] - 1 - filled[lines][:, ::-1].argmax(axis=1)
    touch = max(TOUCH_M / step_m, 1.0)
    sides = [lines[left <= left.min() + touch], lines[right >= right.max() - touch]]
    # A face that leans out of the cone is touched by the edge of the pad alone, over less than this.
    edge = touch / hand.friction + 1.0
    for side in sides:
        if side.max() < edge or side.min() > count - 1 - edge:
            return False
    apart = np.abs(sides[0][:, None] - sides[1][None, :]).min()
    return bool(apart <= hand.friction * filled.shape[1])
