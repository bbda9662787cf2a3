# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from grasp_core.geometry import top_down, transform
from grasp_core.planning import Box, MotionPlanner, PlanOptions, PlanStatus
from grasp_core.ports import JointState
from grasp_planning import StraightLinePlanner
from grasp_planning.fakes import GANTRY_JOINTS, GantryModel, at

OPTIONS = PlanOptions(speed_scale=0.5)
WALL = Box("wall", transform((0.0, 0.0, 0.25)), (0.1, 1.0, 0.5))


@pytest.fixture
def planner() -> StraightLinePlanner:
    return StraightLinePlanner(GantryModel())


def test_it_is_a_motion_planner(planner: StraightLinePlanner) -> None:
    assert isinstance(planner, MotionPlanner)


def test_it_goes_straight_to_a_pose_through_obstacles_that_it_does_not_see(planner: StraightLinePlanner) -> None:
    planner.set_obstacles((WALL,))
    result = planner.plan_to_pose(None, at(-0.5, 0.0, 0.2), top_down((0.5, 0.1, 0.3), 0.4), OPTIONS)
    assert result.status is PlanStatus.SUCCEEDED
    assert result.trajectory is not None
    assert result.trajectory.names == GANTRY_JOINTS
    np.testing.assert_allclose(result.trajectory.positions[-1], [0.5, 0.1, 0.3, 0.4], atol=1e-9)
    assert set(result.stages_ms) == {"ik", "rounding", "check", "time_parameterisation"}


def test_joints_that_are_not_named_stay(planner: StraightLinePlanner) -> None:
    result = planner.plan_to_joints("arm", at(0.1, 0.2, 0.3, 0.4), {"z": 0.6}, OPTIONS)
    assert result.trajectory is not None
    np.testing.assert_allclose(result.trajectory.positions[-1], [0.1, 0.2, 0.6, 0.4], atol=1e-12)


def test_a_line_is_straight_and_ends_at_the_pose(planner: StraightLinePlanner) -> None:
    result = planner.plan_line(None, at(0.0, 0.0, 0.5), top_down((0.3, -0.2, 0.1), 1.0), OPTIONS)
    assert result.trajectory is not None
    q = result.trajectory.positions
    share = q[:, 0] / 0.3
    np.testing.assert_allclose(q, share[:, None] * np.array([0.3, -0.2, -0.4, 1.0]) + [0.0, 0.0, 0.5, 0.0], atol=1e-6)


def test_being_there_already_is_a_rest(planner: StraightLinePlanner) -> None:
    here = at(0.1, 0.2, 0.3, 0.4)
    for result in (
        planner.plan_to_joints(None, here, {}, OPTIONS),
        planner.plan_to_pose(None, here, top_down((0.1, 0.2, 0.3), 0.4), OPTIONS),
        planner.plan_line(None, here, top_down((0.1, 0.2, 0.3), 0.4), OPTIONS),
    ):
        assert result.trajectory is not None
        assert np.ptp(result.trajectory.positions, axis=0).max() < 1e-9


def test_a_line_that_leaves_the_range_is_refused_with_joint_and_share(planner: StraightLinePlanner) -> None:
    result = planner.plan_line(None, at(0.0, 0.0, 0.5), top_down((2.0, 0.0, 0.5)), OPTIONS)
    assert result.status is PlanStatus.LINE_INCOMPLETE
    assert "50 % (1000 mm)" in result.message
    assert "joint limit of x" in result.message


def test_half_a_turn_on_a_line_is_refused(planner: StraightLinePlanner) -> None:
    result = planner.plan_line(None, at(0.0, 0.0, 0.5), top_down((0.1, 0.0, 0.5), np.pi), OPTIONS)
    assert result.status is PlanStatus.INVALID_REQUEST
    assert "half a turn" in result.message


BAD_POSE = np.full((4, 4), np.nan)
MIRROR = np.diag([1.0, 1.0, -1.0, 1.0])


@pytest.mark.parametrize(
    ("ask", "status", "word"),
    [
        (lambda p: p.plan_to_pose(None, at(0, 0, 0.5), BAD_POSE, OPTIONS), PlanStatus.INVALID_REQUEST, "NaN"),
        (lambda p: p.plan_line(None, at(0, 0, 0.5), MIRROR, OPTIONS), PlanStatus.INVALID_REQUEST, "reflection"),
        (lambda p: p.plan_line(None, at(0, 0, 0.5), np.eye(3), OPTIONS), PlanStatus.INVALID_REQUEST, "[4, 4]"),
        (lambda p: p.plan_to_joints("leg", at(0, 0, 0.5), {}, OPTIONS), PlanStatus.INVALID_REQUEST, "no arm 'leg'"),
        (lambda p: p.plan_to_joints(None, at(0, 0, 0.5), {"w": 1}, OPTIONS), PlanStatus.INVALID_REQUEST, "no joint w"),
        (lambda p: p.plan_to_joints(None, at(0, 0, 0.5), {"x": np.nan}, OPTIONS), PlanStatus.INVALID_REQUEST, "finite"),
        (lambda p: p.plan_to_joints(None, at(0, 0, 0.5), {"x": 1.5}, OPTIONS), PlanStatus.UNREACHABLE, "x at 1.5"),
        (lambda p: p.plan_to_joints(None, at(0, 0, -0.5), {}, OPTIONS), PlanStatus.INVALID_REQUEST, "z at -0.5"),
        (lambda p: p.plan_to_joints(None, at(np.inf, 0, 0.5), {}, OPTIONS), PlanStatus.INVALID_REQUEST, "x is not"),
        (
            lambda p: p.plan_to_joints(None, JointState.at_rest({"x": 0.0, "y": 0.0}), {}, OPTIONS),
            PlanStatus.INVALID_REQUEST,
            "lacks z, yaw",
        ),
        (
            lambda p: p.plan_to_pose(None, at(0, 0, 0.5), top_down((3.0, 0, 0.5)), OPTIONS),
            PlanStatus.UNREACHABLE,
            "no joint positions",
        ),
    ],
)
def test_bad_requests_are_refused_in_words(planner: StraightLinePlanner, ask, status: PlanStatus, word: str) -> None:
    result = ask(planner)
    assert result.status is status
    assert word in result.message
    assert result.trajectory is None


def test_two_obstacles_of_one_name_are_refused(planner: StraightLinePlanner) -> None:
    with pytest.raises(ValueError, match="share a name"):
        planner.set_obstacles((WALL, WALL))
