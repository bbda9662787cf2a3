# SPDX-License-Identifier: Apache-2.0
"""The driver nodes before loopback controllers: what a client of the simulator expects holds here too, and more."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from graph import wait_until

pytestmark = [pytest.mark.graph, pytest.mark.timeout(240)]
rclpy = pytest.importorskip("rclpy")

from action_msgs.msg import GoalStatus  # noqa: E402
from control_msgs.action import FollowJointTrajectory, GripperCommand, ParallelGripperCommand  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from domain_coordinator import domain_id  # noqa: E402
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue  # noqa: E402
from rcl_interfaces.srv import SetParameters  # noqa: E402
from rclpy.duration import Duration  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from sensor_msgs.msg import JointState  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint  # noqa: E402

from grasp_control.loopback.process import loopback  # noqa: E402
from grasp_core.ros_running import leave_graph  # noqa: E402
from grasp_episodes.ros_calls import OrderedActionClient  # noqa: E402

WAIT_S = 60.0
JOINTS = [
    "shoulder_pan_joint",
    "shoulder_lift_joint",
    "elbow_joint",
    "wrist_1_joint",
    "wrist_2_joint",
    "wrist_3_joint",
]
FOLLOW = (FollowJointTrajectory, "/arm_controller/follow_joint_trajectory")


@contextlib.contextmanager
def running(module: str, domain: int, **parameters):
    words = [word for name, value in parameters.items() for word in ("-p", f"{name}:={value}")]
    process = subprocess.Popen(
        [sys.executable, "-m", f"grasp_control.{module}", "--ros-args", *words],
        env={**os.environ, "ROS_DOMAIN_ID": str(domain)},
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


class Client:
    """A node spun in a thread; ``state`` and ``problems`` are the newest by name."""

    def __init__(self, domain):
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node("test_client", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.state, self.problems, self.feedback = {}, {}, []
        self.node.create_subscription(JointState, "/joint_states", self._remember, 10)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._diagnose, 10)
        self.steps = self.node.create_publisher(JointTrajectory, "/arm_controller/joint_trajectory", 1)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()

    def _remember(self, message):
        self.state.update(zip(message.name, message.position, strict=True))

    def _diagnose(self, message):
        self.problems.update({status.name: status.message for status in message.status})

    def wait(self, future, timeout_s=WAIT_S):
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        assert done.wait(timeout_s), "no answer in time"
        return future.result()

    def send(self, kind, name, goal):
        client = OrderedActionClient(self.node, kind, name)
        assert client.wait_for_server(WAIT_S), f"nobody offers {name}"
        return self.wait(client.send_goal_async(goal, feedback_callback=self.feedback.append))

    def call(self, kind, name, request):
        client = self.node.create_client(kind, name)
        assert client.wait_for_service(WAIT_S), f"nobody offers {name}"
        return self.wait(client.call_async(request))

    def close(self):
        self.executor.shutdown()
        self.thread.join(10)
        leave_graph(self.node)
        rclpy.shutdown(context=self.context)


@pytest.fixture(scope="module")
def graph():
    with domain_id() as domain, loopback(controller="cb3", unlock_after_s=0.2) as robot:
        wire = f"'{{host: {robot.host}, port: {robot.settings.modbus_port}, motion_s: 2.0}}'"
        # Late is not frozen on a machine that runs many tests at once.
        patience = "'{stale_s: 0.4, reconnect_s: 1.0}'"
        with (
            running("arm_node", domain, robot_ip=robot.host, speed_scale=0.5, options=patience),
            running("gripper_node", domain, options=wire),
        ):
            client = Client(domain)
            assert wait_until(lambda: {*JOINTS, "finger_joint"} <= set(client.state), WAIT_S)
            yield client, robot
            client.close()


@pytest.fixture
def client(graph):
    client, robot = graph
    assert wait_until(lambda: client.problems.get("arm_driver: arm") == "ready", WAIT_S), client.problems
    yield client
    robot.fault("clear")


def point(at_s, pan, *others):
    ready = [0.0, -1.5708, 1.5708, -1.5708, -1.5708, 0.0]
    row = JointTrajectoryPoint(positions=[pan, *(others or ready[1:])])
    row.time_from_start.sec, row.time_from_start.nanosec = int(at_s), int((at_s % 1) * 1e9)
    return row


def follow(*points):
    return FollowJointTrajectory.Goal(trajectory=JointTrajectory(joint_names=JOINTS, points=list(points)))


def answer(client, goal):
    handle = client.send(*FOLLOW, goal)
    assert handle.accepted
    return client.wait(handle.get_result_async())


def test_a_trajectory_is_followed_and_told_of(client):
    client.feedback.clear()
    found = answer(client, follow(point(1.0, 0.1), point(2.0, 0.2)))
    assert (found.status, found.result.error_code) == (GoalStatus.STATUS_SUCCEEDED, 0), found.result.error_string
    assert wait_until(lambda: abs(client.state["shoulder_pan_joint"] - 0.2) < 0.01)
    assert client.feedback[0].feedback.joint_names == JOINTS


def test_a_cancelled_motion_comes_to_rest(client):
    handle = client.send(*FOLLOW, follow(point(6.0, 1.2)))
    began = client.state["shoulder_pan_joint"]
    assert wait_until(lambda: abs(client.state["shoulder_pan_joint"] - began) > 0.05)
    client.wait(handle.cancel_goal_async())
    found = client.wait(handle.get_result_async())
    assert found.status == GoalStatus.STATUS_CANCELED


def test_a_newer_goal_takes_over(client):
    first = client.send(*FOLLOW, follow(point(6.0, 1.0)))
    second = client.send(*FOLLOW, follow(point(1.5, 0.0)))
    gone = client.wait(first.get_result_async())
    assert (gone.status, gone.result.error_code) == (GoalStatus.STATUS_ABORTED, -1)
    assert client.wait(second.get_result_async()).status == GoalStatus.STATUS_SUCCEEDED


def test_what_makes_no_sense_is_rejected(client):
    assert not client.send(*FOLLOW, follow(point(1.0, float("nan")))).accepted
    stranger = FollowJointTrajectory.Goal(trajectory=JointTrajectory(joint_names=["knee"], points=[point(1.0, 0.0)]))
    assert not client.send(*FOLLOW, stranger).accepted


def test_a_stamp_is_when_a_trajectory_begins(client):
    goal = follow(point(0.5, client.state["shoulder_pan_joint"]))
    now = client.node.get_clock().now()
    goal.trajectory.header.stamp = (now - Duration(seconds=2.0)).to_msg()
    assert not client.send(*FOLLOW, goal).accepted, "it was over before it was sent"
    goal.trajectory.header.stamp = (now + Duration(seconds=1.5)).to_msg()
    assert answer(client, goal).status == GoalStatus.STATUS_SUCCEEDED
    assert client.node.get_clock().now() > now + Duration(seconds=1.5)


def test_the_guard_refuses_what_leaves_its_limits(client):
    into_the_table = follow(point(2.0, 0.0, -0.2, 1.5708, -1.5708, -1.5708, 0.0))
    found = answer(client, into_the_table)
    assert (found.status, found.result.error_code) == (GoalStatus.STATUS_ABORTED, -1)
    assert "motion box" in found.result.error_string
    beyond = answer(client, follow(point(9.0, 7.0)))
    assert "range" in beyond.result.error_string


def test_the_e_stop_works_while_a_motion_runs_and_holds_until_released(client):
    handle = client.send(*FOLLOW, follow(point(6.0, 1.0)))
    began = client.state["shoulder_pan_joint"]
    assert wait_until(lambda: abs(client.state["shoulder_pan_joint"] - began) > 0.03)
    assert client.call(Trigger, "/e_stop", Trigger.Request()).success
    found = client.wait(handle.get_result_async())
    assert (found.status, found.result.error_string) == (GoalStatus.STATUS_ABORTED, "halted")
    refused = answer(client, follow(point(2.0, 0.0)))
    assert "halted" in refused.result.error_string
    assert client.call(Trigger, "/e_stop_release", Trigger.Request()).success
    assert answer(client, follow(point(2.0, 0.0))).status == GoalStatus.STATUS_SUCCEEDED


def test_a_protective_stop_is_told_and_recovered(client, graph):
    _, robot = graph
    handle = client.send(*FOLLOW, follow(point(6.0, 1.0)))
    assert wait_until(lambda: abs(client.state["shoulder_pan_joint"]) > 0.03)
    robot.fault("protective_stop")
    found = client.wait(handle.get_result_async())
    assert "protective stop" in found.result.error_string
    assert wait_until(lambda: "protective stop" in client.problems["arm_driver: arm"])
    recovered = client.call(Trigger, "/arm_driver/recover", Trigger.Request())
    assert recovered.success, recovered.message
    assert answer(client, follow(point(2.0, 0.0))).status == GoalStatus.STATUS_SUCCEEDED


def set_speed_scale(client, value):
    number = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
    request = SetParameters.Request(parameters=[Parameter(name="speed_scale", value=number)])
    return client.call(SetParameters, "/arm_driver/set_parameters", request).results[0]


def test_speed_scale_may_be_set_and_is_kept_to(client):
    assert not set_speed_scale(client, 1.5).successful
    assert set_speed_scale(client, 0.1).successful
    began = time.monotonic()
    assert answer(client, follow(point(0.5, 0.4))).status == GoalStatus.STATUS_SUCCEEDED
    # 0.4 rad at a tenth of pi rad/s.
    assert time.monotonic() - began > 0.4 / (0.1 * np.pi)
    assert set_speed_scale(client, 0.5).successful
    answer(client, follow(point(2.0, 0.0)))


def test_a_streamed_step_moves_and_stops_by_itself_and_a_long_one_is_left_out(client):
    began = client.state["shoulder_pan_joint"]
    message = JointTrajectory(joint_names=JOINTS, points=[point(0.5, began + 0.08)])
    assert wait_until(lambda: client.steps.get_subscription_count() > 0)
    client.steps.publish(message)
    assert wait_until(lambda: client.state["shoulder_pan_joint"] > began + 0.01)
    client.steps.publish(JointTrajectory(joint_names=JOINTS, points=[point(0.5, began + 1.0)]))
    assert not wait_until(lambda: client.state["shoulder_pan_joint"] > began + 0.1, 1.0)
    answer(client, follow(point(2.0, 0.0)))


def grip(client, width, effort=20.0):
    goal = GripperCommand.Goal()
    goal.command.position, goal.command.max_effort = width, effort
    handle = client.send(GripperCommand, "/gripper_controller/gripper_cmd", goal)
    assert handle.accepted
    return client.wait(handle.get_result_async())


def test_the_gripper_grips_under_both_types(client, graph):
    _, robot = graph
    assert grip(client, 0.11).result.reached_goal
    robot.fault("object", width_m=0.05)
    held = grip(client, 0.0).result
    assert (held.stalled, held.reached_goal) == (True, False)
    assert held.position == pytest.approx(0.05, abs=2e-3)
    goal = ParallelGripperCommand.Goal()
    goal.command.position = [0.09]
    client.feedback.clear()
    handle = client.send(ParallelGripperCommand, "/gripper_controller/parallel_gripper_cmd", goal)
    found = client.wait(handle.get_result_async()).result
    assert found.reached_goal
    assert found.state.position[0] == pytest.approx(0.09, abs=2e-3)
    widths = [told.feedback.state.position[0] for told in client.feedback]
    assert min(widths) < 0.08, "it told nothing on the way"
    goal.command.position = [float("nan")]
    assert not client.send(ParallelGripperCommand, "/gripper_controller/parallel_gripper_cmd", goal).accepted


def test_a_silent_gripper_is_told_and_its_goal_ends(client, graph):
    _, robot = graph
    robot.fault("gripper_silent", on=True)
    assert grip(client, 0.02).status == GoalStatus.STATUS_ABORTED
    assert wait_until(lambda: "no reply" in client.problems.get("gripper_driver: gripper", ""))
    robot.fault("gripper_silent", on=False)
    assert wait_until(lambda: client.problems["gripper_driver: gripper"] == "ready", WAIT_S)
    assert grip(client, 0.08).result.reached_goal


BREAKS_DOWN = """
from types import SimpleNamespace
from rclpy.node import Node
from grasp_control.ros_running import run_driver

class Driver(Node):
    def __init__(self):
        super().__init__("driver")
        self.failure = None
        self.create_timer(0.1, self.fail)
    def fail(self):
        self.failure = ValueError("nobody hears of the arm")
    def rest(self):
        print("at rest", flush=True)
    def close(self):
        print("closed", flush=True)

run_driver("driver_node", Driver, 2)
"""


def test_a_driver_that_breaks_down_comes_to_rest_and_ends_with_an_error():
    with domain_id() as domain:
        environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
        done = subprocess.run(
            [sys.executable, "-c", BREAKS_DOWN], env=environment, capture_output=True, text=True, timeout=WAIT_S
        )
    assert done.returncode == 1
    assert done.stdout.split("\n")[:2] == ["at rest", "closed"]
    assert "nobody hears of the arm" in done.stderr


SLOW_TO_MAKE = """
import threading
from rclpy.node import Node
from grasp_control.ros_running import run_driver

class Driver(Node):
    def __init__(self):
        super().__init__("driver")
        self.failure = None
        print("taking the arm", flush=True)
        threading.Event().wait(1.0)
        print("made", flush=True)
    def rest(self):
        print("at rest", flush=True)
    def close(self):
        print("closed", flush=True)

run_driver("driver_node", Driver, 2)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_driver_that_is_told_to_stop_while_it_is_made_lets_go_of_what_it_took(number):
    with domain_id() as domain:
        environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
        process = subprocess.Popen(
            [sys.executable, "-c", SLOW_TO_MAKE], env=environment, stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout.readline() == "taking the arm\n"
            process.send_signal(number)
            out, _ = process.communicate(timeout=WAIT_S)
        finally:
            process.kill()
    assert (process.returncode, out) == (0, "made\nat rest\nclosed\n")
