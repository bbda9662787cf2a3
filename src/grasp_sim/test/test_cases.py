# SPDX-License-Identifier: Apache-2.0
"""The eleven hard arrangements that ship with the project (F11)."""

import itertools

import numpy as np
import pytest

from grasp_core import resources
from grasp_core.actions import Grasp
from grasp_core.geometry import top_down
from grasp_sim.cell import SimCell
from grasp_sim.scenes.cases import read_case

CASES = sorted(resources.find("config", "scenes/cases").glob("*.txt"))
# The RG2's stroke, and what a finger needs beside an object (m).
STROKE_M, FINGER_M = 0.110, 0.012


@pytest.fixture(scope="module")
def cell():
    made = SimCell("ur5", motion="fast", cameras=())
    yield made
    made.close()


def test_there_are_eleven():
    assert len(CASES) == 11
    assert all(3 <= len(read_case(case)) <= 6 for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_an_arrangement_stands_as_written(cell, case):
    written = [entry.T_case_object[:2, 3] for entry in read_case(case)]
    cell.reset(str(case), 1)
    stood = [cell.world.pose_of(thing) for thing in cell.world.present()]
    assert len(stood) == len(written)
    for (a, b), (T_a, T_b) in zip(itertools.combinations(written, 2), itertools.combinations(stood, 2), strict=True):
        # The whole arrangement is moved by the seed; what its blocks are to each other stays.
        assert np.linalg.norm(T_a[:2, 3] - T_b[:2, 3]) == pytest.approx(np.linalg.norm(a - b), abs=0.005)
    assert all(T[2, 2] > 0.99 for T in stood)


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_packed_blocks_leave_no_room_and_the_lonely_one_can_be_grasped(cell, case):
    cell.reset(str(case), 2)
    *packed, alone = cell.world.present()
    crowded = sum(not _has_room(cell, thing) for thing in packed)
    assert crowded >= 0.5 * len(packed)
    assert _has_room(cell, alone)
    T_base_object = cell.world.pose_of(alone)
    across = int(np.argmin(alone.model.extents_m[:2]))
    yaw = float(np.arctan2(T_base_object[1, across], T_base_object[0, across]))
    outcome = cell.execute(Grasp(top_down([*T_base_object[:2, 3], 0.012], yaw)))
    assert outcome.info["grasped_id"] == alone.id


def _has_room(cell, thing) -> bool:
    """Whether fingers fit at two opposite sides along one of the object's axes, and the hand opens wide enough."""
    T = cell.world.pose_of(thing)
    for axis in (0, 1):
        width = thing.model.extents_m[axis]
        places = [
            T[:3, 3] + sign * (0.5 * width + FINGER_M) * T[:3, axis] + [0.0, 0.0, -0.3 * thing.model.extents_m[2]]
            for sign in (-1, 1)
        ]
        if width + 2 * FINGER_M < STROKE_M and not any(_occupied(cell, place, thing) for place in places):
            return True
    return False


def _occupied(cell, place, thing) -> bool:
    above = [place[0], place[1], 0.2]
    hit = cell.world.api.rayTest(above, place.tolist())[0]
    bodies = {other.body for other in cell.world.present()} - {thing.body}
    return hit[0] in bodies
