# SPDX-License-Identifier: Apache-2.0
"""One test a limit: that it is called, and that it refuses or clips."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from grasp_core.actions import Grasp, Push, Step
from grasp_core.fakes import GANTRY_JOINTS
from grasp_core.geometry import top_down, transform
from grasp_core.guard import Guard, Refused
from grasp_core.ports import JointTrajectory, MotionStatus

number = st.floats(-0.5, 0.5)
reuse = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def line(cell, *points, seconds=1.0, **fields):
    positions = np.array([cell.arm.position, *points])
    return JointTrajectory(GANTRY_JOINTS, np.linspace(0.0, seconds, len(positions)), positions, **fields)


@reuse
@given(st.tuples(number, number, number), st.tuples(number, number, number), st.sampled_from(["base", "tcp"]))
def test_no_step_leaves_its_limits(gantry, shift, rotvec, frame):
    cell = gantry()
    cell.arm.position[:] = (0.1, -0.1, 0.2, 0.7)
    observation = cell.observe()
    step = Step(transform(shift, Rotation.from_rotvec(rotvec)), frame=frame)
    admitted, interventions = cell.guard.admit(step, observation)
    assert np.linalg.norm(admitted.T_delta[:3, 3]) <= 0.05 + 1e-9
    assert Rotation.from_matrix(admitted.T_delta[:3, :3]).magnitude() <= 0.4 + 1e-9
    end = observation.arm().T_base_tcp[:3, 3] + observation.axes(frame) @ admitted.T_delta[:3, 3]
    assert cell.guard.limits.workspace.contains(end, margin_m=1e-9)
    if not interventions:
        assert admitted is step
    assert sum(cell.guard.counts.values()) == len(interventions)


@pytest.mark.parametrize(
    ("shift", "expected", "limits"), [(0.05, 0.0, ["workspace"]), (0.0, 0.0, []), (-0.05, -0.05, [])]
)
def test_from_outside_steps_may_lead_back_and_nothing_is_made_up(gantry, shift, expected, limits):
    cell = gantry()
    cell.arm.position[:] = (0.4, 0.0, 0.2, 0.0)
    admitted, interventions = cell.guard.admit(Step(transform((shift, 0, 0)), frame="base"), cell.observe())
    np.testing.assert_allclose(admitted.T_delta[:3, 3], (expected, 0.0, 0.0), atol=1e-12)
    assert [i.limit for i in interventions] == limits


def test_the_way_to_the_first_point_is_limited_too(gantry):
    cell = gantry()
    jump = JointTrajectory(GANTRY_JOINTS, np.array([1e-9]), np.array([[0.0, 0.0, 0.5, 3.0]]))
    admitted, interventions = cell.guard.admit_trajectory(jump, cell.arm.state(), None)
    assert [i.limit for i in interventions] == ["speed"]
    assert admitted.duration_s >= 1.0


def test_a_curve_that_swings_out_between_its_points_is_refused(gantry):
    cell = gantry()
    start = cell.arm.position
    ends = np.array([start, start + np.array([0.05, 0.0, 0.0, 0.0])])
    curve = JointTrajectory(GANTRY_JOINTS, np.array([0.0, 10.0]), ends, np.array([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]]))
    with pytest.raises(Refused, match=r"range|motion box"):
        cell.guard.admit_trajectory(curve, cell.arm.state(), None)


def test_a_fast_detour_is_not_missed(gantry):
    cell = gantry()
    start = cell.arm.position
    points = np.array([start, start + np.array([0.0, 0.9, 0.0, 0.0]), start, start])
    detour = JointTrajectory(GANTRY_JOINTS, np.array([0.0, 0.01, 0.02, 100.0]), points)
    with pytest.raises(Refused, match="motion box"):
        cell.guard.admit_trajectory(detour, cell.arm.state(), None)


def test_states_that_cannot_be_true_are_refused(gantry):
    cell = gantry()
    trajectory = line(cell, cell.arm.position)
    state = cell.arm.state()
    broken = replace(state, positions=np.full(4, np.nan))
    with pytest.raises(Refused, match="joint state contains NaN"):
        cell.guard.admit_trajectory(trajectory, broken, None)
    with pytest.raises(Refused, match="in the future"):
        cell.guard.admit_trajectory(trajectory, replace(state, stamp_ns=state.stamp_ns + 10**12), None)
    endless = JointTrajectory(GANTRY_JOINTS, np.arange(1.0, 30_001.0), np.tile(cell.arm.position, (30_000, 1)))
    with pytest.raises(Refused, match="samples"):
        cell.guard.admit_trajectory(endless, state, None)


def test_accelerations_that_nobody_looked_at_do_not_pass(gantry):
    cell = gantry()
    trajectory = line(cell, cell.arm.position, accelerations=np.full((2, 4), 1e9))
    assert cell.guard.admit_trajectory(trajectory, cell.arm.state(), None)[0].accelerations is None


def test_preshapes_pass_the_guard(gantry):
    cell = gantry()
    with pytest.raises(Refused, match="nan"):
        cell.ports.of(None).gripper.preshape({"f1": float("nan")})
    assert cell.guard.admit_preshape({"yaw": 9.0})[0] == {"yaw": pytest.approx(np.pi)}


def test_grasps_and_pushes_outside_the_workspace_are_refused(gantry):
    cell = gantry()
    for action in (Grasp(top_down((0.3, 0, 0.1))), Push(np.array([0.0, 0.0, 0.5]), np.array([1.0, 0.0, 0.0]))):
        with pytest.raises(Refused, match="outside the workspace"):
            cell.guard.admit(action, cell.observe())
    assert cell.guard.counts == {"workspace": 2}


def test_each_arm_keeps_to_its_part_of_the_workspace(gantry):
    cell = gantry()
    left = {"min_m": (-0.2, 0.0, 0.0), "max_m": (0.2, 0.2, 0.3)}
    right = {"min_m": (-0.2, -0.2, 0.0), "max_m": (0.2, 0.0, 0.3)}
    guard = Guard(cell.guard.limits.with_values(regions={"left": left, "right": right}), {}, None, lambda: cell.now.ns)
    there = Grasp(top_down((0.0, 0.1, 0.1)))
    for arm in ("left", None):
        guard.admit(replace(there, arm=arm), cell.observe())
    with pytest.raises(Refused, match="outside the workspace"):
        guard.admit(replace(there, arm="right"), cell.observe())
    push = Push(np.array([0.0, 0.15, 0.1]), np.array([0.0, -1.0, 0.0]), 0.3, arm="left")
    assert guard.admit(push, cell.observe())[0].length_m == pytest.approx(0.15)


def test_stale_observations_and_states_are_refused(gantry):
    cell = gantry()
    observation, state = cell.observe(), cell.arm.state()
    cell.now.ns += 600_000_000
    cell.guard.admit(Grasp(top_down((0, 0, 0.1))), observation)
    with pytest.raises(Refused, match=r"the joint state is 0\.60 s old"):
        cell.guard.admit_trajectory(line(cell, cell.arm.position), state, None)
    cell.now.ns += 10_000_000_000
    with pytest.raises(Refused, match="the observation is"):
        cell.guard.admit(Grasp(top_down((0, 0, 0.1))), observation)


@pytest.mark.parametrize(
    ("point", "words"),
    [
        ((np.nan, 0, 0.5, 0), "NaN"),
        ((0, 0, 1.2, 0), "range"),
        ((0.7, 0, 0.5, 0), "motion box"),
    ],
)
def test_trajectories_that_may_not_be(gantry, point, words):
    cell = gantry()
    result = cell.ports.of(None).arm.execute(line(cell, point))
    assert result.status is MotionStatus.REJECTED
    assert words in result.message
    assert cell.arm.executed == []


def test_a_trajectory_must_start_where_the_arm_is_and_move_known_joints(gantry):
    cell = gantry()
    away = JointTrajectory(GANTRY_JOINTS, np.array([0.0, 1.0]), np.array([[0.2, 0, 0.5, 0], [0, 0, 0.5, 0]]))
    assert "starts 0.200 away" in cell.ports.of(None).arm.execute(away).message
    stranger = JointTrajectory(("elbow",), np.array([0.0, 1.0]), np.zeros((2, 1)))
    assert "elbow" in cell.ports.of(None).arm.execute(stranger).message
    assert cell.guard.counts == {"start": 1, "unknown_joint": 1}


@reuse
@given(st.tuples(number, number, st.floats(0.1, 0.7), number), st.floats(0.01, 5.0))
def test_what_is_too_fast_is_stretched_and_nothing_else(gantry, point, seconds):
    cell = gantry()
    trajectory = line(cell, point, seconds=seconds)
    admitted, interventions = cell.guard.admit_trajectory(trajectory, cell.arm.state(), None)
    np.testing.assert_array_equal(admitted.positions, trajectory.positions)
    travel = np.linalg.norm(np.array(point[:3]) - cell.arm.position[:3])
    assert travel / admitted.duration_s <= 0.5 * (1 + 1e-6)
    assert np.all(np.abs(np.array(point) - cell.arm.position) / admitted.duration_s <= np.array([1, 1, 1, 3]) + 1e-6)
    assert bool(interventions) == (admitted.duration_s > trajectory.duration_s)


def test_gripper_commands_are_clipped(gantry):
    cell = gantry()
    gripper = cell.ports.of(None).gripper
    gripper.move(0.5, 100.0)
    assert cell.gripper.width_m == pytest.approx(0.11)
    assert cell.guard.counts == {"gripper_width": 1, "gripper_force": 1}
    with pytest.raises(Refused, match="nan"):
        gripper.move(float("nan"))


def test_stopping_is_never_held_back(gantry):
    cell = gantry()
    cell.now.ns += 10_000_000_000
    cell.ports.of(None).arm.stop()
    assert cell.arm.stops == 1
