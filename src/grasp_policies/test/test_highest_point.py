# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_core.actions import Grasp, Stop
from grasp_core.camera import CameraFrame, Intrinsics
from grasp_core.config import ConfigError
from grasp_core.geometry import look_at
from grasp_core.observation import Observation
from grasp_core.policy import Goal, Policy
from grasp_policies.highest_point import FACTORY, HighestPointConfig, patches

HEIGHT_M = 1.2


def picture(*boxes):
    """What a camera straight above the table sees of boxes (x, y, length, breadth, height, yaw)."""
    camera = Intrinsics.from_fov(640, 480, 0.6)
    T = look_at((0.5, 0.0, HEIGHT_M), (0.5, 0.0, 0.0), (1.0, 0.0, 0.0))
    depth = np.full((480, 640), HEIGHT_M, np.float32)
    for x, y, length, breadth, height, yaw in boxes:
        seen = camera.deproject(np.full_like(depth, HEIGHT_M - height)) @ T[:3, :3].T + T[:3, 3]
        dx, dy = seen[..., 0] - x, seen[..., 1] - y
        along, across = dx * np.cos(yaw) + dy * np.sin(yaw), dy * np.cos(yaw) - dx * np.sin(yaw)
        inside = (np.abs(along) <= 0.5 * length) & (np.abs(across) <= 0.5 * breadth)
        depth[inside & (depth > HEIGHT_M - height)] = HEIGHT_M - height
    return Observation({"fixed_camera": CameraFrame(camera, T, 1, None, depth)}, {}, {}, 1)


def policy(**options):
    made = FACTORY.load(None, "cpu", options)
    made.reset(Goal(), 0)
    return made


def test_it_is_a_policy_and_says_what_it_needs():
    assert isinstance(policy(), Policy)
    assert FACTORY.spec.cameras[0].depth


def test_an_empty_table_ends_the_episode():
    assert isinstance(policy().act(picture()).action, Stop)


@settings(max_examples=25, deadline=None)
@given(
    x=st.floats(0.36, 0.64),
    y=st.floats(-0.15, 0.15),
    breadth=st.floats(0.02, 0.05),
    height=st.floats(0.02, 0.08),
    yaw=st.floats(-1.5, 1.5),
)
def test_one_bar_is_grasped_in_its_middle_across_its_thinner_side(x, y, breadth, height, yaw):
    decision = policy().act(picture((x, y, 2.2 * breadth, breadth, height, yaw)))
    assert isinstance(decision.action, Grasp)
    T = decision.action.T_base_tcp
    assert np.allclose(T[:2, 3], (x, y), atol=0.008)
    assert T[2, 2] == pytest.approx(-1.0)
    across = np.array([-np.sin(yaw), np.cos(yaw)])
    assert abs(T[:2, 0] @ across) > np.cos(np.pi / 12)
    assert 0.005 < T[2, 3] < height + 0.02
    assert breadth < decision.action.width_m <= 0.11
    assert decision.value > 0.5


def test_the_higher_of_two_comes_first_and_the_other_is_a_candidate():
    decision = policy().act(picture((0.4, 0.1, 0.04, 0.03, 0.03, 0.0), (0.6, -0.1, 0.04, 0.03, 0.07, 0.0)))
    assert np.allclose(decision.action.T_base_tcp[:2, 3], (0.6, -0.1), atol=0.01)
    (other,) = decision.candidates
    assert np.allclose(other.action.T_base_tcp[:2, 3], (0.4, 0.1), atol=0.01)
    assert other.value < decision.value


def test_it_closes_where_the_fingers_have_room():
    # A bar between two walls that leave no room across it: the fingers close along it.
    walls = [(0.5, 0.028 * s, 0.2, 0.02, 0.05, 0.0) for s in (-1.0, 1.0)]
    decision = policy().act(picture((0.5, 0.0, 0.07, 0.03, 0.07, 0.0), *walls))
    assert abs(decision.action.T_base_tcp[0, 0]) > 0.9


def test_what_failed_is_tried_otherwise_and_then_gives_way_to_another_place():
    seen = picture((0.4, 0.1, 0.06, 0.03, 0.05, 0.0), (0.6, -0.1, 0.06, 0.03, 0.06, 0.0))
    tried = policy()
    places = [tried.act(seen).action.T_base_tcp[:2, 3] for _ in range(4)]
    assert np.hypot(*(places[0] - (0.6, -0.1))) < 0.01
    assert any(np.hypot(*(place - (0.4, 0.1))) < 0.02 for place in places[1:])


def test_equal_seeds_decide_alike():
    seen = picture((0.5, 0.0, 0.06, 0.03, 0.05, 0.3))
    runs = []
    for _ in range(2):
        made = policy()
        runs.append([made.act(seen).action.T_base_tcp for _ in range(3)])
    assert np.array_equal(runs[0], runs[1])


def test_the_arm_above_the_table_is_not_an_object():
    assert isinstance(policy().act(picture((0.5, 0.0, 0.1, 0.1, 0.22, 0.0))).action, Stop)


def test_patches_are_told_highest_first_and_do_not_overlap():
    rng = np.random.default_rng(0)
    heights = np.zeros((100, 100), np.float32)
    for row, column in rng.integers(5, 90, (6, 2)):
        heights[row : row + 8, column : column + 8] = rng.uniform(0.02, 0.08)
    found = patches(heights, HighestPointConfig())
    assert len(found) >= 3
    assert [p.top_m for p in found] == sorted((p.top_m for p in found), reverse=True)
    assert np.sum([p.mask for p in found], axis=0).max() == 1


def test_options_that_make_no_sense_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="there is no setting 'speed'"):
        policy(speed=1.0)
    with pytest.raises(ValueError, match="no checkpoint"):
        FACTORY.load(tmp_path, "cpu", {})
