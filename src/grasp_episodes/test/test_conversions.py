# SPDX-License-Identifier: Apache-2.0
"""Messages to core types and back, and messages that make no sense."""

import array

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("grasp_interfaces.action", reason="grasp_interfaces is not built; run the tests through ./ws test")

from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import CameraInfo, Image
from sensor_msgs.msg import JointState as JointStateMsg

from grasp_core.camera import FrameError, Intrinsics
from grasp_core.geometry import transform
from grasp_core.planning import Box, Mesh, PlanStatus, VoxelGrid
from grasp_core.ports import JointTrajectory
from grasp_episodes import ros_conversions as ros
from grasp_interfaces.action import PlanMotion


def image(pixels: np.ndarray, encoding: str, padding: int = 0, big: bool = False) -> Image:
    height, width = pixels.shape[:2]
    lines = np.ascontiguousarray(pixels).view(np.uint8).reshape(height, -1)
    data = np.pad(lines, ((0, 0), (0, padding)))
    return Image(
        height=height,
        width=width,
        encoding=encoding,
        step=data.shape[1],
        is_bigendian=int(big),
        data=array.array("B", data.tobytes()),
    )


@pytest.mark.parametrize("padding", [0, 7])
@pytest.mark.parametrize(("encoding", "order"), [("rgb8", [0, 1, 2]), ("bgr8", [2, 1, 0]), ("bgra8", [2, 1, 0, 3])])
def test_colour_comes_out_red_first(encoding, order, padding):
    rgba = np.random.default_rng(0).integers(0, 256, (5, 4, 4), dtype=np.uint8)
    sent = rgba[..., order]
    np.testing.assert_array_equal(ros.rgb_image(image(sent, encoding, padding)), rgba[..., :3])


def test_depth_is_metres_with_nan_where_invalid():
    millimetres = np.array([[0, 500, 65535], [1000, 1, 2]], dtype=np.uint16)
    expected = np.array([[np.nan, 0.5, np.nan], [1.0, 0.001, 0.002]], dtype=np.float32)
    np.testing.assert_allclose(ros.depth_image(image(millimetres, "16UC1")), expected, rtol=1e-6)
    big = millimetres.astype(">u2")
    np.testing.assert_allclose(ros.depth_image(image(big, "16UC1", padding=2, big=True)), expected, rtol=1e-6)
    metres = np.array([[0.5, 0.0, np.inf]], dtype=np.float32)
    np.testing.assert_array_equal(ros.depth_image(image(metres, "32FC1")), [[0.5, np.nan, np.nan]])


def test_images_that_cannot_be_read_are_refused():
    short = image(np.zeros((4, 4, 3), np.uint8), "rgb8")
    short.data = short.data[:-1]
    with pytest.raises(FrameError, match="47 bytes"):
        ros.rgb_image(short)
    with pytest.raises(FrameError, match="yuv422"):
        ros.rgb_image(image(np.zeros((4, 4, 3), np.uint8), "yuv422"))
    with pytest.raises(FrameError, match="rgb8"):
        ros.depth_image(image(np.zeros((4, 4, 3), np.uint8), "rgb8"))
    with pytest.raises(FrameError, match="not calibrated"):
        ros.intrinsics(CameraInfo(width=4, height=4))


def test_intrinsics_survive():
    camera = Intrinsics.from_fov(64, 48, 0.8)
    info = CameraInfo(width=64, height=48, d=[0.0] * 5)
    info.k = camera.K.ravel()
    assert ros.intrinsics(info) == camera


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(1, 5), st.booleans(), st.sampled_from(["", "left_"]))
def test_trajectories_survive(points, joints, with_velocities, prefix):
    rng = np.random.default_rng(points)
    names = tuple(f"j{i}" for i in range(joints))
    rates = rng.normal(size=(points, joints)) if with_velocities else None
    sent = JointTrajectory(names, 0.1 * np.arange(1, points + 1), rng.normal(size=(points, joints)), rates)
    message = ros.trajectory_message(sent, prefix)
    assert all(name.startswith(prefix) for name in message.joint_names)
    back = ros.trajectory(message, prefix)
    assert back.names == sent.names
    np.testing.assert_allclose(back.times_s, sent.times_s, atol=1e-9)
    np.testing.assert_array_equal(back.positions, sent.positions)
    assert (back.velocities is None) == (rates is None)


def test_joint_states_of_other_robots_are_left_out_and_broken_ones_refused():
    message = JointStateMsg(name=["a_x", "b_x"], position=[1.0, 2.0])
    assert ros.joint_state(message, "b_").as_dict() == {"x": 2.0}
    with pytest.raises(ValueError, match="2 names with 1 positions"):
        ros.joint_state(JointStateMsg(name=["x", "y"], position=[1.0]), "")
    with pytest.raises(ValueError, match="NaN"):
        ros.joint_state(JointStateMsg(name=["x"], position=[float("nan")]), "")


def test_a_planners_answer_is_read_or_refused():
    good = PlanMotion.Result(status="goal_in_collision", message="elbow", contact_bodies=["elbow", "table"])
    result = ros.plan_result(good, "")
    assert result.status is PlanStatus.GOAL_IN_COLLISION
    assert result.contacts == (("elbow", "table"),)
    for broken in (PlanMotion.Result(status="perhaps"), PlanMotion.Result(status="succeeded")):
        result = ros.plan_result(broken, "")
        assert result.status is PlanStatus.INVALID_REQUEST
        assert "cannot be read" in result.message


def test_obstacles_keep_their_numbers():
    T = transform((1.0, 2.0, 3.0))
    box = ros.obstacle_message(Box("box", T, (0.1, 0.2, 0.3)))
    assert (box.name, list(box.primitive.dimensions), box.pose.position.z) == ("box", [0.1, 0.2, 0.3], 3.0)
    triangle = Mesh("mesh", T, np.eye(3), np.array([[0, 1, 2]]))
    assert list(ros.obstacle_message(triangle).mesh.triangles[0].vertex_indices) == [0, 1, 2]
    occupied = np.zeros((2, 3, 4), dtype=bool)
    occupied[1, 2, 3] = True
    grid = ros.obstacle_message(VoxelGrid("grid", T, 0.02, occupied))
    assert list(grid.voxel_counts) == [2, 3, 4]
    assert np.flatnonzero(np.frombuffer(bytes(grid.voxels), np.uint8)).tolist() == [23]
