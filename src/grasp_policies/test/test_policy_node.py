# SPDX-License-Identifier: Apache-2.0
"""The policy node on pictures that the test publishes: decisions, silence, failures, all told in words."""

import threading
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS is not set up; run the tests through ./ws test")
pytest.importorskip("grasp_interfaces.action", reason="grasp_interfaces is not built; run the tests through ./ws test")

import rclpy
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from rclpy.action import ActionClient
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.duration import Duration
from rclpy.executors import MultiThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, JointState
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from grasp_core.actions import Grasp, Push, Stop
from grasp_core.camera import Intrinsics
from grasp_core.cell_config import CellConfig
from grasp_core.config import ConfigError
from grasp_core.geometry import look_at, quaternion_of, top_down
from grasp_core.policy import CameraNeed, Candidate, Decision
from grasp_core.ports import StateError
from grasp_core.resources import ResourceError, find, find_checkpoint
from grasp_core.ros_running import leave_graph
from grasp_interfaces.action import Infer
from grasp_interfaces.msg import Decision as DecisionMsg
from grasp_interfaces.msg import PolicyAction
from grasp_policies import ros_conversions as ros
from grasp_policies.node_config import PolicyNodeConfig, choose_cameras
from grasp_policies.policy_node import PolicyNode
from grasp_policies.ros_pictures import Pictures

CAMERA = Intrinsics.from_fov(320, 240, 0.6)
T_BASE_CAMERA = look_at((0.5, 0.0, 1.2), (0.5, 0.0, 0.0), (1.0, 0.0, 0.0))
UR5 = CellConfig.from_yaml(find("config", "cells/ur5.yaml"))
WAIT_S = 20.0


class World:
    """A camera over a table with one box, the robot's joints and frames, and a client of ``infer``."""

    def __init__(self, context):
        self.node = rclpy.create_node("world", context=context)
        self.color = self.node.create_publisher(Image, "fixed_camera/color/image_raw", qos_profile_sensor_data)
        self.depth = self.node.create_publisher(Image, "fixed_camera/depth/image_rect_raw", qos_profile_sensor_data)
        self.info = self.node.create_publisher(CameraInfo, "fixed_camera/color/camera_info", qos_profile_sensor_data)
        self.joints = self.node.create_publisher(JointState, "joint_states", 10)
        latest = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.tf = self.node.create_publisher(TFMessage, "/tf_static", latest)
        self.client = ActionClient(self.node, Infer, "infer")
        self.heard = {}
        for kind, topic in ((DecisionMsg, "decision"), (MarkerArray, "markers"), (Image, "maps/height_m")):
            keep = lambda message, topic=topic: self.heard.__setitem__(topic, message)  # noqa: E731
            self.node.create_subscription(kind, f"policy/{topic}", keep, latest)
        observed = "policy/observed/fixed_camera/depth/image_rect_raw"
        self.node.create_subscription(Image, observed, lambda m: self.heard.__setitem__("observed", m), 5)
        self.on = True
        self.broken, self.late_s = False, 0.0
        self.tf.publish(TFMessage(transforms=[self.frame("fixed_camera_optical_frame", T_BASE_CAMERA),
                                              self.frame("grasp_tcp", top_down((0.5, 0.0, 0.3)))]))  # fmt: skip
        self.node.create_timer(0.05, self.show)

    def frame(self, child, T):
        message = TransformStamped(child_frame_id=child)
        message.header.frame_id = "world"
        moved = message.transform
        moved.translation.x, moved.translation.y, moved.translation.z = T[:3, 3].tolist()
        moved.rotation.x, moved.rotation.y, moved.rotation.z, moved.rotation.w = quaternion_of(T).tolist()
        return message

    def show(self):
        if not self.on:
            return
        depth = np.full((240, 320), 1.2, np.float32)
        depth[100:120, 150:162] = 1.15
        now = (self.node.get_clock().now() - Duration(seconds=self.late_s)).to_msg()
        info = CameraInfo(width=320, height=240, k=CAMERA.K.ravel())
        color = Image(height=240, width=320, encoding="rgb8", step=960, data=np.full(240 * 960, 90, np.uint8).tobytes())
        picture = Image(height=240, width=320, encoding="32FC1", step=1280, data=depth.tobytes())
        if self.broken:
            picture.encoding = "bayer"
        for message, publisher in ((info, self.info), (color, self.color), (picture, self.depth)):
            message.header.stamp, message.header.frame_id = now, "fixed_camera_optical_frame"
            publisher.publish(message)
        self.joints.publish(JointState(name=["elbow_joint"], position=[1.0]))

    def infer(self, **goal):
        done = threading.Event()
        assert self.client.wait_for_server(WAIT_S)
        sent = self.client.send_goal_async(Infer.Goal(steps_left=-1, **goal))
        sent.add_done_callback(lambda _: done.set())
        assert done.wait(WAIT_S)
        done.clear()
        answer = sent.result().get_result_async()
        answer.add_done_callback(lambda _: done.set())
        assert done.wait(WAIT_S), "the policy did not answer"
        return answer.result().result


@pytest.fixture(scope="module")
def graph():
    context = rclpy.Context()
    rclpy.init(context=context)
    node = PolicyNode(context=context, parameter_overrides=[
        Parameter("first_picture_s", value=10.0), Parameter("late_pictures_s", value=1.0)])  # fmt: skip
    world = World(context)
    executor = MultiThreadedExecutor(num_threads=6, context=context)
    for each in (node, world.node):
        executor.add_node(each)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield node, world
    executor.shutdown()
    thread.join(10)
    for each in (node, world.node):
        leave_graph(each)
    rclpy.shutdown(context=context)


def test_it_decides_on_what_the_camera_shows_and_tells_why(graph):
    _, world = graph
    result = world.infer(reset=True, seed=1, want_maps=True)
    assert result.success, result.message
    action = result.decision.action
    assert action.kind == PolicyAction.GRASP
    assert action.header.frame_id == "world"
    assert 0.45 < action.grasp.pose.position.x < 0.62
    assert result.decision.value > 0.5
    assert {"picture", "observation", "heightmap", "search"} <= {stage.stage for stage in result.decision.stages}
    assert dict(zip(result.decision.map_names, result.decision.maps, strict=True))["height_m"].encoding == "32FC1"
    deadline = time.monotonic() + WAIT_S
    while len(world.heard) < 4 and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    assert set(world.heard) == {"decision", "markers", "maps/height_m", "observed"}
    assert world.heard["decision"].maps == [], "maps are published apart"
    assert {marker.ns for marker in world.heard["markers"].markers if marker.ns} == {"chosen"}
    assert world.heard["observed"].encoding == "32FC1"
    assert not world.infer().decision.maps


def test_a_picture_from_before_the_last_action_is_not_decided_on(graph):
    _, world = graph
    now = world.node.get_clock().now().nanoseconds + 200_000_000
    result = world.infer(not_before=Time(sec=now // 10**9, nanosec=now % 10**9))
    assert result.success, result.message
    stamp = result.decision.action.header.stamp
    assert stamp.sec * 10**9 + stamp.nanosec >= now


def test_a_silent_camera_is_told_in_words_and_the_node_goes_on(graph):
    _, world = graph
    world.on = False
    begin = time.monotonic()
    result = world.infer(not_before=world.node.get_clock().now().to_msg())
    took_s = time.monotonic() - begin
    world.on = True
    assert (result.success, result.reason) == (False, "stale_state")
    assert "fixed_camera was silent for 0.5 s" in result.message
    assert took_s < 10.0
    assert world.infer().success


def test_a_camera_whose_pictures_all_come_too_late_does_not_hold_up_a_decision_for_ever(graph):
    _, world = graph
    world.late_s = 1.5
    try:
        result = world.infer(not_before=world.node.get_clock().now().to_msg())
    finally:
        world.late_s = 0.0
    assert (result.success, result.reason) == (False, "stale_state")
    assert "come too late" in result.message
    assert world.infer().success


def test_pictures_that_cannot_be_read_and_a_policy_that_raises_are_told_in_words(graph, monkeypatch):
    node, world = graph
    world.broken = True
    result = world.infer(not_before=world.node.get_clock().now().to_msg())
    world.broken = False
    assert result.reason == "stale_state"
    assert "bayer" in result.message
    fresh = world.node.get_clock().now().to_msg()

    def fail(_):
        raise ZeroDivisionError("no gripper is that wide")

    with monkeypatch.context() as patch:
        patch.setattr(node._policy, "act", fail)
        result = world.infer(not_before=fresh)
    assert (result.success, result.reason) == (False, "policy_failed")
    assert "ZeroDivisionError: no gripper is that wide" in result.message
    assert world.infer(not_before=world.node.get_clock().now().to_msg()).success


def test_every_kind_of_action_gets_its_message_and_its_markers():
    push = Push(np.array([0.5, 0.0, 0.02]), np.array([0.0, 1.0, 0.0]), 0.1)
    decision = Decision(push, 0.9, (Candidate(Grasp(top_down((0.4, 0.0, 0.02)), 0.06), 0.4), Candidate(Stop("x"), 0.1)))
    header = ros.Header(frame_id="world")
    message = ros.decision_message(decision, header, False)
    assert [c.action.kind for c in message.candidates] == [PolicyAction.GRASP, PolicyAction.STOP]
    assert (message.action.kind, message.action.push.length) == (PolicyAction.PUSH, 0.1)
    markers = ros.decision_markers(decision, header).markers
    assert [m.ns for m in markers] == ["", "chosen", "candidates", "candidates", "candidates"]
    assert markers[1].color.g > markers[2].color.a


def test_cameras_are_chosen_by_what_a_policy_needs():
    assert list(choose_cameras((CameraNeed(None, 320, 240, depth=True),), UR5)) == ["fixed_camera"]
    assert list(choose_cameras((CameraNeed("wrist_camera"),), UR5)) == ["wrist_camera"]
    with pytest.raises(ConfigError, match=r"no camera .* of at least 4000 x 240; it has fixed_camera, wrist_camera"):
        choose_cameras((CameraNeed(None, 4000, 240),), UR5)


def test_wrong_options_and_checkpoints_are_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match="no JSON"):
        PolicyNodeConfig(options="{").load_policy()
    with pytest.raises(ConfigError, match="no JSON object"):
        PolicyNodeConfig(options="[1]").load_policy()
    with pytest.raises(LookupError, match="nothing named 'moon'"):
        PolicyNodeConfig(policy="moon").load_policy()
    with pytest.raises(ConfigError, match="learning_rate at 0"):
        PolicyNodeConfig(policy="push_grasp", options='{"learning_rate": 1e-5}').load_policy()
    assert find_checkpoint("") is None
    assert find_checkpoint(str(tmp_path)) == tmp_path
    with pytest.raises(ResourceError, match="models/moon"):
        find_checkpoint("moon")
    with pytest.raises(ResourceError, match=r"runs/moon: there is no such folder or file, here or in models/$"):
        find_checkpoint("runs/moon")


@pytest.mark.parametrize("before", [True, False])
def test_who_waits_for_a_picture_is_told_when_that_is_given_up(graph, before):
    _, world = graph
    config = PolicyNodeConfig(first_picture_s=20.0)
    group = MutuallyExclusiveCallbackGroup()
    need = CameraNeed(rgb=True)
    pictures = Pictures(
        world.node,
        "wrist_camera",
        CellConfig.from_yaml(find("config", "cells/ur5.yaml")).cameras["wrist_camera"],
        need,
        config,
        group,
    )
    if before:
        pictures.give_up()
    else:
        threading.Timer(0.1, pictures.give_up).start()
    begin = time.monotonic()
    with pytest.raises(StateError, match="told to stop while waiting for a picture of wrist_camera"):
        pictures.wait(0)
    assert time.monotonic() - begin < 10.0
