#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the hard arrangements of ``config/scenes/cases`` and ``cases_blocks``: packed blocks, and one block alone.

An arrangement is a list of ``(block, x, y, turn)`` in millimetres and degrees around the pack's middle; the blocks
stand on the table. Each pack is wider than the gripper opens, and leaves no gap that a finger fits into beside any of
its blocks; ``grasp_sim.scenes.room`` proves it for 24 closing directions before a file is written.

``cases_blocks`` came first, of toy blocks alone. A hand that straddles a corner often turns a small block out of such a
pack as it closes; ``cases`` has tiles at the corners, where the pads slide off.

``python scripts/make_cases.py`` (with ``env.sh`` sourced) writes the files again, with ``--picture FILE`` a sheet of
``cases``, seen from the front, and with ``--straddle N`` tries in simulation how many of N grasps that straddle any
part of a pack, drawn at random, lift something out of it (two seconds each).
"""

from __future__ import annotations

import argparse
import itertools
import math
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from grasp_core.geometry import transform
from grasp_sim.objects.models import ObjectModel
from grasp_sim.objects.sets import load_object_set
from grasp_sim.scenes.cases import CaseObject, write_case
from grasp_sim.scenes.room import holds, solid_of, straddles

SCENES = Path(__file__).resolve().parents[1] / "config" / "scenes"
# The middle of the paper's workspace, and what is left between neighbours (mm).
MIDDLE_M = (-0.5, 0.0)
GAP_MM = 0.4
# Fingertips go this far below the top of what is grasped, as push_grasp's do.
GRASP_DEPTH_M = 0.030
# A plank that stands on its long edge.
EDGE = "plank on edge"
COLOURS = (
    (0.88, 0.34, 0.35),
    (0.31, 0.47, 0.66),
    (0.95, 0.56, 0.17),
    (0.35, 0.63, 0.31),
    (0.93, 0.79, 0.28),
    (0.69, 0.48, 0.63),
    (0.46, 0.72, 0.70),
)

Piece = tuple[str, float, float, float]


def stacked(*rows: tuple[float, list[Piece]]) -> list[Piece]:
    """Rows side by side along y, each ``(width, pieces)`` with the pieces around the row's own middle."""
    total = sum(width for width, _ in rows) + GAP_MM * (len(rows) - 1)
    y, pieces = -0.5 * total, []
    for width, row in rows:
        pieces += [(block, px, py + y + 0.5 * width, turn) for block, px, py, turn in row]
        y += width + GAP_MM
    return pieces


def brick() -> tuple[float, list[Piece]]:
    """One brick along x."""
    return 48.0, [("brick", 0.0, 0.0, 0.0)]


def bricks() -> tuple[float, list[Piece]]:
    """Two bricks end to end."""
    x = 58.0 + 0.5 * GAP_MM
    return 48.0, [("brick", -x, 0.0, 0.0), ("brick", x, 0.0, 0.0)]


def edge() -> tuple[float, list[Piece]]:
    """One plank on its edge along x."""
    return 20.0, [(EDGE, 0.0, 0.0, 0.0)]


def door(sign: float) -> tuple[float, list[Piece]]:
    """An arch with a half cylinder in its passage, which opens towards ``-sign`` y."""
    turn = 0.0 if sign > 0 else 180.0
    return 52.0, [("arch", 0.0, 0.0, turn), ("half_cylinder", 0.0, sign * (-26.0 + 12.6), turn)]


def eye(pupil: str) -> tuple[float, list[Piece]]:
    """Two arches whose passages make one round hole, and what stands in it."""
    y = 26.0 + 0.5 * GAP_MM
    return 104.0 + GAP_MM, [("arch", 0.0, y, 0.0), ("arch", 0.0, -y, 180.0), (pupil, 0.0, 0.0, 0.0)]


def wedges(x: float, y: float, turn: float) -> list[Piece]:
    """Two wedges as a box of 68 x 48 mm, the long side along ``turn``."""
    # Their slopes face each other across the gap; the frame of a wedge is the middle of its box.
    shift = 0.5 * GAP_MM
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    u, v = shift * 48.0 / math.hypot(68.0, 48.0), shift * 68.0 / math.hypot(68.0, 48.0)
    return [
        ("wedge", x - c * u + s * v, y - s * u - c * v, turn),
        ("wedge", x + c * u - s * v, y + s * u + c * v, turn + 180.0),
    ]


def cube_and_wedges() -> tuple[float, list[Piece]]:
    """A cube and two wedges, together as long as a brick."""
    return 48.0, [("cube", -34.0 - 0.5 * GAP_MM, 0.0, 0.0), *wedges(24.0 + 0.5 * GAP_MM, 0.0, 0.0)]


def square(x: float, y: float) -> list[Piece]:
    """Two triangles as a square of 68 mm."""
    d = 0.5 * (47.8 + GAP_MM) / math.sqrt(2.0)
    return [("triangle", x - d, y + d, 45.0), ("triangle", x + d, y - d, 225.0)]


def ring() -> list[Piece]:
    """Four bricks around a hole of 68 mm, the end of each against the side of the next."""
    a, b = 0.5 * (48.0 + GAP_MM), 0.5 * (116.0 + GAP_MM)
    return [("brick", -a, -b, 0.0), ("brick", b, -a, 90.0), ("brick", a, b, 0.0), ("brick", -b, a, 90.0)]


def planks(count: int) -> list[Piece]:
    """Planks that lie side by side."""
    return stacked(*[(48.0, [("plank", 0.0, 0.0, 0.0)])] * count)


def slab() -> tuple[float, list[Piece]]:
    """One slab along x."""
    return 84.0, [("slab", 0.0, 0.0, 0.0)]


def slabs() -> tuple[float, list[Piece]]:
    """Two slabs end to end."""
    x = 58.0 + 0.5 * GAP_MM
    return 84.0, [("slab", -x, 0.0, 0.0), ("slab", x, 0.0, 0.0)]


def half_disc(sign: float) -> tuple[float, list[Piece]]:
    """Two quarters as half a disc, round towards ``sign`` y."""
    x = 37.5 + 0.5 * GAP_MM
    turns = (0.0, 90.0) if sign > 0 else (270.0, 180.0)
    return 75.0, [("quarter", x, 0.0, turns[0]), ("quarter", -x, 0.0, turns[1])]


# Name, pack, middle of the pack and its turn (mm, degrees), the block alone with its place (mm, degrees).
CASES: list[tuple[str, list[Piece], tuple[float, float, float], Piece]] = [
    ("01_wheel", stacked(half_disc(-1), half_disc(1)), (-30, 30, 20), ("cube", 120, -120, 15)),
    ("02_four_slabs", stacked(slabs(), slabs()), (20, -20, 0), ("hexagon", -150, 150, 40)),
    (
        "03_brick_and_plank_between_slabs",
        stacked(slab(), brick(), edge(), slab()), (20, 20, -25), ("cylinder", -140, -150, 0),
    ),
    ("04_plank_on_edge_between_slabs", stacked(slab(), edge(), slab()), (40, -30, 35), ("wedge", -120, 120, 0)),
    ("05_three_slabs", stacked(slab(), slab(), slab()), (-20, 0, 10), ("cylinder", 145, 125, 0)),
    ("06_half_disc_on_a_slab", stacked(slab(), half_disc(1)), (-20, -30, -15), ("brick", 110, 130, 50)),
    ("07_brick_between_slabs", stacked(slab(), brick(), slab()), (30, 10, 60), ("cube", -125, -140, 70)),
    (
        "08_cube_and_wedges_between_slabs",
        stacked(slab(), cube_and_wedges(), slab()), (0, -10, -50), ("half_cylinder", -100, 150, 80),
    ),
    (
        "09_two_bricks_between_four_slabs",
        stacked(slabs(), bricks(), slabs()), (-20, 40, 0), ("triangle", 140, -160, 20),
    ),
    ("10_door_between_slabs", stacked(slab(), door(1), slab()), (-20, -20, 75), ("arch", 120, 145, 10)),
    ("11_eye_between_slabs", stacked(slab(), eye("hexagon"), slab()), (10, 10, -70), ("plank", 120, -150, 30)),
]  # fmt: skip


# The same, of toy blocks alone.
BLOCK_CASES: list[tuple[str, list[Piece], tuple[float, float, float], Piece]] = [
    ("01_pillar_in_an_eye", stacked(brick(), eye("cylinder")), (-30, 30, 20), ("cube", 120, -120, 15)),
    ("02_three_bricks", stacked(brick(), brick(), brick()), (20, -20, 0), ("hexagon", -130, 120, 40)),
    ("03_ring_around_a_square", [*ring(), *square(0, 0)], (20, 20, -25), ("cylinder", -120, -140, 0)),
    ("04_two_doors_in_a_wall", stacked(door(1), brick(), door(-1)), (40, -30, 35), ("wedge", -120, 120, 0)),
    ("05_row_between_walls", stacked(brick(), cube_and_wedges(), brick()), (-20, 0, 10), ("cylinder", 125, 125, 0)),
    ("06_four_planks", planks(4), (-20, -30, -15), ("brick", 110, 130, 50)),
    ("07_door_behind_bricks", stacked(door(-1), brick(), brick()), (30, 10, 60), ("cube", -125, -120, 70)),
    (
        "08_square_of_three_kinds",
        [*square(-24.2, 24.2), *wedges(34.0, 24.2, 90), ("brick", 0, -34.2, 0)],
        (0, -30, -50), ("half_cylinder", -80, 140, 80),
    ),
    ("09_plank_on_edge_between_bricks", stacked(brick(), edge(), brick()), (-30, 40, 0), ("triangle", 110, -120, 20)),
    ("10_hexagon_between_planks", stacked(edge(), eye("hexagon"), edge()), (-20, -20, 75), ("arch", 90, 135, 10)),
    (
        "11_brick_row_and_door",
        stacked(cube_and_wedges(), brick(), door(-1)), (20, 20, -70), ("plank", -130, -120, 30),
    ),
]  # fmt: skip

SETS = {"cases": CASES, "cases_blocks": BLOCK_CASES}


def arrangement(pack: list[Piece], middle: tuple[float, float, float], alone: Piece) -> list[CaseObject]:
    """The objects of a case, in the case's frame; the lonely one last."""
    turn = math.radians(middle[2])
    placed = []
    for name, x, y, degrees in pack:
        px = middle[0] + math.cos(turn) * x - math.sin(turn) * y
        py = middle[1] + math.sin(turn) * x + math.cos(turn) * y
        placed.append((name, px, py, degrees + middle[2]))
    objects = []
    for colour, (name, x, y, degrees) in zip(COLOURS, [*placed, alone], strict=False):
        block = "plank" if name == EDGE else name
        extents = model_of(block).extents_m
        height = extents[1] if name == EDGE else extents[2]
        place = (MIDDLE_M[0] + 1e-3 * x, MIDDLE_M[1] + 1e-3 * y, 0.5 * height)
        tip = Rotation.from_euler("x", 90.0 if name == EDGE else 0.0, degrees=True)
        rotation = Rotation.from_euler("z", degrees, degrees=True) * tip
        objects.append(CaseObject(block, (*colour, 1.0), transform(place, rotation)))
    return objects


def model_of(name: str) -> ObjectModel:
    """A block or tile by name."""
    return load_object_set("tiles" if name in load_object_set("tiles").names else "blocks").model(
        name, np.random.default_rng(0)
    )


def free_blocks(objects: list[CaseObject]) -> set[int]:
    """Indices of the blocks that a hand can close on."""
    solids = [solid_of(model_of(entry.mesh), entry.T_case_object) for entry in objects]
    return set(itertools.chain.from_iterable(hold.blocks for hold in holds(solids)))


def picture(path: Path) -> None:
    """A sheet of all arrangements, seen from above by the simulator's renderer."""
    import cv2

    from grasp_sim.cell import SimCell

    cell = SimCell("ur5", motion="fast", cameras=("fixed_camera",))
    tiles = []
    for name, *_ in CASES:
        cell.reset(str(SCENES / "cases" / f"{name}.txt"), 0)
        api = cell.world.api
        view = api.computeViewMatrix([0.95, 0.0, 0.62], [0.5, 0.0, 0.0], [-1, 0, 0.7])
        projection = api.computeProjectionMatrixFOV(36.0, 1.0, 0.05, 2.0)
        image = api.getCameraImage(360, 360, view, projection, renderer=cell.world.engine.renderer_flag)
        rgba = np.reshape(image[2], (360, 360, 4))
        tile = np.ascontiguousarray(rgba[:, :, 2::-1].astype(np.uint8))
        cv2.putText(tile, name.replace("_", " "), (8, 350), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (20, 20, 20), 1, cv2.LINE_AA)
        tiles.append(tile)
    cell.close()
    tiles.append(np.full_like(tiles[0], 255))
    rows = [np.hstack(tiles[k : k + 4]) for k in range(0, 12, 4)]
    cv2.imwrite(str(path), np.vstack(rows))


def straddled(file: Path, count: int) -> tuple[int, int]:
    """How many of how many random straddling grasps lift a packed block out of an arrangement as it is laid."""
    from grasp_core.actions import Grasp
    from grasp_core.geometry import top_down
    from grasp_sim.cell import SimCell

    cell, rng = SimCell("ur5", motion="fast", cameras=()), np.random.default_rng(0)
    held = done = 0
    try:
        for seed in range(count):
            cell.reset(str(file), seed)
            things = cell.world.present()
            middle = np.mean([cell.world.pose_of(thing)[:3, 3] for thing in things], axis=0)
            T_middle_base = transform((-middle[0], -middle[1], -cell.config.support_z_m))
            solids = [solid_of(thing.model, T_middle_base @ cell.world.pose_of(thing)) for thing in things]
            packed = range(len(things) - 1)
            tip_m = max(solids[k].top_m for k in packed) - GRASP_DEPTH_M
            for place in straddles(solids, packed, rng, 1, tip_m):
                T_base_tcp = top_down(
                    [place.x_m + middle[0], place.y_m + middle[1], cell.config.support_z_m + tip_m], place.yaw_rad
                )
                outcome = cell.execute(Grasp(T_base_tcp))
                held += outcome.info.get("grasped_id") is not None
                done += 1
    finally:
        cell.close()
    return held, done


def main() -> None:
    """Write all files, each only after its pack was found to leave no room."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", type=Path, help="write a sheet of all arrangements here")
    parser.add_argument("--straddle", type=int, metavar="N", help="try N straddling grasps at each arrangement")
    arguments = parser.parse_args()
    for folder, cases in SETS.items():
        made = {}
        for name, pack, middle, alone in cases:
            made[name] = arrangement(pack, middle, alone)
            free = free_blocks(made[name])
            print(f"{name:34s} {len(pack)} packed, free: {sorted(free)}")
            if free != {len(pack)}:
                raise SystemExit(
                    f"{name}: a hand finds room at {sorted(free - {len(pack)})}, or none at the lonely block"
                )
        (SCENES / folder).mkdir(parents=True, exist_ok=True)
        for old in (SCENES / folder).glob("*.txt"):
            old.unlink()
        for name, objects in made.items():
            write_case(SCENES / folder / f"{name}.txt", objects)
        print(f"wrote {len(cases)} arrangements to {folder}/")
    if arguments.picture:
        picture(arguments.picture)
    if arguments.straddle:
        for folder, cases in SETS.items():
            for name, *_ in cases:
                held, done = straddled(SCENES / folder / f"{name}.txt", arguments.straddle)
                print(f"{folder}/{name}: {held} of {done} straddling grasps lifted something")


if __name__ == "__main__":
    main()
