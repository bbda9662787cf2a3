# SPDX-License-Identifier: Apache-2.0
"""What the camera node publishes, and how it takes bad parameters and bad cameras."""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy")
pytest.importorskip("tf2_ros")
pytest.importorskip("tf2_msgs")

from grasp_cameras.calibration_file import CameraCalibration, MountConfig
from grasp_core.config import ConfigError
from grasp_core.geometry import transform

TIMEOUT_S = 30.0
SOURCE = """
import numpy as np
from grasp_core.camera import CameraFrame, Intrinsics

state = {"fail": False, "bad": False, "depth": np.full((6, 8), 0.5, np.float32)}
camera = Intrinsics(8, 6, 10.0, 10.0, 3.5, 2.5)

def make():
    def take():
        if state["fail"]:
            raise OSError("the cable is out")
        rgb = np.full((6, 8, 3), (10, 20, 30), np.uint8)
        pose = np.eye(4)
        if state["bad"]:
            state["bad"] = False
            return CameraFrame(camera, 2.0 * pose, 0, rgb, state["depth"])
        return CameraFrame(camera, pose, 0, rgb, state["depth"])
    return take
"""


class Graph:
    """A camera node and a listener, spun in the background."""

    def __init__(self, ros, **parameters) -> None:
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.parameter import Parameter

        from grasp_cameras.camera_node import CameraNode

        self.listener = ros.create_node("listener")
        self.got: dict[str, list] = {}
        self.news = threading.Condition()
        self.executor = SingleThreadedExecutor()
        self.node = CameraNode(parameter_overrides=[Parameter(name, value=value) for name, value in parameters.items()])
        self.executor.add_node(self.listener)
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()

    def listen(self, kind, topic: str, qos=None) -> None:
        from rclpy.qos import qos_profile_sensor_data

        def callback(message) -> None:
            with self.news:
                self.got.setdefault(topic, []).append(message)
                self.news.notify_all()

        self.listener.create_subscription(kind, topic, callback, qos or qos_profile_sensor_data)

    def wait(self, topic: str, condition=lambda message: True):
        with self.news:
            seen = lambda: [m for m in self.got.get(topic, []) if condition(m)]  # noqa: E731
            assert self.news.wait_for(seen, TIMEOUT_S), f"nothing fitting on {topic}"
            return seen()[-1]

    def close(self) -> None:
        self.executor.shutdown()
        self.thread.join(TIMEOUT_S)
        self.node.destroy_node()
        self.listener.destroy_node()


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A module that makes pictures; its ``state`` makes it fail."""
    (tmp_path / "picture_source_of_test.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("picture_source_of_test", None)
    import picture_source_of_test

    return picture_source_of_test


@pytest.fixture
def graph(ros, entry_points):
    made = []

    def make(**parameters):
        made.append(Graph(ros, **parameters))
        return made[-1]

    yield make
    for each in made:
        each.close()


def seven_scenes_options(folder) -> str:
    return yaml.safe_dump({"path": str(folder), "rate_hz": 50.0})


def test_topics_are_what_ros_users_expect(graph, seven_scenes):
    from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2

    running = graph(camera_name="wrist", driver="folder", options=seven_scenes_options(seven_scenes))
    for kind, topic in (
        (Image, "/wrist/color/image_raw"),
        (CameraInfo, "/wrist/color/camera_info"),
        (Image, "/wrist/depth/image_rect_raw"),
        (CameraInfo, "/wrist/depth/camera_info"),
        (Image, "/wrist/aligned_depth_to_color/image_raw"),
        (CameraInfo, "/wrist/aligned_depth_to_color/camera_info"),
        (CompressedImage, "/wrist/color/image_raw/compressed"),
        (PointCloud2, "/wrist/depth/color/points"),
    ):
        running.listen(kind, topic)
    color = running.wait("/wrist/color/image_raw")
    assert (color.encoding, color.height, color.width, color.step) == ("rgb8", 48, 64, 192)
    assert color.header.frame_id == "wrist_color_optical_frame"
    assert bytes(color.data[:3])[0] == 200
    info = running.wait("/wrist/color/camera_info", lambda m: m.header.stamp == color.header.stamp)
    assert info.header == color.header
    assert (info.k[0], info.k[2], info.distortion_model, len(info.d)) == (60.0, 31.5, "plumb_bob", 5)
    depth = running.wait("/wrist/depth/image_rect_raw")
    assert depth.encoding == "16UC1"
    values = np.frombuffer(depth.data, np.uint16).reshape(48, 64)
    assert 500 <= values[5, 5] <= 503
    # One optical frame for both, as in the folder.
    assert depth.header.frame_id == "wrist_color_optical_frame"
    running.wait("/wrist/aligned_depth_to_color/image_raw")
    jpeg = running.wait("/wrist/color/image_raw/compressed")
    assert bytes(jpeg.data[:2]) == b"\xff\xd8"
    assert "jpeg" in jpeg.format
    cloud = running.wait("/wrist/depth/color/points")
    assert (cloud.height, cloud.width, cloud.point_step) == (48, 64, 16)
    points = np.frombuffer(cloud.data, np.dtype([("x", "f4"), ("y", "f4"), ("z", "f4"), ("rgb", "u4")])).reshape(48, 64)
    assert 0.4999 < points["z"][5, 5] < 0.5031
    assert points["x"][5, 5] == pytest.approx((5 - 31.5) / 60.0 * points["z"][5, 5], rel=1e-5)
    assert points["rgb"][5, 5] >> 16 == 200
    assert np.isnan(points["z"][0, 0])


def test_nothing_costly_is_made_while_nobody_listens(graph, seven_scenes, monkeypatch):
    from sensor_msgs.msg import Image

    from grasp_cameras import ros_conversions

    made = []
    for name in ("compressed_message", "cloud_message"):
        original = getattr(ros_conversions, name)
        monkeypatch.setattr(
            ros_conversions, name, lambda *a, _name=name, _original=original: (made.append(_name), _original(*a))[1]
        )
    running = graph(camera_name="wrist", driver="folder", options=seven_scenes_options(seven_scenes))
    running.listen(Image, "/wrist/color/image_raw")
    for _ in range(3):
        running.wait("/wrist/color/image_raw")
    assert made == []


def test_depth_in_metres_and_diagnostics(graph, source):
    from diagnostic_msgs.msg import DiagnosticArray
    from sensor_msgs.msg import Image

    source.state["depth"][0, 0] = np.inf
    options = "{source: 'picture_source_of_test:make', rate_hz: 50}"
    running = graph(camera_name="sim", driver="simulated", options=options, depth_encoding="32FC1")
    running.listen(Image, "/sim/depth/image_rect_raw")
    running.listen(DiagnosticArray, "/diagnostics", 10)
    depth = running.wait("/sim/depth/image_rect_raw")
    assert depth.encoding == "32FC1"
    values = np.frombuffer(depth.data, np.float32).reshape(6, 8)
    assert np.isnan(values[0, 0])
    assert values[1, 1] == 0.5

    def status(message):
        return message.status[0], {pair.key: pair.value for pair in message.status[0].values}

    first, values = status(running.wait("/diagnostics", lambda m: m.status[0].level == b"\x00"))
    assert first.name == "camera sim"
    assert values["state"] == "connected"
    assert float(values["target_hz"]) == 50.0
    source.state["bad"] = True
    _, values = status(running.wait("/diagnostics", lambda m: status(m)[1]["bad_frames"] == "1"))
    assert "T_base_camera" in values["last_error"]
    source.state["fail"] = True
    lost, _ = status(running.wait("/diagnostics", lambda m: m.status[0].level == b"\x02"))
    assert "disconnected: the cable is out" in lost.message
    source.state["fail"] = False
    back = lambda values: int(values["connects"]) >= 2 and values["state"] == "connected"  # noqa: E731
    again, _ = status(running.wait("/diagnostics", lambda m: back(status(m)[1])))
    assert again.level != b"\x02"


def test_a_calibration_file_replaces_intrinsics_and_publishes_the_mount(graph, source, tmp_path):
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from sensor_msgs.msg import CameraInfo
    from tf2_msgs.msg import TFMessage

    pose = MountConfig.of(transform((0.1, 0.2, 0.3)), "base_link", "sim_eye")
    CameraCalibration(
        camera="sim",
        width=8,
        height=6,
        fx=11.0,
        fy=12.0,
        cx=3.0,
        cy=2.0,
        distortion=tuple([0.1] * 8),
        mount="fixed",
        pose=pose,
    ).save(tmp_path / "sim.yaml")
    running = graph(
        camera_name="sim",
        driver="simulated",
        options="{source: 'picture_source_of_test:make'}",
        calibration=str(tmp_path / "sim.yaml"),
    )
    running.listen(CameraInfo, "/sim/color/camera_info")
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    running.listen(TFMessage, "/tf_static", latched)
    info = running.wait("/sim/color/camera_info")
    assert (info.k[0], info.k[4], info.distortion_model, len(info.d)) == (11.0, 12.0, "rational_polynomial", 8)
    assert info.header.frame_id == "sim_eye"
    (mount,) = running.wait("/tf_static").transforms
    assert (mount.header.frame_id, mount.child_frame_id) == ("base_link", "sim_eye")
    assert (mount.transform.translation.x, mount.transform.rotation.w) == (0.1, 1.0)


def test_depth_of_its_own_eye_has_its_own_frame_and_its_place_is_published(graph, monkeypatch):
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from sensor_msgs.msg import CameraInfo, Image, PointCloud2
    from tf2_msgs.msg import TFMessage

    from grasp_cameras import camera_node
    from grasp_cameras.driver import Capabilities, RawFrame
    from grasp_core.camera import Intrinsics
    from grasp_core.config import Config

    class TwoEyes:
        """Colour 16 x 12, depth 8 x 6 beside it, not registered by the sensor."""

        Options = Config
        capabilities = Capabilities(True, True, False, True)
        pause = threading.Event()

        def open(self): ...
        def close(self): ...
        def read(self, timeout_s):
            self.pause.wait(0.02)
            return RawFrame(
                stamp_ns=time.time_ns(),
                rgb=np.full((12, 16, 3), 9, np.uint8),
                depth=np.full((6, 8), 4000, np.uint16),
                depth_scale_m=0.00025,
                color_intrinsics=Intrinsics(16, 12, 20.0, 20.0, 7.5, 5.5),
                depth_intrinsics=Intrinsics(8, 6, 10.0, 10.0, 3.5, 2.5),
                T_color_depth=transform((0.05, 0.0, 0.0)),
            )

    monkeypatch.setattr(camera_node, "make_driver", lambda name, options: TwoEyes())
    running = graph(camera_name="two", driver="two_eyes")
    running.listen(Image, "/two/depth/image_rect_raw")
    running.listen(CameraInfo, "/two/depth/camera_info")
    running.listen(PointCloud2, "/two/depth/color/points")
    running.listen(TFMessage, "/tf_static", QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    depth = running.wait("/two/depth/image_rect_raw")
    assert depth.header.frame_id == "two_depth_optical_frame"
    assert set(np.frombuffer(depth.data, np.uint16)) == {1000}  # millimetres, whatever the sensor counts in
    assert running.wait("/two/depth/camera_info").width == 8
    (eye,) = running.wait("/tf_static").transforms
    assert (eye.header.frame_id, eye.child_frame_id) == ("two_color_optical_frame", "two_depth_optical_frame")
    assert eye.transform.translation.x == 0.05
    cloud = running.wait("/two/depth/color/points")
    assert (cloud.height, cloud.width, cloud.header.frame_id) == (12, 16, "two_color_optical_frame")
    z = np.frombuffer(cloud.data, np.float32).reshape(12, 16, 4)[..., 2]
    assert set(z[np.isfinite(z)]) == {1.0}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "parameter config .* or driver .* must be set"),
        ({"driver": "foldr"}, "Did you mean 'folder'"),
        ({"driver": "folder", "options": "[1]"}, "a YAML mapping is wanted"),
        ({"driver": "folder", "options": "{path: a, rate: 3}"}, "no setting 'rate'"),
        ({"driver": "folder", "options": "{path: a, rate_hz: -3}"}, "rate_hz is -3"),
        ({"driver": "folder", "depth_encoding": "8UC1"}, "depth_encoding is '8UC1'"),
        ({"driver": "folder", "qos_depth": 9}, "qos_depth"),
        ({"driver": "folder", "options": "{path: a}", "calibration": "/none.yaml"}, "/none.yaml: cannot be read"),
        ({"config": "no_such_camera"}, "no_such_camera"),
    ],
)
def test_wrong_parameters_are_refused_in_a_sentence(ros, entry_points, parameters, message):
    from rclpy.exceptions import ParameterException
    from rclpy.parameter import Parameter

    from grasp_cameras.camera_node import CameraNode
    from grasp_core.registry import UnknownNameError
    from grasp_core.resources import ResourceError

    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    with pytest.raises((ConfigError, UnknownNameError, ResourceError, ParameterException), match=message):
        CameraNode(parameter_overrides=overrides)


def test_every_parameter_is_described_and_cannot_be_changed_later(graph, seven_scenes):
    from rclpy.parameter import Parameter

    running = graph(camera_name="wrist", driver="folder", options=seven_scenes_options(seven_scenes))
    node = running.node
    own = [
        name
        for name in node.get_parameters_by_prefix("")
        if name not in ("use_sim_time", "start_type_description_service")
    ]
    assert {"camera_name", "config", "qos_depth"} <= set(own)
    for name in own:
        descriptor = node.describe_parameter(name)
        assert len(descriptor.description) > 10, name
    (answer,) = node.set_parameters([Parameter("jpeg_quality", value=50)])
    assert not answer.successful
