# SPDX-License-Identifier: Apache-2.0
"""``real_ur5.launch.py use_mock_hardware:=true``: real drivers, loopback controllers, the simulated world behind."""

from __future__ import annotations

import os
import threading
import time

import pytest
from graph import Launch, wait_until

pytestmark = [pytest.mark.graph, pytest.mark.timeout(300)]
rclpy = pytest.importorskip("rclpy")
pytest.importorskip("grasp_interfaces.srv", reason="grasp_interfaces is not built; run the tests through ./ws test")

from action_msgs.msg import GoalStatus  # noqa: E402
from control_msgs.action import FollowJointTrajectory, GripperCommand  # noqa: E402
from domain_coordinator import domain_id  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.qos import qos_profile_sensor_data  # noqa: E402
from rclpy.time import Time  # noqa: E402
from sensor_msgs.msg import Image, JointState  # noqa: E402
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint  # noqa: E402

from grasp_control.loopback.process import own_address  # noqa: E402
from grasp_core.ros_running import leave_graph  # noqa: E402
from grasp_episodes.ros_calls import OrderedActionClient  # noqa: E402
from grasp_interfaces.srv import ResetScene  # noqa: E402

WAIT_S = 90.0
JOINTS = ["shoulder_pan", "shoulder_lift", "elbow", "wrist_1", "wrist_2", "wrist_3"]
READY = [0.0, -1.5708, 1.5708, -1.5708, -1.5708, 0.0]


class Client:
    """A node spun in a thread; the newest joint state by name, the newest picture's stamp."""

    def __init__(self, domain):
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node("test_mock", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.state, self.picture_ns = {}, 0
        self.node.create_subscription(JointState, "/joint_states", self._remember, 10)
        topic = "/fixed_camera/color/image_raw"
        self.node.create_subscription(Image, topic, self._picture, qos_profile_sensor_data)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()

    def _remember(self, message):
        self.state.update(zip(message.name, message.position, strict=True))

    def _picture(self, message):
        self.picture_ns = Time.from_msg(message.header.stamp).nanoseconds

    def run(self, kind, name, goal):
        client = OrderedActionClient(self.node, kind, name)
        assert client.wait_for_server(WAIT_S), f"nobody offers {name}"
        handle = self.wait(client.send_goal_async(goal))
        assert handle.accepted
        return self.wait(handle.get_result_async())

    def wait(self, future):
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        assert done.wait(WAIT_S), "no answer in time"
        return future.result()

    def close(self):
        self.executor.shutdown()
        self.thread.join(10)
        leave_graph(self.node)
        rclpy.shutdown(context=self.context)


def pan_to(angle):
    point = JointTrajectoryPoint(positions=[angle, *READY[1:]])
    point.time_from_start.sec = 2
    names = [f"{name}_joint" for name in JOINTS]
    return FollowJointTrajectory.Goal(trajectory=JointTrajectory(joint_names=names, points=[point]))


def test_the_simulated_world_moves_as_the_real_drivers_command():
    with domain_id() as domain:
        words = ("use_mock_hardware:=true", "policy:=none", "headless_mode:=true", "scene:=single")
        command = ("ros2", "launch", "grasp_bringup", "real_ur5.launch.py", *words, f"robot_ip:={own_address()}")
        with Launch({**os.environ, "ROS_DOMAIN_ID": str(domain)}, *command) as launch:
            launch.wait_for("objects is ready", WAIT_S)
            launch.wait_for("arm arm is ready", WAIT_S)
            client = Client(domain)
            try:
                follow = "/arm_controller/follow_joint_trajectory"
                found = client.run(FollowJointTrajectory, follow, pan_to(0.4))
                assert found.status == GoalStatus.STATUS_SUCCEEDED, found.result.error_string
                assert wait_until(lambda: abs(client.state["shoulder_pan_joint"] - 0.4) < 0.02)
                grip = GripperCommand.Goal()
                grip.command.position, grip.command.max_effort = 0.04, 20.0
                told = client.run(GripperCommand, "/gripper_controller/gripper_cmd", grip)
                assert told.result.position == pytest.approx(0.04, abs=0.004)
                # Pictures carry the system's time, as a real camera's do.
                assert wait_until(lambda: client.picture_ns > 0, WAIT_S)
                assert abs(time.time_ns() - client.picture_ns) < 10e9
                reset = client.node.create_client(ResetScene, "/reset_scene")
                assert reset.wait_for_service(WAIT_S)
                assert client.wait(reset.call_async(ResetScene.Request(scene="single", seed=2, objects=-1))).success
                assert client.state["shoulder_pan_joint"] == pytest.approx(0.4, abs=0.05)
            finally:
                client.close()
        assert wait_until(lambda: launch.descendants() == [])
