#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the hard arrangements of ``config/scenes``: packed blocks, and one block alone.

They are drawn in ``case_drawings.py``. Each pack is wider than the gripper opens, and leaves no gap that a finger fits
into beside any of its blocks; ``grasp_sim.scenes.room`` proves it for 24 closing directions before a file is written.

``python scripts/make_cases.py`` (with ``env.sh`` sourced) writes the files again, with ``--picture FILE`` a sheet of
the first set, seen from the front, and with ``--straddle N`` tries in simulation how many of N grasps that straddle any
part of a pack, drawn at random, lift something out of it (two seconds each). ``--sets cases_unseen`` does so for that
set alone.
"""

from __future__ import annotations

import argparse
import itertools
import math
from pathlib import Path

import numpy as np
from case_drawings import EDGE, SETS, Piece
from scipy.spatial.transform import Rotation

from grasp_core.geometry import transform
from grasp_sim.objects.models import ObjectModel
from grasp_sim.objects.sets import load_object_set
from grasp_sim.scenes.cases import CaseObject, write_case
from grasp_sim.scenes.room import holds, solid_of, straddles

SCENES = Path(__file__).resolve().parents[1] / "config" / "scenes"
# The middle of the paper's workspace.
MIDDLE_M = (-0.5, 0.0)
# Fingertips go this far below the top of what is grasped, as push_grasp's do.
GRASP_DEPTH_M = 0.030
COLOURS = (
    (0.88, 0.34, 0.35),
    (0.31, 0.47, 0.66),
    (0.95, 0.56, 0.17),
    (0.35, 0.63, 0.31),
    (0.93, 0.79, 0.28),
    (0.69, 0.48, 0.63),
    (0.46, 0.72, 0.70),
    (0.61, 0.46, 0.37),
)


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


def picture(path: Path, folder: str) -> None:
    """A sheet of all arrangements of a set, seen from above by the simulator's renderer."""
    import cv2

    from grasp_sim.cell import SimCell

    cell = SimCell("ur5", motion="fast", cameras=("fixed_camera",))
    tiles = []
    for name, *_ in SETS[folder]:
        cell.reset(str(SCENES / folder / f"{name}.txt"), 0)
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
    cv2.imwrite(str(path), np.vstack(rows), [cv2.IMWRITE_PNG_COMPRESSION, 9])


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
    parser.add_argument("--picture", type=Path, help="write a sheet of the first set's arrangements here")
    parser.add_argument("--straddle", type=int, metavar="N", help="try N straddling grasps at each arrangement")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS), help="folders; all by default")
    arguments = parser.parse_args()
    for folder in arguments.sets:
        cases = SETS[folder]
        made = {}
        for name, pack, middle, alone in cases:
            made[name] = arrangement(pack, middle, alone)
            free = free_blocks(made[name])
            print(f"{name:40s} {len(pack)} packed, free: {sorted(free)}")
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
        picture(arguments.picture, arguments.sets[0])
    if arguments.straddle:
        for folder in arguments.sets:
            for name, *_ in SETS[folder]:
                held, done = straddled(SCENES / folder / f"{name}.txt", arguments.straddle)
                print(f"{folder}/{name}: {held} of {done} straddling grasps lifted something")


if __name__ == "__main__":
    main()
