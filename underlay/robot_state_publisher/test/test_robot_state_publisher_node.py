# SPDX-License-Identifier: Apache-2.0
"""The node over a real graph, in one process with its users."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys

import domain_coordinator
import pytest

TIMEOUT_S = 20.0
URDF = (  # in one line, because a parameter on the command line is YAML, which folds line breaks
    '<robot name="arm"><link name="base"/><link name="upper"/><link name="tool"/>'
    '<joint name="shoulder" type="revolute"><parent link="base"/><child link="upper"/><axis xyz="0 0 1"/></joint>'
    '<joint name="flange" type="fixed"><parent link="upper"/><child link="tool"/><origin xyz="{reach} 0 0"/></joint>'
    "</robot>"
)


@pytest.fixture(scope="module")
def ros():
    """rclpy in a domain of its own, on this machine only."""
    import rclpy

    with domain_coordinator.domain_id() as domain:
        before = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE")
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
        arguments = ["--ros-args", "-p", f"robot_description:={URDF.format(reach=0.5)}", "-p", "frame_prefix:=left/"]
        rclpy.init(domain_id=domain, args=arguments)
        yield rclpy
        rclpy.try_shutdown()
        if before is None:
            del os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"]
        else:
            os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = before


@pytest.fixture
def graph(ros):
    """The node, and a user of it with a buffer and a way to spin both until something holds."""
    from rclpy.executors import SingleThreadedExecutor
    from robot_state_publisher.robot_state_publisher_node import RobotStatePublisher
    from tf2_ros import Buffer, TransformListener

    publisher, user = RobotStatePublisher(), ros.create_node("user", use_global_arguments=False)
    buffer = Buffer()
    listener = TransformListener(buffer, user)
    executor = SingleThreadedExecutor()
    executor.add_node(publisher)
    executor.add_node(user)

    def spin_until(future) -> None:
        executor.spin_until_future_complete(future, timeout_sec=TIMEOUT_S)
        assert future.done(), "nothing came within the time allowed"

    yield publisher, user, buffer, spin_until
    executor.shutdown()
    listener.unregister()
    user.destroy_node()
    publisher.destroy_node()


def test_joint_states_become_transforms_and_the_description_is_latched(graph):
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from rclpy.task import Future
    from rclpy.time import Time
    from sensor_msgs.msg import JointState
    from std_msgs.msg import String

    _, user, buffer, spin_until = graph
    joint_states = user.create_publisher(JointState, "joint_states", 10)
    state = JointState(name=["shoulder", "another robot's"], position=[math.pi / 2, 1.0])
    broken = JointState(name=["shoulder"], position=[])
    unknown = JointState(name=["shoulder"], position=[math.nan])

    def send() -> None:
        for message in (broken, unknown, state):
            message.header.stamp = user.get_clock().now().to_msg()
            joint_states.publish(message)

    user.create_timer(0.1, send)
    spin_until(buffer.wait_for_transform_async("left/base", "left/tool", Time()))
    found = buffer.lookup_transform("left/base", "left/tool", Time()).transform
    assert (found.translation.x, found.translation.y) == pytest.approx((0.0, 0.5), abs=1e-9)
    assert found.rotation.z == pytest.approx(math.sin(math.pi / 4))

    description: Future = Future()
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    user.create_subscription(String, "robot_description", description.set_result, latched)
    spin_until(description)
    assert description.result().data == URDF.format(reach=0.5)


def test_the_description_can_be_changed_and_a_wrong_one_is_refused(graph):
    from rclpy.parameter import Parameter
    from rclpy.task import Future
    from tf2_msgs.msg import TFMessage

    publisher, user, _, spin_until = graph
    (refused,) = publisher.set_parameters([Parameter("robot_description", value="<robot/>")])
    assert not refused.successful
    assert "root link" in refused.reason
    (refused,) = publisher.set_parameters([Parameter("publish_frequency", value=0.0)])
    assert not refused.successful
    assert "0.0 Hz" in refused.reason
    (accepted,) = publisher.set_parameters([Parameter("robot_description", value=URDF.format(reach=0.7))])
    assert accepted.successful

    changed: Future = Future()

    def on_static(message: TFMessage) -> None:
        if any(each.transform.translation.x == 0.7 for each in message.transforms) and not changed.done():
            changed.set_result(message)

    user.create_subscription(TFMessage, "/tf_static", on_static, publisher._tf_static.pub_tf.qos_profile)
    spin_until(changed)
    assert [each.child_frame_id for each in changed.result().transforms] == ["left/tool"]


def start(*arguments: str, domain: int) -> subprocess.Popen:
    """The node as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "robot_state_publisher.robot_state_publisher_node", *arguments],
        env={**os.environ, "ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["robot.urdf"], 2, "takes no arguments"),
        ([], 1, "robot_description is empty"),
        (["--ros-args", "-p", "publish_frequency:=10"], 1, "'publish_frequency' to '10' of type 'INTEGER'"),
        (["--ros-args", "-p", "use_robot_description_topic:=true"], 1, "not part of this stand-in"),
    ],
)
def test_a_node_that_cannot_run_says_why_and_ends(arguments, status, message):
    with domain_coordinator.domain_id() as domain, start(*arguments, domain=domain) as process:
        _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == status
    assert message in errors
    assert "Traceback" not in errors


def test_an_interrupt_ends_the_node_without_a_complaint():
    description = f"robot_description:={URDF.format(reach=1)}"
    with domain_coordinator.domain_id() as domain, start("--ros-args", "-p", description, domain=domain) as process:
        assert "robot 'arm' with 2 joints" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0
    assert "Traceback" not in errors
