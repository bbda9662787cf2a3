# SPDX-License-Identifier: Apache-2.0
"""The guided calibration over a graph: pictures, camera_info and the robot's pose come as messages."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

pytest.importorskip("rclpy")
pytest.importorskip("tf2_ros")
pytest.importorskip("tf2_msgs")

from grasp_cameras.calibration.board import Board, BoardConfig
from grasp_cameras.calibration.pose_grid import camera_grid
from grasp_cameras.calibration.synthetic import render_board
from grasp_cameras.calibration_file import CameraCalibration
from grasp_core.camera import Intrinsics
from grasp_core.cell_config import BoxRegion
from grasp_core.geometry import difference, invert, transform

TIMEOUT_S = 30.0
CAMERA = Intrinsics(640, 480, 615.0, 615.0, 320.5, 238.2)
X = transform((0.03, -0.06, 0.04), Rotation.from_euler("xyz", [0.05, 0.1, 1.6]))
Y = transform((0.4, 0.0, 0.0), Rotation.from_euler("x", np.pi))
POSES = camera_grid(BoxRegion(min_m=(0.3, -0.2, 0.3), max_m=(0.6, 0.2, 0.45)), (2, 2, 2), Y, X, BoardConfig())


class Robot:
    """Publishes pictures of the board and the tool's pose, both of the same moment, 30 times a second."""

    def __init__(self, ros) -> None:
        from rclpy.qos import qos_profile_sensor_data
        from sensor_msgs.msg import CameraInfo, Image
        from tf2_ros import TransformBroadcaster

        self.node = ros.create_node("robot")
        self.images = self.node.create_publisher(Image, "wrist/color/image_raw", qos_profile_sensor_data)
        self.infos = self.node.create_publisher(CameraInfo, "wrist/color/camera_info", qos_profile_sensor_data)
        self.broadcaster = TransformBroadcaster(self.node)
        self.with_tf, self.speed_m_s = True, 0.0
        self.go(POSES[0], seen=True)
        self.node.create_timer(1.0 / 30.0, self.tick)

    def go(self, T_base_tool, seen: bool = True) -> None:
        picture = render_board(Board(BoardConfig()), CAMERA, invert(X) @ invert(T_base_tool) @ Y)
        self.now = (T_base_tool, picture if seen else np.zeros_like(picture))

    def tick(self) -> None:
        from grasp_cameras import ros_conversions as conversions

        T_base_tool, picture = self.now
        # A clock of its own, as a simulator's.
        stamp_ns = self.node.get_clock().now().nanoseconds - 1_700_000_000 * 10**9
        head = conversions.header(stamp_ns, "wrist_optical")
        T_base_tool = T_base_tool @ transform((self.speed_m_s * (stamp_ns % 10**11) * 1e-9, 0.0, 0.0))
        if self.with_tf:
            self.broadcaster.sendTransform(conversions.transform_message(T_base_tool, "base_link", "tool0", stamp_ns))
        self.infos.publish(conversions.camera_info_message(CAMERA, 640, 480, head))
        self.images.publish(conversions.image_message(picture, "rgb8", head))


@pytest.fixture
def running(ros, tmp_path):
    from rclpy.executors import MultiThreadedExecutor
    from rclpy.parameter import Parameter
    from std_srvs.srv import Trigger

    from grasp_cameras.calibrate_node import CalibrateNode

    values = {"camera_name": "wrist", "mount": "hand", "output": str(tmp_path / "wrist.yaml"), "timeout_s": 3.0}
    node = CalibrateNode(parameter_overrides=[Parameter(name, value=value) for name, value in values.items()])
    robot = Robot(ros)
    caller = ros.create_node("caller")
    executor = MultiThreadedExecutor(4)
    for each in (node, robot.node, caller):
        executor.add_node(each)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    clients = {
        name: caller.create_client(Trigger, f"/calibrate/{name}") for name in ("capture", "undo", "solve", "save")
    }

    def call(name: str):
        assert clients[name].wait_for_service(TIMEOUT_S)
        done = threading.Event()
        future = clients[name].call_async(Trigger.Request())
        future.add_done_callback(lambda _: done.set())
        assert done.wait(TIMEOUT_S), name
        return future.result()

    yield call, robot, tmp_path / "wrist.yaml"
    executor.shutdown()
    thread.join(TIMEOUT_S)
    for each in (node, robot.node, caller):
        each.destroy_node()


def test_capture_solve_save(running):
    call, robot, path = running
    for name, message in (("solve", "nothing is captured yet"), ("save", "nothing is solved yet")):
        answer = call(name)
        assert not answer.success
        assert message in answer.message
    robot.go(POSES[0], seen=False)
    answer = call("capture")
    assert not answer.success
    assert "board_not_seen" in answer.message
    for number, T in enumerate(POSES, 1):
        robot.go(T)
        answer = call("capture")
        assert answer.success, answer.message
        assert answer.message.startswith(f"capture {number}: ")
    answer = call("capture")
    assert not answer.success
    assert f"the tool is where capture {len(POSES)} was taken" in answer.message
    answer = call("solve")
    assert answer.success, answer.message
    assert "reprojection" in answer.message
    assert call("save").success
    calibration = CameraCalibration.from_yaml(path)
    assert (calibration.pose.parent_frame, calibration.pose.camera_frame) == ("tool0", "wrist_optical")
    metres, radians = difference(calibration.T_parent_camera, X)
    assert metres < 1e-3
    assert np.rad2deg(radians) < 0.1


def test_a_moving_robot_is_not_captured(running):
    call, robot, _ = running
    robot.speed_m_s = 0.05
    answer = call("capture")
    assert not answer.success
    assert "hold it still" in answer.message


def test_without_the_robots_pose_a_sentence_says_so(running):
    call, robot, _ = running
    robot.with_tf = False
    answer = call("capture")
    assert not answer.success
    assert "base_link" in answer.message or "tool0" in answer.message
