# SPDX-License-Identifier: Apache-2.0
"""The node with real messages over the wire: action, feedback, service, refusals."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("grasp_interfaces.action", reason="grasp_interfaces is not built")

import rclpy
from rclpy.action import ActionClient
from rclpy.executors import MultiThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState as JointStateMsg

from grasp_core.geometry import transform
from grasp_core.planning import Box, PlanStatus
from grasp_core.ros_running import leave_graph
from grasp_interfaces.action import PlanMotion
from grasp_interfaces.srv import SetObstacles
from grasp_planning import ros_conversions as ros
from grasp_planning.planning_node import PlanningNode

TIMEOUT_S = 20.0


class Client:
    """Talks to the node; every wait has a time-out."""

    def __init__(self, node: PlanningNode, executor: MultiThreadedExecutor) -> None:
        self.planning = node
        self.node = rclpy.create_node("planning_client")
        executor.add_node(self.node)
        self.action = ActionClient(self.node, PlanMotion, "plan_motion")
        self.obstacles = self.node.create_client(SetObstacles, "set_obstacles")
        self.states = self.node.create_publisher(JointStateMsg, "/joint_states", 10)
        assert self.action.wait_for_server(timeout_sec=TIMEOUT_S)
        assert self.obstacles.wait_for_service(timeout_sec=TIMEOUT_S)

    def wait(self, future: Any) -> Any:
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        assert done.wait(TIMEOUT_S)
        return future.result()

    def plan(self, goal: PlanMotion.Goal) -> tuple[PlanMotion.Result, list[str]]:
        stages: list[str] = []
        handle = self.wait(self.action.send_goal_async(goal, lambda m: stages.append(m.feedback.stage)))
        assert handle.accepted
        return self.wait(handle.get_result_async()).result, stages


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    coordinator = pytest.importorskip("domain_coordinator")
    with coordinator.domain_id() as domain:
        rclpy.init(domain_id=domain)
        node = PlanningNode(parameter_overrides=[Parameter("cell", value="ur5"), Parameter("planner", value="ompl")])
        executor = MultiThreadedExecutor(num_threads=4)
        executor.add_node(node)
        thread = threading.Thread(target=executor.spin)
        thread.start()
        try:
            client = Client(node, executor)
            yield client
        finally:
            executor.shutdown()
            thread.join(TIMEOUT_S)
            # Else they stay in the graph of a domain that the next test may be given.
            for each in (node, client.node):
                leave_graph(each)
            rclpy.try_shutdown()


@pytest.fixture(scope="module")
def ready(client: Client) -> JointStateMsg:
    robot = client.planning.planner.model.robot
    positions = robot.positions(robot.state("ready"))
    return JointStateMsg(name=list(positions), position=list(positions.values()))


def tool(client: Client, state: JointStateMsg) -> np.ndarray:
    model = client.planning.planner.model
    posture = model.posture(None, dict(zip(state.name, state.position, strict=True)))
    return posture.fk(np.array([state.position[list(state.name).index(n)] for n in posture.chain.joints]))


def test_a_joint_goal_is_planned_with_feedback(client: Client, ready: JointStateMsg) -> None:
    goal = PlanMotion.Goal(kind=PlanMotion.Goal.JOINTS, start=ready, speed_scale=0.5)
    goal.goal_joints = JointStateMsg(name=["elbow_joint"], position=[1.2])
    result, stages = client.plan(goal)
    assert result.success, result.message
    trajectory = ros.trajectory_from_msg(result.trajectory)
    assert trajectory.positions[-1][trajectory.names.index("elbow_joint")] == pytest.approx(1.2)
    assert trajectory.accelerations is not None
    assert {stage.stage for stage in result.stages} == {"search", "rounding", "time_parameterisation", "check"}
    assert set(stages) <= {stage.stage for stage in result.stages}


def test_a_line_is_planned_from_where_the_arm_is(client: Client, ready: JointStateMsg) -> None:
    T = tool(client, ready) @ transform((0.0, 0.0, 0.05))
    goal = PlanMotion.Goal(kind=PlanMotion.Goal.LINE, goal_pose=ros.matrix_to_pose(T))
    unheard, _ = client.plan(goal)
    assert unheard.status == PlanStatus.INVALID_REQUEST
    assert "no joint state was received of shoulder_pan_joint" in unheard.message
    received = threading.Event()
    remember = client.planning._states.add
    client.planning._states.add = lambda state: (remember(state), received.set())
    client.states.publish(ready)
    assert received.wait(TIMEOUT_S)
    client.planning._states.add = remember
    result, _ = client.plan(goal)
    assert result.success, result.message


def test_obstacles_are_taken_and_avoided_or_named(client: Client, ready: JointStateMsg) -> None:
    crate = Box("crate", tool(client, ready), (0.2, 0.2, 0.1))
    request = SetObstacles.Request(obstacles=[ros.obstacle_to_msg(crate)])
    answer = client.wait(client.obstacles.call_async(request))
    assert answer.success, answer.message
    goal = PlanMotion.Goal(kind=PlanMotion.Goal.JOINTS, start=ready)
    goal.goal_joints = JointStateMsg(name=["elbow_joint"], position=[1.2])
    refused, _ = client.plan(goal)
    assert refused.status == PlanStatus.START_IN_COLLISION
    assert "crate" in refused.contact_bodies
    goal.allowed_contacts = ["crate"]
    assert client.plan(goal)[0].success
    twice = SetObstacles.Request(obstacles=[ros.obstacle_to_msg(crate)] * 2)
    refused = client.wait(client.obstacles.call_async(twice))
    assert not refused.success
    assert "crate" in refused.message
    elsewhere = SetObstacles.Request()
    elsewhere.header.frame_id = "moon"
    assert "moon" in client.wait(client.obstacles.call_async(elsewhere)).message
    assert client.wait(client.obstacles.call_async(SetObstacles.Request())).success


def test_senseless_goals_are_answered_with_the_reason(client: Client, ready: JointStateMsg) -> None:
    goals = {
        "quaternion": PlanMotion.Goal(kind=PlanMotion.Goal.POSE, start=ready),
        "no arm 'leg'": PlanMotion.Goal(kind=PlanMotion.Goal.JOINTS, start=ready, arm="leg"),
        "kind 7": PlanMotion.Goal(kind=7, start=ready),
        "speed_scale": PlanMotion.Goal(kind=PlanMotion.Goal.JOINTS, start=ready, speed_scale=3.0),
        "timeout_s": PlanMotion.Goal(kind=PlanMotion.Goal.JOINTS, start=ready, timeout=-1.0),
        "2 joint names": PlanMotion.Goal(kind=PlanMotion.Goal.JOINTS, start=JointStateMsg(name=["a", "b"])),
    }
    goals["quaternion"].goal_pose.orientation.w = 0.0
    for words, goal in goals.items():
        result, _ = client.plan(goal)
        assert result.status == PlanStatus.INVALID_REQUEST
        assert words in result.message
        assert not result.trajectory.points


@pytest.mark.parametrize(
    ("parameter", "words"),
    [("cell:=moonbase", "cells/moonbase.yaml was not found"), ("seed:=0", "seed"), ("planner:=magic", "magic")],
)
def test_a_wrong_parameter_stops_the_node_with_a_sentence(parameter: str, words: str) -> None:
    """The exit code tells a launch that starting it again would not help."""
    command = [sys.executable, "-m", "grasp_planning.planning_node", "--ros-args", "-p", "cell:=ur5", "-p", parameter]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2, ended.stderr
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
