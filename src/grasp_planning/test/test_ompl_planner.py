# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from grasp_core.geometry import top_down, transform
from grasp_core.planning import Box, MotionPlanner, PlanOptions, PlanStatus
from grasp_core.ports import JointTrajectory
from grasp_planning import OmplPlanner, PlanSettings
from grasp_planning.fakes import GantryModel, at

OPTIONS = PlanOptions(speed_scale=0.5, timeout_s=5.0)
# Taller than the gantry goes and wider than its range but for a gap of 0.4 m beyond y = 0.6.
WALL = Box("wall", transform((0.0, -0.2, 0.5)), (0.1, 1.6, 1.2))
# No gap at all.
CLOSED = Box("wall", transform((0.0, 0.0, 0.5)), (0.1, 3.0, 3.0))
LEFT, RIGHT = at(-0.5, 0.0, 0.3), top_down((0.5, 0.0, 0.3))


@pytest.fixture
def planner() -> OmplPlanner:
    return OmplPlanner(GantryModel())


def assert_clear(trajectory: JointTrajectory, box: Box) -> None:
    """The ball around the tool is at least its radius from the box, also between points; computed here anew."""
    t = np.linspace(0.0, trajectory.duration_s, 5000)
    tool = np.stack([np.interp(t, trajectory.times_s, trajectory.positions[:, i]) for i in range(3)], axis=1)
    beyond = np.maximum(np.abs(tool - box.T_base_box[:3, 3]) - 0.5 * np.array(box.size_m), 0.0)
    assert np.linalg.norm(beyond, axis=1).min() > GantryModel.radius_m - 1e-4


def test_it_is_a_motion_planner(planner: OmplPlanner) -> None:
    assert isinstance(planner, MotionPlanner)


def test_it_goes_round_a_wall(planner: OmplPlanner) -> None:
    planner.set_obstacles((WALL,))
    result = planner.plan_to_pose(None, LEFT, RIGHT, OPTIONS)
    assert result.status is PlanStatus.SUCCEEDED, result.message
    assert result.trajectory is not None
    np.testing.assert_allclose(result.trajectory.positions[[0, -1], :3], [[-0.5, 0, 0.3], [0.5, 0, 0.3]], atol=1e-6)
    assert_clear(result.trajectory, WALL)
    assert result.trajectory.positions[:, 1].max() > 0.6
    assert {"ik", "search", "shortcut", "rounding", "time_parameterisation", "check"} == set(result.stages_ms)


def test_equal_requests_give_equal_paths_and_other_seeds_others(planner: OmplPlanner) -> None:
    planner.set_obstacles((WALL,))
    first = planner.plan_to_pose(None, LEFT, RIGHT, OPTIONS).trajectory
    again = planner.plan_to_pose(None, LEFT, RIGHT, OPTIONS).trajectory
    other = OmplPlanner(planner.model, PlanSettings(seed=2)).plan_to_pose(None, LEFT, RIGHT, OPTIONS).trajectory
    assert first is not None
    assert again is not None
    assert other is not None
    np.testing.assert_array_equal(first.positions, again.positions)
    assert first.positions.shape != other.positions.shape or np.abs(first.positions - other.positions).max() > 1e-6


def test_a_free_way_is_straight_and_needs_no_search(planner: OmplPlanner) -> None:
    result = planner.plan_to_joints(None, LEFT, {"x": 0.5}, OPTIONS)
    assert result.trajectory is not None
    assert "shortcut" not in result.stages_ms
    assert np.ptp(result.trajectory.positions[:, 1:], axis=0).max() < 1e-9


def test_ignoring_the_environment_or_allowing_the_contact_goes_straight_through(planner: OmplPlanner) -> None:
    planner.set_obstacles((WALL,))
    for options in (
        PlanOptions(check_environment=False),
        PlanOptions(allowed_contacts=frozenset({"wall"})),
    ):
        result = planner.plan_to_joints(None, LEFT, {"x": 0.5}, options)
        assert result.trajectory is not None
        assert np.ptp(result.trajectory.positions[:, 1]) < 1e-9


def test_start_and_goal_in_collision_are_refused_with_what_touches(planner: OmplPlanner) -> None:
    planner.set_obstacles((WALL,))
    start = planner.plan_to_joints(None, at(0.0, 0.0, 0.3), {"x": 0.5}, OPTIONS)
    assert start.status is PlanStatus.START_IN_COLLISION
    assert start.contacts == (("wall", "tool"),)
    assert "wall touches tool" in start.message
    for goal in (
        planner.plan_to_joints(None, LEFT, {"x": 0.0}, OPTIONS),
        planner.plan_to_pose(None, LEFT, top_down((0.0, 0.0, 0.3)), OPTIONS),
    ):
        assert goal.status is PlanStatus.GOAL_IN_COLLISION
        assert goal.contacts == (("wall", "tool"),)


def test_what_cannot_be_passed_times_out_and_names_the_obstacle(planner: OmplPlanner) -> None:
    planner.set_obstacles((CLOSED,))
    result = planner.plan_to_pose(None, LEFT, RIGHT, PlanOptions(timeout_s=0.3))
    assert result.status is PlanStatus.TIMED_OUT
    assert result.contacts == (("wall", "tool"),)
    assert "0.3 s" in result.message
    assert "wall touches tool" in result.message


def test_a_line_into_an_obstacle_ends_there(planner: OmplPlanner) -> None:
    planner.set_obstacles((WALL,))
    result = planner.plan_line(None, LEFT, RIGHT, OPTIONS)
    assert result.status is PlanStatus.LINE_INCOMPLETE
    assert result.contacts == (("wall", "tool"),)
    # The ball touches the wall after 0.4 m of 1 m.
    assert "after 40 %" in result.message or "after 39 %" in result.message


def test_unknown_ompl_planners_are_refused() -> None:
    with pytest.raises(ValueError, match="RRTConnect"):
        OmplPlanner(GantryModel(), planner="Magic")


@pytest.mark.parametrize("name", ["RRT", "KPIECE1", "BKPIECE1", "LBKPIECE1", "PRM"])
def test_every_offered_ompl_planner_finds_the_gap(name: str) -> None:
    model = GantryModel()
    model.set_obstacles((Box("wall", transform((0.0, -0.4, 0.5)), (0.1, 1.0, 1.2)),))
    result = OmplPlanner(model, PlanSettings(range=0.3), planner=name).plan_to_pose(None, LEFT, RIGHT, OPTIONS)
    assert result.status is PlanStatus.SUCCEEDED, result.message
