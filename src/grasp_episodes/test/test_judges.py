# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from grasp_core.actions import Grasp, Push
from grasp_core.camera import CameraFrame, Intrinsics
from grasp_core.cell import Outcome, Reason
from grasp_core.cell_config import BoxRegion
from grasp_core.geometry import look_at, top_down
from grasp_core.observation import Observation
from grasp_core.ports import StateError
from grasp_episodes.judges import GripperJudge, ImageJudge, ImageJudgeConfig, Truth, TruthJudge

WORKSPACE = BoxRegion(min_m=(0.3, -0.2, 0.0), max_m=(0.7, 0.2, 0.3))
GRASP = Grasp(top_down((0.5, 0.0, 0.02)))
PUSH = Push(np.array([0.5, 0.0, 0.02]), np.array([1.0, 0.0, 0.0]))


def seen(*boxes):
    """Boxes (x, y, edge, height) seen from straight above."""
    camera = Intrinsics.from_fov(320, 240, 0.7)
    T = look_at((0.5, 0.0, 1.0), (0.5, 0.0, 0.0), (1.0, 0.0, 0.0))
    depth = np.ones((240, 320), np.float32)
    points = camera.deproject(depth) @ T[:3, :3].T + T[:3, 3]
    for x, y, edge, height in boxes:
        inside = (np.abs(points[..., 0] - x) < 0.5 * edge) & (np.abs(points[..., 1] - y) < 0.5 * edge)
        depth[inside] = 1.0 - height
    return Observation({"top": CameraFrame(camera, T, 1, None, depth)}, {}, {}, 1)


def outcome(action, observation, success=None, commanded=True):
    return Outcome(action, action if commanded else None, success, Reason.HELD, observation)


def image_judge():
    return ImageJudge(ImageJudgeConfig(camera="top"), WORKSPACE, 0.0)


def test_the_picture_sees_an_object_go():
    judge = image_judge()
    judge.before(seen((0.4, 0.1, 0.04, 0.04), (0.6, -0.1, 0.04, 0.04)))
    found = judge.after(outcome(GRASP, seen((0.6, -0.1, 0.04, 0.04)), success=False))
    assert (found.success, found.changed, found.objects_left, found.by) == (True, True, None, "image")


def test_the_picture_sees_that_an_object_was_only_moved_and_that_the_last_one_is_gone():
    judge = image_judge()
    judge.before(seen((0.4, 0.1, 0.04, 0.04)))
    found = judge.after(outcome(GRASP, seen((0.5, 0.1, 0.04, 0.04)), success=True))
    assert (found.success, found.changed) == (False, True)
    judge.before(seen((0.5, 0.1, 0.04, 0.04)))
    assert judge.after(outcome(GRASP, seen())).objects_left == 0


def test_an_equal_picture_is_no_change_and_a_push_keeps_its_own_success():
    judge = image_judge()
    scene = seen((0.4, 0.1, 0.04, 0.04))
    judge.before(scene)
    found = judge.after(outcome(PUSH, scene, success=True))
    assert (found.success, found.changed) == (True, False)


def test_without_a_picture_nothing_is_judged():
    judge = image_judge()
    with pytest.raises(StateError, match="no picture of camera top"):
        judge.before(Observation({}, {}, {}, 1))
    with pytest.raises(StateError, match="before the action"):
        judge.after(outcome(GRASP, seen()))


def truths(*looks):
    return iter([Truth({k: np.array(p) for k, p in positions.items()}, frozenset(held)) for positions, held in looks])


@pytest.mark.parametrize(
    ("after", "held", "success", "changed", "left"),
    [
        ({0: (0.0, 0.5, 0.0), 1: (0.6, 0.0, 0.0)}, {0}, True, True, 1),
        ({1: (0.6, 0.0, 0.0)}, {0}, True, True, 1),
        ({0: (0.0, 0.5, 0.0), 1: (0.6, 0.0, 0.0)}, set(), False, True, 1),
        ({0: (0.5, 0.0, 0.0), 1: (0.6, 0.0, 0.0)}, {0}, False, False, 2),
        ({0: (0.5, 0.05, 0.0), 1: (0.6, 0.0, 0.0)}, set(), False, True, 2),
    ],
    ids=["dropped outside", "taken out", "pushed out", "slipped back", "moved"],
)
def test_the_truth_counts_what_was_held_and_is_gone(after, held, success, changed, left):
    looks = truths(({0: (0.5, 0.0, 0.0), 1: (0.6, 0.0, 0.0)}, set()), (after, held))
    judge = TruthJudge(lambda: next(looks), WORKSPACE)
    judge.before(seen())
    found = judge.after(outcome(GRASP, seen(), success=not success))
    assert (found.success, found.changed, found.objects_left) == (success, changed, left)


def test_a_refused_grasp_is_no_success_even_when_something_rolled_away():
    looks = truths(({0: (0.5, 0.0, 0.0)}, set()), ({}, {0}))
    judge = TruthJudge(lambda: next(looks), WORKSPACE)
    judge.before(seen())
    assert judge.after(outcome(GRASP, seen(), success=False, commanded=False)).success is False


def test_the_gripper_is_believed_and_knows_nothing_of_pushes():
    judge = GripperJudge()
    assert judge.after(outcome(GRASP, seen(), success=True)).changed is True
    assert judge.after(outcome(PUSH, seen(), success=True)).changed is None
    assert judge.objects_left() is None
