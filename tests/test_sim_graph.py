# SPDX-License-Identifier: Apache-2.0
"""The simulated cells as whole graphs: what a user of any robot driver would try first."""

import os
import signal
import threading
import time

import numpy as np
import pytest
import rclpy
from action_msgs.msg import GoalStatus
from builtin_interfaces.msg import Duration
from control_msgs.action import FollowJointTrajectory, GripperCommand, ParallelGripperCommand
from graph import Launch, wait_until
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image, JointState
from tf2_ros import Buffer, TransformListener
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from grasp_core.ros_running import leave_graph
from grasp_episodes.ros_calls import OrderedActionClient
from grasp_interfaces.action import PlanMotion
from grasp_interfaces.srv import ResetScene

pytestmark = [pytest.mark.graph, pytest.mark.timeout(240)]
WAIT_S = 60.0
# The cell alone: these tests move the robot themselves.
BARE = ("headless_mode:=true", "policy:=none")
JOINTS = [
    "shoulder_pan_joint",
    "shoulder_lift_joint",
    "elbow_joint",
    "wrist_1_joint",
    "wrist_2_joint",
    "wrist_3_joint",
]


class Client:
    """A node of the test's own, spun in a thread; ``state`` is the newest joint state by name."""

    def __init__(self, domain):
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node("test_client", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.state, self.stamp_ns = {}, 0
        self.heard = threading.Event()
        self.node.create_subscription(JointState, "/joint_states", self._remember, 10)
        self.buffer = Buffer()
        self.listener = TransformListener(self.buffer, self.node)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()

    def _remember(self, message):
        self.state = dict(zip(message.name, message.position, strict=True))
        self.stamp_ns = Time.from_msg(message.header.stamp).nanoseconds
        self.heard.set()

    def wait(self, future, timeout_s=WAIT_S):
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        assert done.wait(timeout_s), "no answer in time"
        return future.result()

    def first(self, kind, topic):
        got, event = [], threading.Event()

        def take(message):
            got.append(message)
            event.set()

        subscription = self.node.create_subscription(kind, topic, take, qos_profile_sensor_data)
        assert event.wait(WAIT_S), f"nothing came on {topic}"
        self.node.destroy_subscription(subscription)
        return got[0]

    def send(self, kind, name, goal, feedback=None):
        client = OrderedActionClient(self.node, kind, name)
        assert client.wait_for_server(WAIT_S), f"nobody offers {name}"
        return self.wait(client.send_goal_async(goal, feedback_callback=feedback))

    def call(self, kind, name, request):
        client = self.node.create_client(kind, name)
        assert client.wait_for_service(WAIT_S), f"nobody offers {name}"
        return self.wait(client.call_async(request))

    def close(self):
        self.executor.shutdown()
        self.thread.join(10)
        # Without this the node would linger on a domain that the next test may be given.
        leave_graph(self.node)
        rclpy.shutdown(context=self.context)


@pytest.fixture(scope="module")
def ur5():
    from domain_coordinator import domain_id

    with domain_id() as domain:
        environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
        command = ("ros2", "launch", "grasp_bringup", "sim_ur5.launch.py", *BARE, "scene:=single")
        with Launch(environment, *command) as launch:
            launch.wait_for("is ready")
            client = Client(domain)
            assert client.heard.wait(WAIT_S), launch.text()
            yield client
            client.close()
        assert wait_until(lambda: launch.descendants() == [])


def follow(*points, names=None):
    """A goal through (seconds, pan offset from 0) with the other joints at ready."""
    ready = [0.0, -1.5708, 1.5708, -1.5708, -1.5708, 0.0]
    rows = [
        JointTrajectoryPoint(
            positions=[pan, *ready[1:]], time_from_start=Duration(sec=int(at), nanosec=int((at % 1) * 1e9))
        )
        for at, pan in points
    ]
    return FollowJointTrajectory.Goal(trajectory=JointTrajectory(joint_names=names or JOINTS, points=rows))


FOLLOW = (FollowJointTrajectory, "/arm_controller/follow_joint_trajectory")


def move_to_ready(client):
    handle = client.send(*FOLLOW, follow((2.0, 0.0)))
    assert client.wait(handle.get_result_async()).status == GoalStatus.STATUS_SUCCEEDED


def test_joint_states_and_frames_flow(ur5):
    assert set(JOINTS) <= set(ur5.state)
    assert wait_until(lambda: ur5.buffer.can_transform("world", "grasp_tcp", Time()))
    tcp = ur5.buffer.lookup_transform("world", "grasp_tcp", Time()).transform.translation
    assert 0.2 < np.hypot(tcp.x, tcp.y) < 0.8


def test_cameras_publish_as_ros_users_expect(ur5):
    color = ur5.first(Image, "/fixed_camera/color/image_raw")
    depth = ur5.first(Image, "/fixed_camera/depth/image_rect_raw")
    info = ur5.first(CameraInfo, "/fixed_camera/color/camera_info")
    assert (color.encoding, color.width, color.height) == ("rgb8", 640, 480)
    assert depth.encoding == "32FC1"
    metres = np.frombuffer(depth.data, np.float32)
    assert 0.5 < np.nanmedian(metres) < 2.0
    assert color.header.frame_id == info.header.frame_id == "fixed_camera_optical_frame"
    assert info.k[0] > 0.0
    assert abs(Time.from_msg(depth.header.stamp).nanoseconds - ur5.stamp_ns) < 5e9


def test_a_trajectory_is_followed(ur5):
    move_to_ready(ur5)
    handle = ur5.send(*FOLLOW, follow((1.0, 0.2), (2.0, 0.4)))
    answer = ur5.wait(handle.get_result_async())
    assert (answer.status, answer.result.error_code) == (GoalStatus.STATUS_SUCCEEDED, 0), answer.result.error_string
    assert wait_until(lambda: abs(ur5.state["shoulder_pan_joint"] - 0.4) < 0.01)


def test_a_cancelled_motion_comes_to_rest_where_it_is(ur5):
    move_to_ready(ur5)
    handle = ur5.send(*FOLLOW, follow((6.0, 1.2)))
    assert wait_until(lambda: ur5.state["shoulder_pan_joint"] > 0.1)
    ur5.wait(handle.cancel_goal_async())
    assert ur5.wait(handle.get_result_async()).status == GoalStatus.STATUS_CANCELED
    stopped = ur5.state["shoulder_pan_joint"]
    since = ur5.stamp_ns
    assert wait_until(lambda: ur5.stamp_ns > since + 1_000_000_000)
    assert abs(ur5.state["shoulder_pan_joint"] - stopped) < 0.05


def test_a_newer_goal_takes_over(ur5):
    move_to_ready(ur5)
    first = ur5.send(*FOLLOW, follow((6.0, 1.2)))
    second = ur5.send(*FOLLOW, follow((1.5, -0.1)))
    assert ur5.wait(first.get_result_async()).status == GoalStatus.STATUS_ABORTED
    assert ur5.wait(second.get_result_async()).status == GoalStatus.STATUS_SUCCEEDED


@pytest.mark.parametrize(
    "goal",
    [
        follow(),
        follow((1.0, float("nan"))),
        follow((1.0, 0.0), (0.5, 0.1)),
        follow((1.0, 0.0), names=[*JOINTS[:5], "x"]),
        follow((1.0, 0.0), names=JOINTS[:5]),
    ],
    ids=["no points", "nan", "times go back", "unknown joint", "a joint is missing"],
)
def test_goals_that_make_no_sense_are_rejected(ur5, goal):
    assert not ur5.send(*FOLLOW, goal).accepted


def test_a_goal_begins_at_its_stamp(ur5):
    """As in upstream's controller: later where it lies ahead, under way where it lies behind, never after its end."""
    move_to_ready(ur5)
    goal = follow((1.0, 0.2))
    begin_ns = ur5.stamp_ns + 1_500_000_000
    goal.trajectory.header.stamp = Time(nanoseconds=begin_ns).to_msg()
    handle = ur5.send(*FOLLOW, goal)
    assert wait_until(lambda: abs(ur5.state["shoulder_pan_joint"]) > 0.01)
    assert ur5.stamp_ns > begin_ns
    assert ur5.wait(handle.get_result_async()).status == GoalStatus.STATUS_SUCCEEDED
    assert ur5.stamp_ns > begin_ns + 900_000_000
    over = follow((1.0, 0.0))
    over.trajectory.header.stamp = Time(nanoseconds=begin_ns - 1_000_000_000).to_msg()
    assert not ur5.send(*FOLLOW, over).accepted


def test_the_gripper_answers_both_action_types(ur5):
    goal = GripperCommand.Goal()
    goal.command.position = 0.03
    result = ur5.wait(ur5.send(GripperCommand, "/gripper_controller/gripper_cmd", goal).get_result_async()).result
    assert result.reached_goal
    assert result.position == pytest.approx(0.03, abs=0.003)
    other = ParallelGripperCommand.Goal(command=JointState(name=["gripper"], position=[0.1]))
    told = []
    handle = ur5.send(
        ParallelGripperCommand, "/gripper_controller/parallel_gripper_cmd", other, lambda m: told.append(m.feedback)
    )
    assert ur5.wait(handle.get_result_async()).result.state.position[0] == pytest.approx(0.1, abs=0.003)
    widths = [feedback.state.position[0] for feedback in told]
    assert len(widths) > 1, "no feedback came"
    assert widths == sorted(widths)
    assert all(list(feedback.state.name) == ["gripper"] for feedback in told)


def test_scenes_are_made_anew_or_refused_by_name(ur5):
    made = ur5.call(ResetScene, "/reset_scene", ResetScene.Request(scene="single", seed=5, objects=-1))
    assert (made.success, made.objects) == (True, 1)
    refused = ur5.call(ResetScene, "/reset_scene", ResetScene.Request(scene="moon", seed=5, objects=-1))
    assert not refused.success
    assert "moon" in refused.message


def test_a_planned_way_can_be_driven(ur5):
    move_to_ready(ur5)
    goal = PlanMotion.Goal(kind=PlanMotion.Goal.POSE)
    goal.goal_pose.position.x, goal.goal_pose.position.y, goal.goal_pose.position.z = 0.5, 0.1, 0.3
    goal.goal_pose.orientation.x, goal.goal_pose.orientation.w = 1.0, 0.0
    plan = ur5.wait(ur5.send(PlanMotion, "/plan_motion", goal).get_result_async()).result
    assert plan.success, plan.message
    handle = ur5.send(*FOLLOW, FollowJointTrajectory.Goal(trajectory=plan.trajectory))
    answer = ur5.wait(handle.get_result_async())
    assert answer.status == GoalStatus.STATUS_SUCCEEDED, answer.result.error_string
    time_now = ur5.stamp_ns
    assert wait_until(lambda: ur5.stamp_ns > time_now + 200_000_000)
    tcp = ur5.buffer.lookup_transform("world", "grasp_tcp", Time()).transform.translation
    assert [tcp.x, tcp.y, tcp.z] == pytest.approx([0.5, 0.1, 0.3], abs=0.01)


@pytest.mark.parametrize("cell", ["iiwa", "baxter", "hsr", "staubli"])
def test_every_other_cell_comes_up_and_goes_away(graph_environment, cell):
    command = ("ros2", "launch", "grasp_bringup", f"sim_{cell}.launch.py", *BARE)
    with Launch(graph_environment, *command) as launch:
        launch.wait_for(rf"cell {cell}: scene \w+ with \d+ objects is ready")
        client = Client(int(graph_environment["ROS_DOMAIN_ID"]))
        try:
            assert client.heard.wait(WAIT_S)
            assert len(client.state) >= 9
        finally:
            client.close()
        launch.process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        launch.finish()
        assert wait_until(lambda: launch.descendants() == []), launch.text()
        assert time.monotonic() - begin < 30.0


def test_an_interrupted_launch_tells_running_goals_how_they_ended(graph_environment):
    command = ("ros2", "launch", "grasp_bringup", "sim_ur5.launch.py", *BARE, "scene:=single")
    with Launch(graph_environment, *command) as launch:
        launch.wait_for("is ready")
        client = Client(int(graph_environment["ROS_DOMAIN_ID"]))
        try:
            result = client.send(*FOLLOW, follow((20.0, 1.0))).get_result_async()
            assert wait_until(lambda: client.state.get("shoulder_pan_joint", 0.0) > 0.02)
            launch.process.send_signal(signal.SIGINT)
            answer = client.wait(result, 10.0)
            assert answer.status == GoalStatus.STATUS_ABORTED
            assert "ended" in answer.result.error_string
        finally:
            client.close()
        launch.finish()
        assert "Traceback" not in launch.text(), launch.text()


@pytest.mark.parametrize(
    ("file", "arguments", "words"),
    [
        ("real_ur5", (), "needs the robot's address"),
        ("real_iiwa", ("robot_ip:=127.0.0.1",), "no drivers for hardware:=real"),
        ("sim_ur5", ("speed_scale:=1.5",), "speed_scale is 1.5"),
        ("sim_ur5", ("scene:=moon",), "there is no scene 'moon'"),
        ("sim_ur5", ("sceen:=drop",), "Did you mean 'scene'"),
        ("sim_ur5", ("hardware:=toy",), "toy"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_starts(graph_environment, file, arguments, words):
    with Launch(graph_environment, "ros2", "launch", "grasp_bringup", f"{file}.launch.py", *arguments) as launch:
        assert launch.finish() == 1
        assert words in launch.text()
        assert "process started" not in launch.text()
