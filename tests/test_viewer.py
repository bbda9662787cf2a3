# SPDX-License-Identifier: Apache-2.0
"""The viewer node before a graph of stand-ins: what buttons do, what is listened to when, what is missing is said."""

import os
import socket
import threading

import numpy as np
import pytest

pytestmark = [pytest.mark.graph, pytest.mark.timeout(120)]
pytest.importorskip("grasp_interfaces.action", reason="grasp_interfaces is not built; run the tests through ./ws test")
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")

import rclpy  # noqa: E402
from domain_coordinator import domain_id  # noqa: E402
from graph import wait_until  # noqa: E402
from rclpy.action import ActionServer, CancelResponse  # noqa: E402
from rclpy.callback_groups import ReentrantCallbackGroup  # noqa: E402
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from std_msgs.msg import String  # noqa: E402

from grasp_core.ros_running import leave_graph  # noqa: E402
from grasp_description import cell_urdf  # noqa: E402
from grasp_interfaces.action import RunEpisodes  # noqa: E402
from grasp_interfaces.msg import EpisodeStep, PolicyAction  # noqa: E402
from grasp_interfaces.srv import ResetScene  # noqa: E402
from grasp_viewer.panels import Request  # noqa: E402
from grasp_viewer.viewer import Viewer  # noqa: E402
from grasp_viewer.viewer_node import ViewerNode  # noqa: E402

COLOUR = "/fixed_camera/color/image_raw"
LATEST = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class StandIn:
    """The part of a graph that the viewer calls."""

    def __init__(self, context):
        self.node = rclpy.create_node("stand_in", context=context)
        self.goals, self.scenes, self.cancelled = [], [], threading.Event()
        group = ReentrantCallbackGroup()
        self.server = ActionServer(
            self.node, RunEpisodes, "run_episodes", self.run, callback_group=group,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )  # fmt: skip
        self.node.create_service(ResetScene, "reset_scene", self.reset, callback_group=group)
        self.colour = self.node.create_publisher(Image, COLOUR, qos_profile_sensor_data)
        self.steps = self.node.create_publisher(EpisodeStep, "/episode_manager/step", 50)
        self.map = self.node.create_publisher(Image, "/policy/maps/grasp_q", LATEST)
        self.description = self.node.create_publisher(String, "/robot_description", LATEST)

    def run(self, goal):
        self.goals.append(goal.request)
        wait_until(lambda: goal.is_cancel_requested, 30.0)
        goal.canceled()
        self.cancelled.set()
        return RunEpisodes.Result(message="cancelled")

    def reset(self, request, response):
        self.scenes.append((request.scene, request.seed, request.objects))
        response.success, response.objects = True, 4
        return response


@pytest.fixture
def stage(monkeypatch):
    """The viewer's node, the stand-in, and a switch for whether somebody looks."""
    watched = threading.Event()
    monkeypatch.setattr(Viewer, "watched", property(lambda _: watched.is_set()))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with domain_id() as domain:
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=domain)
        node = ViewerNode(context=context, parameter_overrides=[Parameter("port", value=port)])
        stand_in = StandIn(context)
        executors = [SingleThreadedExecutor(context=context), MultiThreadedExecutor(2, context=context)]
        threads = []
        for executor, member in zip(executors, (node, stand_in.node), strict=True):
            executor.add_node(member)
            threads.append(threading.Thread(target=executor.spin, daemon=True))
            threads[-1].start()
        yield node, stand_in, watched
        for executor in executors:
            executor.shutdown(5.0)
        for thread in threads:
            thread.join(5.0)
        for each in (node, stand_in.node):
            leave_graph(each)
        rclpy.shutdown(context=context)


def answer(node):
    return node.page.panels._answer.content


def press(node, kind, **given):
    values = {"scene": "blocks", "objects": 4, "seed": 7, "episodes": 2, **given}
    node.page.panels.requests.put(Request(kind, **values))


def test_buttons_start_stop_and_make_scenes(stage):
    node, stand_in, watched = stage
    watched.set()
    assert wait_until(lambda: node._run.server_is_ready() and node._reset.service_is_ready())
    press(node, "new_scene")
    assert wait_until(lambda: stand_in.scenes == [("blocks", 7, 4)])
    assert wait_until(lambda: answer(node) == "a new scene with 4 objects"), answer(node)
    press(node, "start")
    assert wait_until(lambda: len(stand_in.goals) == 1)
    goal = stand_in.goals[0]
    assert (goal.episodes, goal.scene, goal.objects, goal.seed, goal.record) == (2, "blocks", 4, 7, True)
    assert wait_until(lambda: node._running)
    press(node, "new_scene")
    assert wait_until(lambda: "stop them first" in answer(node)), answer(node)
    assert len(stand_in.scenes) == 1
    press(node, "stop")
    assert stand_in.cancelled.wait(20.0)
    assert wait_until(lambda: not node._running)


def test_topics_are_listened_to_only_while_somebody_looks(stage):
    node, stand_in, watched = stage
    stand_in.map.publish(Image(height=1, width=1, encoding="32FC1", step=4, data=bytes(4)))
    assert wait_until(lambda: node.count_publishers(COLOUR) == 1)
    assert stand_in.colour.get_subscription_count() == 0
    watched.set()
    assert wait_until(lambda: stand_in.colour.get_subscription_count() == 1)
    pink = np.tile(np.array((255, 0, 200), np.uint8), (6, 8, 1))
    picture = Image(height=6, width=8, encoding="rgb8", step=24, data=pink.tobytes())
    panels = node.page.panels

    def shown():
        stand_in.colour.publish(picture)
        # Small pictures are enlarged on the page.
        image = panels._picture.image
        return image.shape[0] * 8 == image.shape[1] * 6 and bool((image == pink[0, 0]).all())

    assert wait_until(shown)
    assert wait_until(lambda: panels.map == "grasp_q" and panels._map_picture.label.startswith("grasp_q"))
    watched.clear()
    assert wait_until(lambda: stand_in.colour.get_subscription_count() == 0)


def test_what_is_missing_is_said_and_nonsense_harms_nothing(stage):
    node, stand_in, watched = stage
    watched.set()
    panels = node.page.panels
    assert wait_until(lambda: "| `/joint_states` | nothing yet |" in panels._topics.content), panels._topics.content
    assert wait_until(lambda: panels._picture.label == "nothing comes from fixed_camera")
    broken = Image(height=60, width=80, encoding="rgb8", step=240, data=bytes(5))

    def refused():
        stand_in.colour.publish(broken)
        return "the picture cannot be shown" in answer(node)

    assert wait_until(refused), answer(node)
    stand_in.description.publish(String(data="<robot"))
    assert wait_until(lambda: "the robot cannot be shown" in answer(node)), answer(node)
    stand_in.description.publish(String(data=cell_urdf("ur5")))
    assert wait_until(lambda: node.page.scene.T_base_frame("grasp_tcp") is not None)
    # Counted also while nobody looks.
    watched.clear()
    step = EpisodeStep(executed=True, success=1, value=0.9, objects_left=3)
    step.requested.kind = PolicyAction.GRASP
    stand_in.steps.publish(step)
    assert wait_until(lambda: node._counts.successes == 1)
    watched.set()
    assert wait_until(lambda: "**1** of **1** grasps held (100 %)" in panels._counts.content)
    assert wait_until(lambda: "grasp 0.90 succeeded, 3 left" in panels._recent.content)
