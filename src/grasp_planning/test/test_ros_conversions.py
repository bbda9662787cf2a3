# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("geometry_msgs.msg", reason="the ROS messages are not installed")
pytest.importorskip("grasp_interfaces.msg", reason="grasp_interfaces is not built")

from geometry_msgs.msg import Pose, Quaternion
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import JointState as JointStateMsg
from shape_msgs.msg import SolidPrimitive
from trajectory_msgs.msg import JointTrajectory as JointTrajectoryMsg

from grasp_core.cell_config import Skills
from grasp_core.geometry import transform
from grasp_core.planning import Box, Mesh, PlanResult, PlanStatus, VoxelGrid
from grasp_core.ports import JointState, JointTrajectory
from grasp_interfaces.action import PlanMotion
from grasp_interfaces.msg import Obstacle as ObstacleMsg
from grasp_planning import ros_conversions as ros

T = transform((0.1, -2.0, 3.0), Rotation.from_rotvec((0.3, -1.0, 2.0)))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-3.0, 3.0), min_size=6, max_size=6))
def test_poses_come_back(values: list[float]) -> None:
    T_a_b = transform(values[:3], Rotation.from_rotvec(values[3:]))
    np.testing.assert_allclose(ros.pose_to_matrix(ros.matrix_to_pose(T_a_b)), T_a_b, atol=1e-12)


@pytest.mark.parametrize("q", [(0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 2.0), (np.nan, 0.0, 0.0, 1.0)])
def test_poses_that_are_none_are_refused(q: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"quaternion|NaN"):
        ros.pose_to_matrix(Pose(orientation=Quaternion(x=q[0], y=q[1], z=q[2], w=q[3])))


def test_joint_states_and_trajectories_come_back() -> None:
    state = JointState(("a", "b"), np.array([1.0, 2.0]), np.array([3.0, 4.0]), 5_000_000_006)
    again = ros.joint_state_from_msg(ros.joint_state_to_msg(state))
    assert again.names == state.names
    assert again.stamp_ns == state.stamp_ns
    np.testing.assert_array_equal(again.positions, state.positions)
    np.testing.assert_array_equal(again.velocities, state.velocities)
    rows = np.arange(6.0).reshape(3, 2)
    trajectory = JointTrajectory(("a", "b"), np.array([0.0, 0.5, 1.25]), rows, rows + 1.0, rows + 2.0)
    back = ros.trajectory_from_msg(ros.trajectory_to_msg(trajectory))
    np.testing.assert_allclose(back.times_s, trajectory.times_s)
    np.testing.assert_array_equal(back.positions, rows)
    np.testing.assert_array_equal(back.accelerations, rows + 2.0)
    positions_only = ros.trajectory_from_msg(ros.trajectory_to_msg(JointTrajectory(("a", "b"), np.arange(3.0), rows)))
    assert positions_only.velocities is None


@pytest.mark.parametrize(
    "message",
    [JointStateMsg(name=["a", "b"], position=[1.0]), JointStateMsg(name=["a", "a"], position=[1.0, 2.0])],
)
def test_joint_states_that_do_not_fit_are_refused(message: JointStateMsg) -> None:
    with pytest.raises(ValueError, match="joint"):
        ros.joint_state_from_msg(message)
    with pytest.raises(ValueError, match="no points"):
        ros.trajectory_from_msg(JointTrajectoryMsg())


def test_obstacles_come_back() -> None:
    occupied = np.zeros((2, 3, 4), dtype=bool)
    occupied[1, 2, 3] = occupied[0, 0, 1] = True
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    triangles = np.array([[0, 1, 2], [0, 1, 3]])
    box, mesh, grid = (
        ros.obstacle_from_msg(ros.obstacle_to_msg(o))
        for o in (
            Box("box", T, (1.0, 2.0, 3.0)),
            Mesh("mesh", T, vertices, triangles),
            VoxelGrid("grid", T, 0.05, occupied),
        )
    )
    assert isinstance(box, Box)
    assert box.size_m == (1.0, 2.0, 3.0)
    np.testing.assert_allclose(box.T_base_box, T, atol=1e-12)
    assert isinstance(mesh, Mesh)
    np.testing.assert_array_equal(mesh.vertices, vertices)
    np.testing.assert_array_equal(mesh.triangles, triangles)
    assert isinstance(grid, VoxelGrid)
    np.testing.assert_array_equal(grid.occupied, occupied)
    assert grid.voxel_m == 0.05


def test_obstacles_that_make_no_sense_are_refused_by_name() -> None:
    pose = ros.matrix_to_pose(T)
    flat = SolidPrimitive(type=SolidPrimitive.BOX, dimensions=[1.0, 0.0, 1.0])
    ball = SolidPrimitive(type=SolidPrimitive.SPHERE, dimensions=[1.0])
    bad = [
        ObstacleMsg(name="thing", kind=9, pose=pose),
        ObstacleMsg(name="thing", pose=Pose(orientation=Quaternion(w=0.0))),
        ObstacleMsg(name="thing", pose=pose, primitive=ball),
        ObstacleMsg(name="thing", pose=pose, primitive=flat),
        ObstacleMsg(name="thing", kind=ObstacleMsg.MESH, pose=pose),
        ObstacleMsg(name="thing", kind=ObstacleMsg.VOXELS, pose=pose, voxel_size=0.1, voxel_counts=[1, 2, 3]),
    ]
    for message in bad:
        with pytest.raises(ValueError, match="thing"):
            ros.obstacle_from_msg(message)


def test_zero_speed_and_time_out_mean_the_cells() -> None:
    defaults = Skills(speed_scale=0.3, plan_timeout_s=7.0)
    options = ros.plan_options(PlanMotion.Goal(allowed_contacts=["cup"]), defaults)
    assert (options.speed_scale, options.timeout_s, options.check_environment) == (0.3, 7.0, True)
    assert options.allowed_contacts == {"cup"}
    assert not ros.plan_options(PlanMotion.Goal(ignore_environment=True), defaults).check_environment
    with pytest.raises(ValueError, match="speed_scale"):
        ros.plan_options(PlanMotion.Goal(speed_scale=2.0), defaults)


def test_results_tell_contacts_and_stages() -> None:
    contacts = (("cup", "hand"), ("cup", "wrist"))
    message = ros.plan_result_to_msg(PlanResult(PlanStatus.GOAL_IN_COLLISION, None, "no", contacts, {"ik": 2.5}))
    assert (message.success, message.status, message.message) == (False, "goal_in_collision", "no")
    assert message.contact_bodies == ["cup", "hand", "cup", "wrist"]
    assert message.stages[0].stage == "ik"
    assert message.stages[0].seconds == pytest.approx(0.0025)
    assert not message.trajectory.points


def test_runs_of_voxels_cover_exactly_the_occupied_ones() -> None:
    occupied = np.random.default_rng(0).random((5, 4, 9)) < 0.5
    covered = np.zeros_like(occupied)
    for (x, y), start, count in ros.voxel_runs(occupied):
        assert not covered[x, y, start : start + count].any()
        covered[x, y, start : start + count] = True
    np.testing.assert_array_equal(covered, occupied)
