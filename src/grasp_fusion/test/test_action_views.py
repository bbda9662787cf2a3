# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from grasp_core.cell_config import BoxRegion
from grasp_core.config import ConfigError
from grasp_core.geometry import NotRigidError, difference, invert, rotation_of, transform
from grasp_fusion.action_views import ActionViewConfig, action_views, median_depth

T_TCP_CAMERA = transform((0.0, -0.08, -0.25), Rotation.from_euler("x", 0.2))
poses = st.builds(
    lambda t, q: transform(t, Rotation.from_quat(q)),
    arrays(float, 3, elements=st.floats(-1, 1)),
    arrays(float, 4, elements=st.floats(-1, 1)).filter(lambda q: np.linalg.norm(q) > 0.1),
)


@pytest.mark.parametrize(
    ("depth_m", "step_m", "turn_deg"),
    [(0.1, 0.015, 10.0), (0.3, 0.0325, 20.0), (0.5, 0.05, 30.0), (0.02, 0.015, 10.0), (2.0, 0.05, 30.0)],
)
def test_the_papers_step_sizes(depth_m, step_m, turn_deg):
    found_m, found_rad = ActionViewConfig().step(depth_m)
    assert found_m == pytest.approx(step_m)
    assert np.degrees(found_rad) == pytest.approx(turn_deg)


def test_thirty_five_candidates_of_the_paper():
    views = action_views(np.eye(4), np.eye(4), 0.3)
    assert len(views) == len(views.T_tcp_goals) == 35
    assert views.valid.all()
    d, a = 0.0325, np.radians(20.0)
    translations = {(d, 0, 0.01), (-d, 0, 0.01), (0, d, 0.01), (0, -d, 0.01), (0, 0, d + 0.01)}
    vectors = {(0, 0, 0), (a, 0, 0), (-a, 0, 0), (0, a, 0), (0, -a, 0), (0, 0, a), (0, 0, -a)}
    wanted = {(t, tuple(np.round(v, 9))) for t in translations for v in vectors}
    found = {
        (tuple(np.round(T[:3, 3], 9)), tuple(np.round(rotation_of(T).as_rotvec(), 9) + 0.0)) for T in views.T_tcp_goals
    }
    assert {(tuple(np.round(t, 9)), v) for t, v in wanted} == found


def test_four_degrees_of_freedom_turn_about_the_approach_only():
    views = action_views(np.eye(4), np.eye(4), 0.5, ActionViewConfig(dof=4))
    assert len(views) == 15
    np.testing.assert_allclose(views.T_base_tcps[:, 2, 2], 1.0)


def test_without_adaptive_steps_they_are_the_largest():
    assert ActionViewConfig(adaptive_step=False).step(0.1)[0] == 0.05


@settings(deadline=None)
@given(T_base_tcp=poses, depth_m=st.floats(0.0, 1.0))
def test_cameras_move_with_the_tool(T_base_tcp, depth_m):
    views = action_views(T_base_tcp, T_TCP_CAMERA, depth_m)
    for T_goal, T_tcp, T_camera in zip(views.T_tcp_goals, views.T_base_tcps, views.T_base_cameras, strict=True):
        np.testing.assert_allclose(invert(T_base_tcp) @ T_tcp, T_goal, atol=1e-9)
        np.testing.assert_allclose(invert(T_tcp) @ T_camera, T_TCP_CAMERA, atol=1e-9)
        moved_m, turned_rad = difference(T_base_tcp, T_tcp)
        assert moved_m <= views.step_m + 0.01 + 1e-9
        assert turned_rad <= views.turn_rad + 1e-6


def test_candidates_outside_the_workspace_or_in_collision_are_masked():
    region = BoxRegion(min_m=(-1, -1, -1), max_m=(0.02, 1, 1))
    asked = []

    def collides(T_base_tcp: np.ndarray) -> bool:
        asked.append(T_base_tcp)
        return bool(T_base_tcp[2, 3] > 0.02)

    views = action_views(np.eye(4), np.eye(4), 0.3, workspace=region, collides=collides)
    outside = views.T_base_tcps[:, 0, 3] > 0.02
    colliding = views.T_base_tcps[:, 2, 3] > 0.02
    assert outside.sum() == colliding.sum() == 7
    np.testing.assert_array_equal(views.valid, ~outside & ~colliding)
    assert len(asked) == 28, "what is outside needs no collision check"


def test_all_may_be_invalid():
    far = BoxRegion(min_m=(5, 5, 5), max_m=(6, 6, 6))
    assert not action_views(np.eye(4), np.eye(4), 0.3, workspace=far).valid.any()


def test_median_depth_ignores_what_is_invalid():
    assert median_depth(np.array([[0.2, np.nan], [0.4, 0.3]], np.float32)) == pytest.approx(0.3)
    assert median_depth(np.full((2, 2), np.nan, np.float32)) is None
    careful = action_views(np.eye(4), np.eye(4), None)
    assert careful.step_m == 0.015


def test_bad_input_is_refused():
    with pytest.raises(NotRigidError, match="T_tcp_camera"):
        action_views(np.eye(4), 2 * np.eye(4), 0.3)
    with pytest.raises(ConfigError, match="must be less than far_depth_m"):
        ActionViewConfig.from_mapping({"near_depth_m": 0.6})
    with pytest.raises(ConfigError, match="dof"):
        ActionViewConfig.from_mapping({"dof": 5})
