# SPDX-License-Identifier: Apache-2.0
"""Every described cell, planned for with OMPL and judged by what the planner does not do itself."""

from __future__ import annotations

import numpy as np
import pytest

from grasp_core.cell_config import CellConfig
from grasp_core.geometry import difference, transform
from grasp_core.guard import Guard
from grasp_core.planning import Box, Mesh, Obstacle, PlanOptions, PlanResult, PlanStatus, VoxelGrid
from grasp_core.ports import JointState
from grasp_core.resources import find, names
from grasp_description.cell_kinematics import CellKinematics
from grasp_planning import CellModel, OmplPlanner, StraightLinePlanner
from grasp_planning.requests import MOTION_BOX, PlanSettings
from grasp_planning.timing import TOLERANCE

CELLS = names("config", "cells")
OPTIONS = PlanOptions(speed_scale=0.5, timeout_s=5.0)


class Bench:
    """A cell's planner and what a test needs to judge it."""

    def __init__(self, cell: str) -> None:
        self.config = CellConfig.from_yaml(find("config", f"cells/{cell}.yaml"))
        self.model = CellModel.from_config(self.config)
        self.planner = OmplPlanner(self.model)
        self.robot = self.model.robot
        self.ready = self.robot.state("ready")
        self.start = JointState.at_rest(self.robot.positions(self.ready))

    def tool(self, arm: str, positions: np.ndarray) -> list[np.ndarray]:
        posture = self.model.posture(arm, self.start.as_dict())
        return [posture.fk(q) for q in positions]

    def assert_good(self, result: PlanResult, arm: str, T_goal: np.ndarray | None = None) -> None:
        """Limits, ends and freedom from collision of a result, by finite differences and a dense look at Coal."""
        assert result.status is PlanStatus.SUCCEEDED, result.message
        trajectory = result.trajectory
        assert trajectory is not None
        assert trajectory.names == self.config.arms[arm].joints
        at = [self.robot.index(name) for name in trajectory.names]
        steps = np.diff(trajectory.times_s)[:, None]
        room = 0.5 * (1.0 + TOLERANCE)
        velocity = np.diff(trajectory.positions, axis=0) / steps
        assert (np.abs(velocity) <= room * self.robot.velocity_limit[at]).all()
        acceleration = np.diff(trajectory.velocities, axis=0) / steps
        assert (np.abs(acceleration) <= room * self.robot.acceleration_limit[at]).all()
        jerk = np.diff(trajectory.accelerations, axis=0) / steps
        assert (np.abs(jerk) <= room * self.robot.jerk_limit[at]).all()
        for q in trajectory.positions:
            full = self.ready.copy()
            full[at] = q
            report = self.robot.collision.check(full)
            assert not report, str(report)
            assert self.robot.within_limits(full, margin=-1e-6)
        if T_goal is not None:
            metres, radians = difference(self.tool(arm, trajectory.positions[-1:])[0], T_goal)
            assert metres < 1e-4
            assert radians < 1e-3


@pytest.fixture(scope="module")
def benches() -> dict[str, Bench]:
    return {}


@pytest.fixture
def bench(request: pytest.FixtureRequest, benches: dict[str, Bench]) -> Bench:
    cell = request.param
    if cell not in benches:
        benches[cell] = Bench(cell)
    benches[cell].planner.set_obstacles(())
    return benches[cell]


@pytest.mark.parametrize("bench", CELLS, indirect=True)
def test_from_ready_to_random_reachable_poses(bench: Bench) -> None:
    rng = np.random.default_rng(5)
    for arm, config in bench.config.arms.items():
        for _ in range(3):
            # Only this arm moves: the others stay at ready.
            while True:
                q = bench.robot.random_configuration(rng, config.group, bench.ready)
                T_goal = bench.model.T_base_world @ bench.robot.fk(q, config.tcp_frame)
                inside = bench.config.limits.motion_box.contains(T_goal[:3, 3], margin_m=-0.001)
                if inside and not bench.robot.collision.check(q):
                    break
            bench.assert_good(bench.planner.plan_to_pose(arm, bench.start, T_goal, OPTIONS), arm, T_goal)


@pytest.mark.parametrize("bench", CELLS, indirect=True)
@pytest.mark.parametrize("kind", [OmplPlanner, StraightLinePlanner])
def test_a_line_is_straight_within_a_millimetre_and_half_a_degree(bench: Bench, kind: type) -> None:
    planner = kind(bench.model)
    for arm in bench.config.arms:
        T_start = bench.tool(arm, [[bench.start.as_dict()[n] for n in bench.config.arms[arm].joints]])[0]
        T_goal = transform((-0.04, 0.02, -0.03)) @ T_start @ transform(rotation=(0.0, 0.0, np.sin(0.1), np.cos(0.1)))
        result = planner.plan_line(arm, bench.start, T_goal, OPTIONS)
        bench.assert_good(result, arm, T_goal)
        poses = bench.tool(arm, result.trajectory.positions)
        way = T_goal[:3, 3] - T_start[:3, 3]
        unit = way / np.linalg.norm(way)
        for T in poses:
            offset = T[:3, 3] - T_start[:3, 3]
            share = offset @ way / (way @ way)
            assert np.linalg.norm(offset - (offset @ unit) * unit) < 1e-3
            turned = difference(T_start, T)[1]
            assert abs(turned - share * 0.2) < np.radians(0.5)


def wall(kind: str) -> Obstacle:
    """A wall across the way of the UR5's tool when its base turns, 4 cm thick."""
    T_centre = transform((0.55, 0.02, 0.2))
    size = (0.3, 0.04, 0.4)
    if kind == "box":
        return Box("wall", T_centre, size)
    corner = T_centre @ transform(-0.5 * np.array(size))
    if kind == "voxels":
        return VoxelGrid("wall", corner, 0.02, np.ones((15, 2, 20), dtype=bool))
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
    faces = [(0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1)]
    faces += [(2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3)]
    return Mesh("wall", T_centre, 0.5 * signs * np.array(size), np.array(faces))


@pytest.mark.parametrize("bench", ["ur5"], indirect=True)
@pytest.mark.parametrize("kind", ["box", "mesh", "voxels"])
def test_a_wall_of_any_kind_is_passed(bench: Bench, kind: str) -> None:
    bench.planner.set_obstacles((wall(kind),))
    joints = bench.start.as_dict()
    start = JointState.at_rest({**joints, "shoulder_pan_joint": -0.8})
    goal = {"shoulder_pan_joint": 0.5}
    straight = StraightLinePlanner(bench.model).plan_to_joints(None, start, goal, OPTIONS)
    assert straight.trajectory is not None
    assert np.ptp(straight.trajectory.positions, axis=0)[1:].max() < 1e-9
    full = np.tile(bench.ready, (len(straight.trajectory.positions), 1))
    full[:, [bench.robot.index(name) for name in straight.trajectory.names]] = straight.trajectory.positions
    assert any("wall" in str(bench.robot.collision.check(q)) for q in full)
    result = bench.planner.plan_to_joints(None, start, goal, OPTIONS)
    bench.assert_good(result, "arm")
    assert np.ptp(result.trajectory.positions, axis=0)[1:].max() > 0.1


@pytest.mark.parametrize("bench", ["ur5"], indirect=True)
def test_refusals_name_what_touches_and_what_is_out_of_reach(bench: Bench) -> None:
    tcp = bench.tool("arm", [[bench.start.as_dict()[n] for n in bench.config.arms["arm"].joints]])[0]
    far = tcp.copy()
    far[0, 3] += 1.5
    reach = bench.planner.plan_to_pose(None, bench.start, far, OPTIONS)
    assert reach.status is PlanStatus.UNREACHABLE
    line = bench.planner.plan_line(None, bench.start, far, OPTIONS)
    assert line.status is PlanStatus.LINE_INCOMPLETE
    assert "singular" in line.message or "joint limit" in line.message
    low = tcp.copy()
    low[2, 3] = bench.config.support_z_m - 0.03
    table = bench.planner.plan_to_pose(None, bench.start, low, OPTIONS)
    assert table.status is PlanStatus.GOAL_IN_COLLISION
    assert any("table" in pair for pair in table.contacts)
    into = bench.planner.plan_line(None, bench.start, low, OPTIONS)
    assert into.status is PlanStatus.LINE_INCOMPLETE
    assert any("table" in pair or MOTION_BOX in pair for pair in into.contacts)
    blind = bench.planner.plan_line(None, bench.start, low, PlanOptions(check_environment=False))
    assert blind.status is PlanStatus.LINE_INCOMPLETE
    assert "leaves the motion box" in blind.message
    bench.planner.set_obstacles((Box("crate", tcp, (0.2, 0.2, 0.1)),))
    inside = bench.planner.plan_to_joints(None, bench.start, {}, OPTIONS)
    assert inside.status is PlanStatus.START_IN_COLLISION
    assert any("crate" in pair for pair in inside.contacts)
    assert bench.planner.plan_to_joints(None, bench.start, {}, PlanOptions(allowed_contacts=frozenset({"crate"}))).ok
    folded = {"elbow_joint": 3.1, "wrist_1_joint": 0.0}
    bench.planner.set_obstacles(())
    own = bench.planner.plan_to_joints(None, bench.start, folded, PlanOptions(check_environment=False))
    assert own.status is PlanStatus.GOAL_IN_COLLISION


@pytest.mark.parametrize("bench", CELLS, indirect=True)
def test_no_plan_is_refused_by_the_guard_afterwards(bench: Bench) -> None:
    """Ways between places at the edges of the motion box stay inside of it, as the guard sees them."""
    kinematics = CellKinematics(bench.config)
    guard = Guard(bench.config.limits, kinematics.limits(), kinematics, now_ns=lambda: 0)
    box, rng = bench.config.limits.motion_box, np.random.default_rng(8)
    arm, settings = bench.config.arm()
    planned = 0
    for _ in range(12):
        q = bench.robot.random_configuration(rng, settings.group, bench.ready)
        T_goal = bench.model.T_base_world @ bench.robot.fk(q, settings.tcp_frame)
        result = bench.planner.plan_to_pose(arm, bench.start, T_goal, OPTIONS)
        if not box.contains(T_goal[:3, 3]):
            assert not result.ok
            if result.status is PlanStatus.GOAL_IN_COLLISION and MOTION_BOX in str(result.contacts):
                assert "leaves the motion box" in result.message
        elif result.ok:
            planned += 1
            start = bench.start.select(settings.joints)
            guard.admit_trajectory(result.trajectory, start, arm)
    assert planned > 0


@pytest.mark.parametrize("bench", ["ur5"], indirect=True)
def test_a_goal_outside_of_the_motion_box_is_refused_in_words(bench: Bench) -> None:
    goal = {"shoulder_pan_joint": 2.8}
    result = bench.planner.plan_to_joints(None, bench.start, goal, OPTIONS)
    assert result.status is PlanStatus.GOAL_IN_COLLISION
    assert result.message == "at the goal the tool of arm arm leaves the motion box"


@pytest.mark.parametrize("bench", ["ur5"], indirect=True)
def test_ways_keep_clear_of_what_stands_around_where_they_can(bench: Bench) -> None:
    """Round a wall by a centimetre; without being told to, by less."""
    bench.planner.set_obstacles((wall("box"),))
    start = JointState.at_rest({**bench.start.as_dict(), "shoulder_pan_joint": -0.8})
    goal = {"shoulder_pan_joint": 0.5}
    least = []
    for planner in (OmplPlanner(bench.model, PlanSettings(clearance_m=0.0)), bench.planner):
        result = planner.plan_to_joints(None, start, goal, OPTIONS)
        assert result.trajectory is not None, result.message
        least.append(min(distance_to_wall(bench, q) for q in result.trajectory.positions))
    assert least[0] < 0.0095
    assert least[1] > 0.0095


def distance_to_wall(bench: Bench, q: np.ndarray) -> float:
    """The smallest margin, to half a millimetre, at which the wall counts as touched; at most 3 cm."""
    posture = bench.model.posture("arm", bench.start.as_dict())
    low, high = 0.0, 0.03
    while high - low > 5e-4:
        middle = round(0.5 * (low + high), 5)
        touching = posture.contacts(q, margin_m=middle, first_only=False)
        low, high = (low, middle) if any("wall" in pair for pair in touching) else (middle, high)
    return low


@pytest.mark.parametrize("bench", ["ur5"], indirect=True)
def test_what_is_held_is_kept_clear_of_walls_too(bench: Bench) -> None:
    """A long object below the hand touches a low wall that the empty hand passes above."""
    low = Box("low", transform((0.55, 0.02, 0.05)), (0.3, 0.04, 0.1))
    bench.planner.set_obstacles((low,))
    start = JointState.at_rest({**bench.start.as_dict(), "shoulder_pan_joint": -0.8})
    goal = {"shoulder_pan_joint": 0.5}
    straight = bench.planner.plan_to_joints(None, start, goal, OPTIONS)
    assert straight.trajectory is not None
    assert np.ptp(straight.trajectory.positions, axis=0)[1:].max() < 1e-9, "the empty hand passes straight"
    held = Box("held", transform((0.0, 0.0, 0.07)), (0.04, 0.04, 0.18))
    bench.planner.set_held(None, (held,))
    try:
        result = bench.planner.plan_to_joints(None, start, goal, OPTIONS)
        assert result.trajectory is not None, result.message
        assert np.ptp(result.trajectory.positions, axis=0)[1:].max() > 0.05
        with pytest.raises(ValueError, match="differ"):
            bench.planner.set_held(None, (held, held))
    finally:
        bench.planner.set_held(None, ())
    again = bench.planner.plan_to_joints(None, start, goal, OPTIONS)
    np.testing.assert_array_equal(again.trajectory.positions, straight.trajectory.positions)
