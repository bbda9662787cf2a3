# SPDX-License-Identifier: Apache-2.0
"""Random tight packs to learn pushing on: a slab cut at random into boxes, and a few other objects alone beside it.

The slab is longer and broader than the gripper opens and its cuts leave no gap for a finger, so that none of its boxes
can be grasped squarely before something was pushed. A hand that straddles a corner of the slab still turns a small box
out of it as it closes; with large boxes at the corners (``corner_m``) its pads slide off. Boxes of any size are not the
blocks of ``config/scenes/cases``: what is learned here has not seen what is evaluated there.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from grasp_core.cell import SceneError
from grasp_core.cell_config import BoxRegion
from grasp_core.geometry import Array, transform
from grasp_sim.objects.models import ObjectModel
from grasp_sim.objects.sets import primitive
from grasp_sim.scenes.config import Pack
from grasp_sim.world import World

TRIES = 200

# Middle and edges in the slab's frame: x, y, length, breadth (m).
Piece = tuple[float, float, float, float]


def pack(
    world: World,
    settings: Pack,
    gap_m: float,
    rng: np.random.Generator,
    others: list[ObjectModel],
    count: int,
    region: BoxRegion,
) -> None:
    """Put a slab of ``count`` boxes at a random place and turn into a world, and others around it.

    Args:
        gap_m: between neighbours.
        others: what may stand alone; how many of them do is drawn, and fewer do where there is no place.
        region: what all boxes stay inside of.

    Raises:
        SceneError: no slab of so many boxes fits in.
    """
    pieces = cut(settings, rng, count)
    low, high = np.array(region.min_m[:2]), np.array(region.max_m[:2])
    corners = np.array([[x + i * a, y + j * b] for x, y, a, b in pieces for i in (-0.5, 0.5) for j in (-0.5, 0.5)])
    for _ in range(TRIES):
        yaw = Rotation.from_euler("z", float(rng.uniform(-np.pi, np.pi)))
        T_base_slab = transform([*rng.uniform(low, high), world.config.support_z_m], yaw)
        spread = corners @ T_base_slab[:2, :2].T + T_base_slab[:2, 3]
        if np.all(spread >= low) and np.all(spread <= high):
            break
    else:
        raise SceneError(f"no place for a slab of {count} boxes in {TRIES} tries; take a larger region_share")
    height = float(rng.uniform(*settings.height_m))
    for x, y, a, b in pieces:
        tall = height + float(rng.uniform(-settings.uneven_m, settings.uneven_m))
        size = (a - gap_m, b - gap_m, tall)
        model = primitive("box", size, rng, settings.density_kg_m3)
        world.add(model, T_base_slab @ transform((x, y, 0.5 * tall)))
    _stand_alone(
        world, settings, rng, others, T_base_slab[:2, 3], 0.5 * float(np.hypot(*np.ptp(corners, axis=0))), region
    )


def cut(settings: Pack, rng: np.random.Generator, count: int) -> list[Piece]:
    """A slab around the origin cut into ``count`` boxes, each cut from side to side of a piece.

    Raises:
        SceneError: none with edges as the settings ask was found.
    """
    if settings.corner_m is not None:
        return _with_corners(settings, settings.corner_m, rng, count)
    thin, broad = settings.breadth_m
    for _ in range(TRIES):
        pieces: list[Piece] = [(0.0, 0.0, *rng.uniform(*settings.side_m, size=2).tolist())]
        while len(pieces) < count:
            # What is too broad to be grasped later comes first, then the largest.
            index = max(range(len(pieces)), key=lambda k: (min(pieces[k][2:]) > broad, pieces[k][2] * pieces[k][3]))
            halves = _halves(pieces[index], rng, thin, settings.length_m)
            if halves is None:
                break
            pieces[index : index + 1] = halves
        if len(pieces) == count and all(min(p[2:]) <= broad and max(p[2:]) <= settings.length_m for p in pieces):
            return pieces
    raise SceneError(f"no slab of {count} boxes within side_m, breadth_m and length_m in {TRIES} tries")


def _with_corners(settings: Pack, corner_m: tuple[float, float], rng: np.random.Generator, count: int) -> list[Piece]:
    """Two rows of boxes with large ones at the four corners; what is between those is as broad as ``breadth_m``."""
    if count < 4:
        raise SceneError(f"a slab with corner_m has at least 4 boxes, count is {count}")
    # What is odd is one box between two columns that runs through both rows.
    through, columns = count % 2, count // 2
    inner = columns - 2 + through
    lengths = [rng.uniform(*corner_m), *rng.uniform(*settings.breadth_m, size=inner), rng.uniform(*corner_m)]
    rows = rng.uniform(*corner_m, size=2)
    whole = 1 + int(rng.integers(inner)) if through else -1
    pieces: list[Piece] = []
    x = -0.5 * float(sum(lengths))
    for k, length in enumerate(lengths):
        middle = x + 0.5 * length
        if k == whole:
            pieces.append((middle, 0.0, length, float(rows.sum())))
        else:
            pieces += [
                (middle, -0.5 * float(rows[1]), length, float(rows[0])),
                (middle, 0.5 * float(rows[0]), length, float(rows[1])),
            ]
        x += length
    # Either way round.
    return [(b, a, d, c) for a, b, c, d in pieces] if rng.random() < 0.5 else pieces


def _halves(piece: Piece, rng: np.random.Generator, thin: float, length: float) -> list[Piece] | None:
    x, y, a, b = piece
    ways = [axis for axis, edge in enumerate((a, b)) if edge >= 2.0 * thin]
    if not ways:
        return None
    # A random way, but across what would stay too long.
    along = [axis for axis in ways if (a, b)[axis] > length] or ways
    axis = int(along[int(rng.integers(len(along)))])
    edge = (a, b)[axis]
    first = float(rng.uniform(thin, edge - thin))
    if axis == 0:
        return [(x - 0.5 * (a - first), y, first, b), (x + 0.5 * first, y, a - first, b)]
    return [(x, y - 0.5 * (b - first), a, first), (x, y + 0.5 * first, a, b - first)]


def _stand_alone(
    world: World,
    settings: Pack,
    rng: np.random.Generator,
    others: list[ObjectModel],
    middle: Array,
    reach_m: float,
    region: BoxRegion,
) -> None:
    taken = [(middle, reach_m)]
    low, high = np.array(region.min_m[:2]), np.array(region.max_m[:2])
    for model in others[: int(rng.integers(settings.alone[0], settings.alone[1] + 1))]:
        radius = 0.5 * float(np.hypot(*model.extents_m[:2]))
        for _ in range(TRIES):
            xy = rng.uniform(low, high)
            if all(np.linalg.norm(xy - other) > radius + far + settings.clearance_m for other, far in taken):
                yaw = Rotation.from_euler("z", float(rng.uniform(-np.pi, np.pi)))
                world.add(model, transform([*xy, world.config.support_z_m + 0.5 * model.extents_m[2]], yaw))
                taken.append((xy, radius))
                break
