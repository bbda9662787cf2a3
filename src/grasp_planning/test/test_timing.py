# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruckig import InputParameter, Ruckig, RuckigError, Trajectory

from grasp_core.ports import JointTrajectory
from grasp_planning.paths import distinct, rounded_paths, sample, spline_path
from grasp_planning.timing import TOLERANCE, MotionLimits, rest, time_paths

NAMES = tuple("abcdef")
LIMITS = MotionLimits(np.full(6, 3.1), np.array([7.0] * 3 + [10.0] * 3), np.array([70.0] * 3 + [100.0] * 3))
MIXED = MotionLimits(
    np.array([0.1, 0.5, 2.0, 3.0, 1.0, 1.5]),
    np.array([0.3, 0.8, 9.0, 20.0, 2.0, 1.0]),
    np.array([2.0, 9.0, 60.0, 90.0, 30.0, 4.0]),
)


def assert_within(trajectory: JointTrajectory, limits: MotionLimits) -> None:
    """Finite differences, which know nothing of how the trajectory was made, and the values it tells."""
    t = trajectory.times_s
    assert trajectory.velocities is not None
    assert trajectory.accelerations is not None
    room = 1.0 + TOLERANCE
    steps = np.diff(t)[:, None]
    assert (np.abs(trajectory.velocities) <= room * limits.velocity).all()
    assert (np.abs(np.diff(trajectory.positions, axis=0)) / steps <= room * limits.velocity).all()
    assert (np.abs(trajectory.accelerations) <= room * limits.acceleration).all()
    assert (np.abs(np.diff(trajectory.velocities, axis=0)) / steps <= room * limits.acceleration).all()
    assert (np.abs(np.diff(trajectory.accelerations, axis=0)) / steps <= room * limits.jerk).all()
    for ends in (trajectory.velocities[[0, -1]], trajectory.accelerations[[0, -1]]):
        assert np.abs(ends).max() < 1e-9


def assert_consistent(trajectory: JointTrajectory) -> None:
    """Positions are the integral of velocities, these of accelerations (Simpson's and the trapezoidal rule)."""
    h = np.diff(trajectory.times_s)[:, None]
    v, a, q = trajectory.velocities, trajectory.accelerations, trajectory.positions
    assert v is not None
    assert a is not None
    hermite = 0.5 * h * (v[1:] + v[:-1]) - h**2 / 12.0 * (a[1:] - a[:-1])
    assert np.abs(np.diff(q, axis=0) - hermite).max() < 2e-4


def off_polyline(points: np.ndarray, waypoints: np.ndarray) -> float:
    """Largest distance of points [k, n] from the segments between waypoints [m, n]."""
    best = np.full(len(points), np.inf)
    for a, b in pairwise(waypoints):
        share = np.clip((points - a) @ (b - a) / ((b - a) @ (b - a)), 0.0, 1.0)
        best = np.minimum(best, np.linalg.norm(points - (a + share[:, None] * (b - a)), axis=1))
    return float(best.max())


joint_values = st.floats(-3.0, 3.0, allow_nan=False).map(lambda x: round(x, 3))
waypoint_lists = st.lists(st.lists(joint_values, min_size=6, max_size=6), min_size=2, max_size=6)


@settings(max_examples=60, deadline=None)
@given(
    rows=waypoint_lists,
    share=st.sampled_from([1.0, 0.25, 0.03]),
    mixed=st.booleans(),
    blend=st.sampled_from([0.02, 0.5, 1e9]),
)
def test_limits_hold_for_any_waypoints(rows: list[list[float]], share: float, mixed: bool, blend: float) -> None:
    limits = (MIXED if mixed else LIMITS).scaled(share)
    waypoints = distinct(np.array(rows), limits.velocity)
    if len(waypoints) < 2:
        return
    paths = rounded_paths(waypoints, limits.velocity, lambda _: True, max_blend=blend)
    trajectory = time_paths(NAMES, paths, limits)
    assert_within(trajectory, limits)
    assert_consistent(trajectory)
    np.testing.assert_allclose(trajectory.positions[[0, -1]], waypoints[[0, -1]], atol=1e-9)


@pytest.mark.parametrize("distance", [1e-4, 0.01, 0.3, 3.0])
def test_a_straight_path_takes_no_longer_than_the_fastest_motion(distance: float) -> None:
    goal = distance * np.array([1.0, -0.5, 0.2, 0.9, 0.0, -1.0])
    trajectory = time_paths(
        NAMES, rounded_paths(np.stack([np.zeros(6), goal]), LIMITS.velocity, lambda _: True), LIMITS
    )
    request, fastest = InputParameter(6), Trajectory(6)
    request.target_position = goal.tolist()
    request.max_velocity, request.max_acceleration = LIMITS.velocity.tolist(), LIMITS.acceleration.tolist()
    request.max_jerk = LIMITS.jerk.tolist()
    Ruckig(6).calculate(request, fastest)
    assert trajectory.duration_s == pytest.approx(fastest.duration, rel=1e-3)
    assert_within(trajectory, LIMITS)


def test_a_straight_path_on_which_ruckig_fails_is_timed_all_the_same() -> None:
    goal = np.array([[0.0] * 6, [0.2, 0.0, 0.0, 0.0, 0.0, 0.0]])
    limits = MotionLimits(np.full(6, 3.1), np.full(6, 10.0), np.full(6, 100.0))
    with pytest.raises(RuckigError):
        _ruckig(0.2 / 3.1, 1.0, 10.0 / 3.1, 100.0 / 3.1)
    trajectory = time_paths(NAMES, rounded_paths(goal, limits.velocity, lambda _: True), limits)
    assert_within(trajectory, limits)


def _ruckig(distance: float, velocity: float, acceleration: float, jerk: float) -> float:
    request, fastest = InputParameter(1), Trajectory(1)
    request.target_position = [distance]
    request.max_velocity, request.max_acceleration, request.max_jerk = [velocity], [acceleration], [jerk]
    Ruckig(1).calculate(request, fastest)
    return float(fastest.duration)


def test_rounding_corners_is_faster_than_stopping_and_stays_near_the_waypoints() -> None:
    waypoints = np.random.default_rng(3).uniform(-1.0, 1.0, (5, 6))
    stopping = rounded_paths(waypoints, LIMITS.velocity, lambda _: False)
    assert len(stopping) == 4
    stops = time_paths(NAMES, stopping, LIMITS)
    assert_within(stops, LIMITS)
    assert off_polyline(stops.positions, waypoints) < 1e-9
    wide = time_paths(NAMES, rounded_paths(waypoints, LIMITS.velocity, lambda _: True), LIMITS)
    assert wide.duration_s < stops.duration_s
    # A blend that starts 0.1 s of full speed before the corner cuts it by at most 7/32 of that (0.31 rad).
    narrow = time_paths(NAMES, rounded_paths(waypoints, LIMITS.velocity, lambda _: True, max_blend=0.1), LIMITS)
    assert 1e-3 < off_polyline(narrow.positions, waypoints) < 0.07


def test_corners_are_narrowed_until_they_are_free() -> None:
    waypoints = np.array([[0.0, 0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0, 0], [1.0, 1, 0, 0, 0, 0]])
    paths = rounded_paths(waypoints, np.ones(6), lambda q: off_polyline(q, waypoints) < 0.01)
    assert len(paths) == 1
    assert 1e-3 < off_polyline(sample(paths, 0.002), waypoints) < 0.01


def test_a_way_back_along_itself_is_timed() -> None:
    waypoints = np.array([np.zeros(6), np.full(6, 0.5), np.zeros(6)])
    trajectory = time_paths(NAMES, rounded_paths(waypoints, LIMITS.velocity, lambda _: True), LIMITS)
    assert_within(trajectory, LIMITS)
    assert off_polyline(trajectory.positions, waypoints) < 1e-9


def test_a_spline_goes_through_its_points_within_limits() -> None:
    x = np.linspace(0.0, 1.0, 40)[:, None]
    points = np.sin(2.0 * x + np.arange(6)) * np.array([1.0, 0.5, 0.1, 1.0, 2.0, 0.01])
    path = spline_path(points, LIMITS.velocity)
    np.testing.assert_allclose(path(np.linspace(*path.path_interval, 40)), points, atol=1e-12)
    for share in (1.0, 0.1):
        assert_within(time_paths(NAMES, [path], LIMITS.scaled(share)), LIMITS.scaled(share))
    with pytest.raises(ValueError, match="at least 6 points"):
        spline_path(points[:5], LIMITS.velocity)


def test_half_the_limits_take_longer() -> None:
    waypoints = np.random.default_rng(0).uniform(-1.0, 1.0, (3, 6))
    durations = []
    for share in (1.0, 0.5, 0.25):
        limits = LIMITS.scaled(share)
        durations.append(
            time_paths(NAMES, rounded_paths(waypoints, limits.velocity, lambda _: True), limits).duration_s
        )
    assert durations[0] < durations[1] < durations[2]


def test_rest_is_two_points_without_motion() -> None:
    trajectory = rest(NAMES, np.arange(6.0))
    assert len(trajectory.times_s) == 2
    assert np.ptp(trajectory.positions, axis=0).max() == 0.0


@pytest.mark.parametrize("bad", [[0.0] * 6, [np.inf] * 6, [1.0] * 5])
def test_limits_refuse_what_no_joint_has(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="positive numbers"):
        MotionLimits(np.ones(6), np.array(bad), np.ones(6))
