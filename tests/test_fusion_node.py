# SPDX-License-Identifier: Apache-2.0
"""The fusion node in a small graph: pictures and transforms in; views, cloud, mesh and diagnostics out."""

import threading
from dataclasses import replace

import numpy as np
import pytest

pytestmark = pytest.mark.graph
rclpy = pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("grasp_interfaces.srv", reason="grasp_interfaces is not built; run the tests through ./ws test")
pytest.importorskip("tf2_ros", reason="tf2_ros is not built; run the tests through ./ws test")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus  # noqa: E402
from domain_coordinator import domain_id  # noqa: E402
from geometry_msgs.msg import Point, Pose, Quaternion, TransformStamped  # noqa: E402
from rclpy.executors import MultiThreadedExecutor  # noqa: E402
from rclpy.node import Node  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import qos_profile_sensor_data  # noqa: E402
from rclpy.time import Time  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image, PointCloud2  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402
from tf2_ros import StaticTransformBroadcaster  # noqa: E402
from visualization_msgs.msg import Marker  # noqa: E402

from grasp_core.camera import Intrinsics  # noqa: E402
from grasp_core.geometry import look_at, quaternion_of  # noqa: E402
from grasp_fusion import ros_conversions as ros  # noqa: E402
from grasp_fusion.analytic_scene import Box, Plane, photograph  # noqa: E402
from grasp_fusion.fusion_node import FusionNode  # noqa: E402
from grasp_interfaces.srv import RenderViews  # noqa: E402

SCENE = (Plane(), Box((-0.05, -0.05, 0.0), (0.05, 0.05, 0.06), rgb=(0, 200, 0)))
CAMERA = Intrinsics.from_fov(160, 120, 0.75)
T_BASE_CAMERA = look_at((0.0, 0.0, 0.5), (0.0, 0.0, 0.0), up=(0.0, 1.0, 0.0))
SETTINGS = {"origin_m": [-0.2, -0.2, -0.04], "size_m": [0.4, 0.4, 0.24], "threads": 2, "camera": "wrist",
            "cloud_rate_hz": 10.0, "mesh_rate_hz": 10.0, "base_frame": "base", "render_timeout_s": 3.0}  # fmt: skip
TIMEOUT_S = 20.0


class World(Node):
    """Everything around the fusion node: a camera, a transform, a client, a listener."""

    def __init__(self) -> None:
        super().__init__("world")
        self._images = {
            topic: self.create_publisher(Image, f"wrist/{topic}", qos_profile_sensor_data)
            for topic in ("color/image_raw", "depth/image_rect_raw")
        }
        self._info = self.create_publisher(CameraInfo, "wrist/depth/camera_info", qos_profile_sensor_data)
        self._static = StaticTransformBroadcaster(self)
        message = TransformStamped(header=Header(frame_id="base"), child_frame_id="wrist_optical")
        t, r = message.transform.translation, message.transform.rotation
        t.x, t.y, t.z = T_BASE_CAMERA[:3, 3].tolist()
        r.x, r.y, r.z, r.w = quaternion_of(T_BASE_CAMERA).tolist()
        self._static.sendTransform(message)
        self.render = self.create_client(RenderViews, "fusion_node/render_views")
        self.reset = self.create_client(Trigger, "fusion_node/reset")
        self.heard: dict[str, list[object]] = {}
        self._arrived = threading.Condition()

    def listen(self, kind: type, topic: str) -> None:
        def take(message: object) -> None:
            with self._arrived:
                self.heard.setdefault(topic, []).append(message)
                self._arrived.notify_all()

        self.create_subscription(kind, topic, take, 10)

    def hear(self, topic: str, wanted) -> object:
        """The first message on a topic that is wanted."""

        def found():
            return next((m for m in self.heard.get(topic, []) if wanted(m)), None)

        with self._arrived:
            assert self._arrived.wait_for(lambda: found() is not None, TIMEOUT_S), f"nothing wanted came on {topic}"
            return found()

    def send_info(self) -> None:
        info = CameraInfo(width=160, height=120)
        info.k = CAMERA.K.ravel()
        self._info.publish(info)

    def send(self, stamp_ns: int, scene=SCENE, encoding: str = "32FC1", size: int = 160) -> None:
        frame = photograph(scene, T_BASE_CAMERA, replace(CAMERA, width=size)).frame
        header = Header(stamp=Time(nanoseconds=stamp_ns).to_msg(), frame_id="wrist_optical")
        depth = frame.depth_m if encoding == "32FC1" else (1000.0 * frame.depth_m).astype(np.uint16)
        self._images["depth/image_rect_raw"].publish(ros.image_messages(depth[None], encoding, header)[0])
        self._images["color/image_raw"].publish(ros.image_messages(frame.rgb[None], "rgb8", header)[0])

    def begin(self, client, request):
        """Send a request; what is returned waits for the answer when it is called."""
        assert client.wait_for_service(TIMEOUT_S)
        done = threading.Event()
        future = client.call_async(request)
        future.add_done_callback(lambda _: done.set())

        def answer():
            assert done.wait(TIMEOUT_S), "the service did not answer"
            return future.result()

        answer.has_come = done.is_set
        return answer

    def call(self, client, request):
        return self.begin(client, request)()

    def views(self, stamp_ns: int = 0, **values) -> RenderViews.Response:
        return self.begin_views(stamp_ns, **values)()

    def begin_views(self, stamp_ns: int = 0, **values):
        q = Quaternion(**dict(zip("xyzw", quaternion_of(T_BASE_CAMERA).tolist(), strict=True)))
        pose = Pose(position=Point(x=0.0, y=0.0, z=0.4), orientation=q)
        camera = CameraInfo(width=40, height=30)
        camera.k = CAMERA.scaled(40, 30).K.ravel()
        request = {"poses": [pose, pose], "camera": camera, "want_normals": True, **values}
        header = Header(stamp=Time(nanoseconds=stamp_ns).to_msg(), frame_id=values.pop("frame_id", "base"))
        request.pop("frame_id", None)
        return self.begin(self.render, RenderViews.Request(header=header, **request))


@pytest.fixture(scope="module")
def graph():
    with domain_id() as domain, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        rclpy.init(domain_id=domain)
        overrides = [Parameter(name, value=value) for name, value in SETTINGS.items()]
        fusion, world = FusionNode(parameter_overrides=overrides), World()
        executor = MultiThreadedExecutor(6)
        for node in (fusion, world):
            executor.add_node(node)
        spinning = threading.Thread(target=executor.spin)
        spinning.start()
        world.listen(DiagnosticArray, "/diagnostics")
        yield fusion, world
        executor.shutdown()
        spinning.join(10)
        fusion.destroy_node()
        world.destroy_node()
        rclpy.try_shutdown()


def image_array(image: Image, dtype: type, channels: int = 1) -> np.ndarray:
    return np.frombuffer(image.data, dtype).reshape(image.height, image.width, channels)


def test_the_node(graph):
    fusion, world = graph
    assert world.render.wait_for_service(TIMEOUT_S)

    # Nothing fused yet: the answer says so instead of hanging.
    waited = world.views(stamp_ns=10)
    assert not waited.success
    assert "no picture as new as 10 ns" in waited.message

    # Pictures without camera_info are refused, told and counted.
    world.hear("/diagnostics", lambda m: m.status[0].level == DiagnosticStatus.STALE)
    world.send(1_000)
    refused = world.hear("/diagnostics", lambda m: "no camera_info of wrist" in m.status[0].message)
    assert refused.status[0].level == DiagnosticStatus.WARN

    world.send_info()
    for n in range(5):
        world.send(2_000_000_000 + 33_000_000 * n, encoding="16UC1" if n % 2 else "32FC1")
    views = world.views(stamp_ns=2_132_000_000)
    assert views.success, views.message
    assert [len(v) for v in (views.color, views.depth, views.normals, views.status)] == [2, 2, 2, 2]
    depth = image_array(views.depth[0], np.float32)[..., 0]
    assert depth[15, 20] == pytest.approx(0.4 - 0.06, abs=0.002)
    assert depth[2, 2] == pytest.approx(0.4, abs=0.002)
    assert image_array(views.status[0], np.uint8)[15, 20, 0] == 0
    assert image_array(views.color[0], np.uint8, 3)[15, 20].tolist() == pytest.approx([0, 200, 0], abs=3)
    np.testing.assert_allclose(image_array(views.normals[0], np.float32, 3)[15, 20], [0, 0, 1], atol=0.02)
    assert views.depth[0].header.frame_id == "base"

    # The same views asked for in the camera's frame: poses are mapped, normals turned.
    own = world.views(frame_id="wrist_optical", poses=[Pose()])
    assert image_array(own.depth[0], np.float32)[15, 20, 0] == pytest.approx(0.5 - 0.06, abs=0.002)
    np.testing.assert_allclose(image_array(own.normals[0], np.float32, 3)[15, 20], [0, 0, -1], atol=0.02)

    # What cannot be rendered is refused in a sentence.
    for values, sentence in (
        ({"poses": [Pose(orientation=Quaternion(w=0.0))]}, "norm"),
        ({"camera": CameraInfo()}, "empty"),
        ({"frame_id": "nowhere"}, "nowhere"),
    ):
        bad = world.views(**values)
        assert not bad.success
        assert sentence in bad.message.lower()

    # Cloud and mesh appear once somebody listens.
    world.listen(PointCloud2, "fusion_node/cloud")
    world.listen(Marker, "fusion_node/mesh")
    cloud = world.hear("fusion_node/cloud", lambda m: m.width > 0)
    points = np.frombuffer(cloud.data, np.float32).reshape(-1, cloud.point_step // 4)
    assert [f.name for f in cloud.fields] == ["x", "y", "z", "rgb", "normal_x", "normal_y", "normal_z"]
    assert len(points) == cloud.width > 1000
    assert -0.01 < points[:, 2].min() < points[:, 2].max() < 0.07
    marker = world.hear("fusion_node/mesh", lambda m: len(m.points) > 0)
    assert marker.type == Marker.TRIANGLE_LIST
    assert len(marker.points) == len(marker.colors) > 300
    assert len(marker.points) % 3 == 0

    # A picture of another size is refused and leaves the volume.
    frames = fusion._volume.frames
    world.send(3_000_000_000, size=80)
    world.hear("/diagnostics", lambda m: "camera_info says 160 x 120" in m.status[0].message)
    world.send(2_500_000_000)
    world.hear("/diagnostics", lambda m: "fused" in [v.key for v in m.status[0].values if v.value == str(frames + 1)])
    world.send(1_500_000_000)
    world.hear("/diagnostics", lambda m: "older than the newest" in m.status[0].message)

    forgotten = world.call(world.reset, Trigger.Request())
    assert forgotten.success
    assert forgotten.message == f"forgot {frames + 1} pictures"
    empty = world.views()
    assert not np.isfinite(image_array(empty.depth[0], np.float32)).any()


def test_render_views_waits_for_the_picture_that_its_stamp_asks_for(graph):
    fusion, world = graph
    world.call(world.reset, Trigger.Request())
    world.send_info()
    wanted_ns = 5_000_000_000
    answer = world.begin_views(wanted_ns, poses=[Pose(position=Point(z=0.4), orientation=Quaternion(x=1.0, w=0.0))])
    # An older picture, of the bare table, is fused and does not do; neither does it hold up the next.
    world.send(wanted_ns - 33_000_000, scene=SCENE[:1])
    assert fusion._volume.wait_for(wanted_ns - 33_000_000, TIMEOUT_S)
    assert not answer.has_come()
    world.send(wanted_ns)
    views = answer()
    assert views.success, views.message
    assert ros.stamp_ns(views.depth[0].header.stamp) == wanted_ns
    assert image_array(views.depth[0], np.float32)[15, 20, 0] == pytest.approx(0.4 - 0.06, abs=0.01)


def test_parameters_are_described_bounded_and_read_only(graph):
    fusion, _ = graph
    described = fusion.describe_parameters(["voxel_m", "queue_length", "alpha", "origin_m", "threads"])
    assert all(d.description and d.read_only for d in described)
    assert described[0].floating_point_range[0].to_value == pytest.approx(0.2)
    assert described[1].integer_range[0].to_value == 30
    assert "0: none" in described[4].description
    assert not fusion.set_parameters([Parameter("voxel_m", value=0.01)])[0].successful
