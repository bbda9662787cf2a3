# SPDX-License-Identifier: Apache-2.0
"""The hard arrangements that ship with the project (F11): two sets of eleven, and eleven of toy blocks alone."""

import itertools

import numpy as np
import pytest

from grasp_core import resources
from grasp_core.actions import Grasp
from grasp_core.geometry import top_down, transform
from grasp_sim.cell import SimCell
from grasp_sim.objects.sets import load_object_set
from grasp_sim.scenes.cases import CASE_MAX, CASE_MIN, read_case
from grasp_sim.scenes.room import Hand, holds, outline, solid_of, straddles

# A symlinked build keeps links to files that are gone.
CASES, BLOCK_CASES, UNSEEN_CASES = (
    sorted(f for f in resources.find("config", f"scenes/{folder}").glob("*.txt") if f.is_file())
    for folder in ("cases", "cases_blocks", "cases_unseen")
)
EVERY = CASES + BLOCK_CASES + UNSEEN_CASES


@pytest.fixture(scope="module")
def cell():
    made = SimCell("ur5", motion="fast", cameras=())
    yield made
    made.close()


def test_there_are_eleven():
    assert len(CASES) == len(BLOCK_CASES) == len(UNSEEN_CASES) == 11
    assert all(4 <= len(read_case(case)) <= 7 for case in CASES + BLOCK_CASES)
    assert all(4 <= len(read_case(case)) <= 8 for case in UNSEEN_CASES)
    tiles = {"slab", "quarter"}
    # Two and more in every pack; the lonely block stands last and is none.
    for case in CASES + UNSEEN_CASES:
        meshes = [entry.mesh for entry in read_case(case)]
        assert sum(mesh in tiles for mesh in meshes[:-1]) >= 2, case.stem
        assert meshes[-1] not in tiles, case.stem
    assert not any(tiles & {entry.mesh for entry in read_case(case)} for case in BLOCK_CASES)


def test_no_unseen_pack_is_of_the_same_blocks_as_another():
    def pack(case):
        return tuple(sorted(entry.mesh for entry in read_case(case)[:-1]))

    known = {pack(case) for case in CASES + BLOCK_CASES}
    unseen = [pack(case) for case in UNSEEN_CASES]
    assert len(set(unseen)) == len(unseen)
    assert not known & set(unseen)


def test_an_arrangement_lies_in_the_work_area_with_space_around_the_lonely_block():
    """The lonely block of an unseen arrangement is no closer to its pack or the edge than those of the others."""
    least = np.min([_space(case) for case in CASES], axis=0)
    assert least.min() > 0.0
    for case in UNSEEN_CASES:
        assert np.all(np.array(_space(case)) >= least), case.stem


def _space(case):
    """Between pack and lonely block, between lonely block and edge, between pack and edge (m, seen from above)."""
    entries = read_case(case)
    rims = [_rim(_model(entry.mesh), entry.T_case_object) for entry in entries]
    packed, alone = np.concatenate(rims[:-1]), rims[-1]
    between = np.linalg.norm(packed[:, None] - alone[None], axis=-1).min()
    low, high = CASE_MIN[:2], CASE_MAX[:2]
    return between, *(np.minimum(points - low, high - points).min() for points in (alone, packed))


def _rim(model, T):
    """Points [n, 2] along the outlines of a block's parts, 2 mm apart or less."""
    points = []
    for part in solid_of(model, T).parts:
        corners = outline(part, 0.001)
        for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            points.append(a + np.linspace(0.0, 1.0, 2 + int(500.0 * np.linalg.norm(b - a)))[:, None] * (b - a))
    return np.concatenate(points)


@pytest.mark.parametrize("case", EVERY, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_arrangement_stands_as_written(cell, case):
    written = [entry.T_case_object[:3, 3] for entry in read_case(case)]
    cell.reset(str(case), 1)
    stood = [cell.world.pose_of(thing)[:3, 3] for thing in cell.world.present()]
    assert len(stood) == len(written)
    for (a, b), (c, d) in zip(itertools.combinations(written, 2), itertools.combinations(stood, 2), strict=True):
        # The whole arrangement is moved by the seed; what its blocks are to each other stays.
        assert np.linalg.norm(c - d) == pytest.approx(np.linalg.norm(a - b), abs=0.001)
    assert stood[0][2] == pytest.approx(written[0][2], abs=0.001)


@pytest.mark.parametrize("case", EVERY, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_hand_finds_room_at_the_lonely_block_alone(cell, case):
    """As it stands after it has settled, not only as it is written."""
    cell.reset(str(case), 2)
    things = cell.world.present()
    found = holds([solid_of(thing.model, cell.world.pose_of(thing)) for thing in things])
    assert {index for hold in found for index in hold.blocks} == {len(things) - 1}
    alone = things[-1]
    T_base_object = cell.world.pose_of(alone)
    # Faces that do not lean by much, close to the centre of mass, the fingertips 3 cm below the top.
    solid = solid_of(alone.model, T_base_object)
    x, y, *_ = T_base_object @ [*alone.model.com_m, 1.0]
    steady = [h for h in holds([solid], Hand(friction=0.45)) if h.tip_m < 0.01]
    hold = min(steady, key=lambda h: np.hypot(h.x_m - x, h.y_m - y) + 0.1 * h.width_m)
    depth = max(solid.top_m - 0.015, 0.012)
    outcome = cell.execute(Grasp(top_down([hold.x_m, hold.y_m, depth], hold.yaw_rad)))
    assert outcome.info["grasped_id"] == alone.id


def test_a_straddling_grasp_slides_off_the_corners_of_a_pack(cell):
    """And turns a block out of one with small blocks at its corners."""
    assert _lifted(cell, [("slab", y) for y in (-84.4, 0.0, 84.4)]) == 0
    assert _lifted(cell, [("brick", y) for y in (-48.4, 0.0, 48.4)]) >= 1


def _lifted(cell, rows, count=8):
    """How many of some straddling grasps at rows of long blocks (name, y in mm) lift something."""
    cell.reset("single", 0)
    world, z = cell.world, cell.config.support_z_m
    models = [_model(name) for name, _ in rows]
    places = [np.array([0.0, 1e-3 * y, 0.5 * model.extents_m[2]]) for (_, y), model in zip(rows, models, strict=True)]
    solids = [solid_of(model, transform(place)) for model, place in zip(models, places, strict=True)]
    tip_m = models[0].extents_m[2] - 0.030
    held = 0
    for drawn in straddles(solids, range(len(rows)), np.random.default_rng(0), count, tip_m):
        world.reset(0)
        for model, place in zip(models, places, strict=True):
            world.add(model, transform(place + np.array([0.5, 0.0, z])))
        outcome = cell.execute(Grasp(top_down([drawn.x_m + 0.5, drawn.y_m, z + tip_m], drawn.yaw_rad)))
        held += outcome.info["grasped_id"] is not None
    return held


def _model(name):
    tiles = load_object_set("tiles")
    return (tiles if name in tiles.names else load_object_set("blocks")).model(name, np.random.default_rng(0))


def test_straddling_fingers_come_down_free_with_what_is_wanted_between_them():
    hand = Hand()
    rows = [("brick", -48.4), ("brick", 0.0), ("cube", 48.4)]
    solids = [solid_of(_model(name), transform((0.0, 1e-3 * y, 0.024))) for name, y in rows]
    boxes = [np.array([part[:, :2].min(axis=0), part[:, :2].max(axis=0)]) for s in solids for part in s.parts]
    drawn = straddles(solids, [2], np.random.default_rng(0), 60)
    assert len(drawn) == 60
    u = np.linspace(-0.5, 0.5, 9)
    for place in drawn:
        c, s = np.cos(place.yaw_rad), np.sin(place.yaw_rad)

        def share(box, along, length, breadth, c=c, s=s, place=place):
            """Of a rectangle in the hand that lies within a box: length along the closing direction."""
            x, y = np.meshgrid(along + length * u, breadth * u)
            points = np.stack([place.x_m + c * x - s * y, place.y_m + s * x + c * y], axis=-1)
            return np.all((points > box[0] + 0.001) & (points < box[1] - 0.001), axis=-1).mean()

        middle = 0.5 * (hand.stroke_m + hand.thickness_m)
        for box in boxes:
            assert share(box, middle, hand.thickness_m, hand.width_m) == 0.0
            assert share(box, -middle, hand.thickness_m, hand.width_m) == 0.0
        assert share(boxes[2], 0.0, hand.stroke_m, hand.width_m) > 0.0
    # A block that lies below the fingertips is not between them.
    assert straddles(solids, [2], np.random.default_rng(0), 5, tip_m=0.1) == []
    far = [*solids, solid_of(_model("plank"), transform((0.4, 0.0, 0.010)))]
    assert straddles(far, [3], np.random.default_rng(0), 5, tip_m=0.025) == []


def test_room_is_told_from_no_room():
    """What the proof above rests on: gaps and openings on both sides of the limit, faces that lean too much."""
    blocks, rng = load_object_set("blocks"), np.random.default_rng(0)
    brick, cube, triangle = (blocks.model(name, rng) for name in ("brick", "cube", "triangle"))

    def standing(model, x_mm, y_mm):
        T = np.eye(4)
        T[:3, 3] = (1e-3 * x_mm, 1e-3 * y_mm, 0.5 * model.extents_m[2])
        return solid_of(model, T)

    def blocks_with_room(solids, **hand):
        return {index for hold in holds(solids, Hand(**hand), angles=8) for index in hold.blocks}

    wall = [standing(brick, 0, y) for y in (-48.5, 0, 48.5)]
    assert blocks_with_room(wall) == set()
    assert blocks_with_room(wall, stroke_m=0.118) == {0, 1, 2}
    assert blocks_with_room(wall[:2]) == {0, 1}
    assert blocks_with_room([*wall[:2], standing(brick, 0, 48.0 + 9.0)]) == {0, 1}
    assert blocks_with_room([*wall[:2], standing(brick, 0, 48.0 + 12.0)]) == {0, 1, 2}
    # Over a low neighbour the fingers reach the upper part of a high one.
    plank = blocks.model("plank", rng)
    low = [standing(plank, 0, -96.5), standing(plank, 0, -48.5), standing(brick, 0, 0), standing(plank, 0, 48.5)]
    assert blocks_with_room(low) == {2}
    found = holds([standing(cube, 0, 0)], angles=8)
    assert min(hold.width_m for hold in found) == pytest.approx(0.048, abs=0.002)
    # At 45 degrees a corner slides out from between the pads, unless both opposite corners are between them.
    slanted = [hold for hold in found if hold.yaw_rad == pytest.approx(np.pi / 4.0)]
    assert slanted
    assert all(hold.width_m > 0.055 and np.hypot(hold.x_m, hold.y_m) < 0.012 for hold in slanted)
    assert not [h for h in holds([standing(triangle, 0, 0)], angles=8) if h.width_m > 0.09 and abs(h.y_m) < 0.005]
