#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the eleven hard arrangements of ``config/scenes/cases``: packed blocks without room for a hand, and one alone.

An arrangement is a list of ``(block, x, y, turn)`` in millimetres and degrees around the pack's middle; the blocks
stand on the table. In a full pack every block has a neighbour on one side along each of its axes, so that no two
opposite sides are free.

``python scripts/make_cases.py`` (with ``env.sh`` sourced) writes the files again.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from grasp_core.geometry import transform
from grasp_sim.objects.sets import load_object_set
from grasp_sim.scenes.cases import CaseObject, write_case

FOLDER = Path(__file__).resolve().parents[1] / "config" / "scenes" / "cases"
# The middle of the paper's workspace, and a gap that keeps neighbours from touching before they have settled (mm).
MIDDLE_M = (-0.5, 0.0)
GAP_MM = 0.6
COLOURS = (
    (0.88, 0.34, 0.35),
    (0.31, 0.47, 0.66),
    (0.95, 0.56, 0.17),
    (0.35, 0.63, 0.31),
    (0.93, 0.79, 0.28),
    (0.69, 0.48, 0.63),
)

Piece = tuple[str, float, float, float]


def pinwheel(block: str, length: float, width: float) -> list[Piece]:
    """Four blocks around a hole, the end of each against the side of the next."""
    a, b = 0.5 * (width + GAP_MM), 0.5 * (length + GAP_MM)
    return [(block, -a, -b, 0.0), (block, b, -a, 90.0), (block, a, b, 0.0), (block, -b, a, 90.0)]


# Name, pack, middle of the pack and its turn (mm, degrees), the block alone with its place (mm, degrees).
CASES: list[tuple[str, list[Piece], tuple[float, float, float], Piece]] = [
    ("01_pinwheel_of_arches", pinwheel("arch", 70, 36), (-30, 30, 20), ("cube", 110, -120, 15)),
    ("02_pinwheel_of_planks", [*pinwheel("plank", 80, 40), ("cube", 0, 0, 0)], (20, -20, 0), ("brick", -130, 120, 40)),
    ("03_pinwheel_of_bricks", pinwheel("brick", 60, 30), (10, 50, -25), ("cylinder", -60, -120, 0)),
    (
        "04_bricks_in_two_columns",
        [("brick", -30.3, -15.3, 0), ("brick", 30.3, -15.3, 0), ("brick", -30.3, 15.3, 0), ("brick", 30.3, 15.3, 0),
         ("plank", 0, 50.9, 0)],
        (40, -30, 35), ("hexagon", -120, 110, 0),
    ),
    (
        "05_planks_behind_a_wall",
        [("plank", 0, -40.6, 0), ("plank", 0, 0, 0), ("plank", 0, 40.6, 0), ("arch", 58.6, -24, 90),
         ("arch", 58.6, 47, 90)],
        (-20, 0, 10), ("cube", 120, 125, 30),
    ),
    (
        "06_corner",
        [("plank", 0, 0, 0), ("plank", 60.6, 20, 90), ("cube", 20, 40.6, 0), ("cube", -20.6, 40.6, 0)],
        (-50, -40, -15), ("triangle", 110, 120, 0),
    ),
    (
        "07_wedges_behind_bricks",
        [("brick", -30.3, 0, 0), ("brick", 30.3, 0, 0), ("wedge", -26.3, 32.6, 0), ("wedge", 26.3, 32.6, 0),
         ("plank", 0, -35.6, 0)],
        (30, 10, 60), ("cylinder", -125, -110, 0),
    ),
    (
        "08_low_beside_high",
        [("plank", -20, 0, 0), ("cube", 40.6, 0, 0), ("arch", -30, 38.6, 0), ("brick", 35.6, 35.6, 0)],
        (0, -40, -50), ("brick", -60, 135, 80),
    ),
    (
        "09_cubes_in_a_block",
        [("cube", -20.3, -20.3, 0), ("cube", 20.3, -20.3, 0), ("cube", -20.3, 20.3, 0), ("cube", 20.3, 20.3, 0),
         ("plank", 60.9, 0, 90)],
        (-30, 40, 0), ("wedge", 110, -120, 20),
    ),
    (
        "10_round_among_square",
        [("cylinder", 0, 0, 0), ("brick", 35.6, 0, 90), ("brick", -35.6, 0, 90), ("plank", 0, 50.9, 0),
         ("arch", 0, -48.9, 0)],
        (-20, -30, 75), ("cube", 125, 110, 10),
    ),
    (
        "11_wall_of_three",
        [("arch", -35.3, 0, 0), ("arch", 35.3, 0, 0), ("plank", 0, 38.6, 0), ("brick", 0, -33.6, 0)],
        (20, 20, -70), ("half_cylinder", -110, -125, 0),
    ),
]  # fmt: skip


def arrangement(pack: list[Piece], middle: tuple[float, float, float], alone: Piece) -> list[CaseObject]:
    """The objects of a case, in the case's frame."""
    blocks = load_object_set("blocks")
    turn = math.radians(middle[2])
    placed = []
    for name, x, y, degrees in pack:
        px = middle[0] + math.cos(turn) * x - math.sin(turn) * y
        py = middle[1] + math.sin(turn) * x + math.cos(turn) * y
        placed.append((name, px, py, degrees + middle[2]))
    objects = []
    for colour, (name, x, y, degrees) in zip(COLOURS, [*placed, alone], strict=False):
        height = blocks.model(name, np.random.default_rng(0)).extents_m[2]
        place = (MIDDLE_M[0] + 1e-3 * x, MIDDLE_M[1] + 1e-3 * y, 0.5 * height)
        T = transform(place, Rotation.from_euler("z", degrees, degrees=True))
        objects.append(CaseObject(name, (*colour, 1.0), T))
    return objects


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, pack, middle, alone in CASES:
        write_case(FOLDER / f"{name}.txt", arrangement(pack, middle, alone))
    print(f"wrote {len(CASES)} arrangements to {FOLDER.name}/")


if __name__ == "__main__":
    main()
