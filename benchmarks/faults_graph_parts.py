# SPDX-License-Identifier: Apache-2.0
"""The launched graph of ``faults_graph.py``: what it is doing, and the faults that are put upon it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rclpy
from control_msgs.action import FollowJointTrajectory
from control_msgs.msg import GripperCommand
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_srvs.srv import SetBool, Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from grasp_control.loopback.faults import STILL_RAD_S
from grasp_control.loopback.server import send_fault
from grasp_episodes.ros_calls import OrderedActionClient
from grasp_interfaces.action import RunEpisodes
from grasp_interfaces.msg import Decision
from grasp_interfaces.srv import ResetScene

CONTROL_PORT = 30998
CALL_S = 45.0
# An opening below this is a command to close (m).
CLOSED_M = 0.05
# Commands of a grasp by phase: trajectories so far, whether the gripper was told to close, and to open again.
PHASES = {
    "way to pre-grasp": (1, False, False),
    "approach": (2, False, False),
    "closing": (2, True, False),
    "lift": (3, True, False),
    "transfer": (4, True, False),
    "opening": (4, True, True),
}
GRIPPER_PHASES = ("closing", "opening")
# A fault comes so long after the gripper was told to move (s).
IN_THE_STROKE_S = 0.2
JOINTS = ("shoulder_pan", "shoulder_lift", "elbow", "wrist_1", "wrist_2", "wrist_3")


class Graph:
    """A launched graph and a node that talks to it."""

    def __init__(self, host: str, domain: int, folder: Path) -> None:
        self.host, self.folder = host, folder
        values = {
            "use_mock_hardware": "true", "robot_ip": host, "policy": "highest_point", "episodes": 0, "viewer": "false",
            "headless_mode": "true", "record_dir": folder, "scene": "blocks", "objects": 1, "log_level": "error",
            "judge": "simulator", "speed_scale": 0.6,
        }  # fmt: skip
        self.mark = f"{os.getpid()}-{time.monotonic_ns()}"
        self.process = subprocess.Popen(
            ["ros2", "launch", "grasp_bringup", "real_ur5.launch.py", *(f"{k}:={v}" for k, v in values.items())],
            env={**os.environ, "ROS_DOMAIN_ID": str(domain), "FAULTS_GRAPH": self.mark},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = node = rclpy.create_node("faults_graph", context=self.context)
        self.action = OrderedActionClient(node, RunEpisodes, "run_episodes")
        self.follow = OrderedActionClient(node, FollowJointTrajectory, "arm_controller/follow_joint_trajectory")
        self.messages: dict[str, str] = {}
        self.problem: tuple[float, str] | None = None
        self.positions: dict[str, float] = {}
        self.speed = 0.0
        self.commands: list[float] = []
        self.result_heard = threading.Event()
        self._known: set[str] = set()
        self.begin_episode()
        latest = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._diagnose, 20)
        node.create_subscription(JointState, "/joint_states", self._joints, 20)
        node.create_subscription(Decision, "/policy/decision", lambda _: self._decided(), latest)
        node.create_subscription(JointTrajectory, "/commands/arm_controller/joint_trajectory", self._sent, 20)
        node.create_subscription(GripperCommand, "/commands/gripper_controller/gripper_cmd", self._gripped, 20)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(node)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()

    # --- what the graph does ---

    def begin_episode(self) -> None:
        """No phase has been reached."""
        self.result_heard.clear()
        self._trajectories, self._closed, self._opened = -1, False, False
        self._told_at = 0.0

    def _decided(self) -> None:
        self._trajectories, self._closed, self._opened = 0, False, False

    def _sent(self, _: JointTrajectory) -> None:
        self.commands.append(time.monotonic())
        if self._trajectories >= 0:
            self._trajectories += 1

    def _gripped(self, command: GripperCommand) -> None:
        closes = command.position < CLOSED_M
        self.commands.append(time.monotonic())
        if not (self._opened if not closes else self._closed):
            self._told_at = time.monotonic()
        if closes:
            self._closed = self._trajectories >= 2
        else:
            self._opened = self._closed

    def reached(self, phase: str) -> bool:
        """Whether the pick is in this phase now, and moving."""
        if (self._trajectories, self._closed, self._opened) != PHASES[phase]:
            return False
        if phase in GRIPPER_PHASES:
            return time.monotonic() - self._told_at > IN_THE_STROKE_S
        return self.speed > 5.0 * STILL_RAD_S

    def _diagnose(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.messages[status.name] = status.message
            mine = status.name.startswith(("arm_driver", "gripper_driver"))
            if mine and status.level != b"\x00" and self.problem is None and status.message not in self._known:
                self.problem = (time.monotonic(), status.message)

    def listen_for_problems(self) -> None:
        """From now on the first problem that a driver tells of is kept; what it tells already does not count."""
        self._known = {text for text in self.messages.values() if text != "ready"}
        self.problem = None

    def _joints(self, message: JointState) -> None:
        self.positions.update(zip(message.name, message.position, strict=True))
        if "shoulder_pan_joint" in message.name:
            self.speed = float(np.abs(message.velocity).max())

    def ready(self) -> bool:
        """Whether both drivers take commands."""
        return all(self.messages.get(name) == "ready" for name in ("arm_driver: arm", "gripper_driver: gripper"))

    def until(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Look again and again."""
        end, gate = time.monotonic() + limit_s, threading.Event()
        while not condition():
            if time.monotonic() > end:
                return False
            gate.wait(0.01)
        return True

    def back_at_work(self) -> str:
        """Everything as it was, by itself or with help; tells which."""
        if self.until(self.ready, 6.0):
            return "ready"
        self.fault("clear")
        said = ""
        if not self.until(self.ready, 3.0):
            said = f"recover: {self.call('/arm_driver/recover')}; "
            self.until(self.ready, 10.0)
        return said + ("ready" if self.ready() else f"NOT READY: {self.messages}")

    # --- what is done to it ---

    def fault(self, name: str, **options: object) -> dict:
        """A fault of the loopback controllers."""
        return send_fault(self.host, CONTROL_PORT, name, **options)

    def call(self, name: str, kind: type = Trigger, **fields: object) -> str:
        """A service's answer in words."""
        client = self.node.create_client(kind, name)
        try:
            if not client.wait_for_service(5.0):
                return f"nobody offers {name}"
            future = client.call_async(kind.Request(**fields))
            self.until(future.done, CALL_S)
            return str(getattr(future.result(), "message", "")) if future.done() else f"{name} did not answer"
        finally:
            self.node.destroy_client(client)

    def command(self, offsets: tuple[float, ...]) -> str:
        """Somebody else commands the arm: to where it is, plus this; what becomes of it."""
        names = [f"{name}_joint" for name in JOINTS]
        goal = [self.positions[name] + offset for name, offset in zip(names, offsets, strict=True)]
        point = JointTrajectoryPoint(positions=goal)
        point.time_from_start.sec = 2
        trajectory = JointTrajectory(joint_names=names, points=[point])
        sent = self.follow.send_goal_async(FollowJointTrajectory.Goal(trajectory=trajectory))
        if not self.until(sent.done, CALL_S):
            return "no answer"
        if not sent.result().accepted:
            return "the goal was rejected"
        result = sent.result().get_result_async()
        return result.result().result.error_string if self.until(result.done, CALL_S) else "no result"

    def kill(self, word: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to the part of this graph whose command line holds a word."""
        for path in Path("/proc").glob("[0-9]*"):
            try:
                mine = f"FAULTS_GRAPH={self.mark}".encode() in (path / "environ").read_bytes()
                if mine and word.encode() in (path / "cmdline").read_bytes().split(b"\0")[1]:
                    os.kill(int(path.name), number)
                    return
            except (OSError, IndexError):
                continue  # not ours, or ended while we looked
        raise RuntimeError(f"there is no {word}")

    def close(self) -> None:
        """End everything."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        self.executor.shutdown()
        self.thread.join(5)
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


@dataclass(frozen=True)
class Fault:
    """How a fault is caused and ended.

    Attributes:
        begin: causes it; an answer is how it was told.
        end: ends it, after ``lasts_s``.
        stops: whether it brings the arm to rest.
        shows: where it shows: in the drivers' ``diagnostics``, in the ``answer``, or in how the ``episode`` ends.
    """

    name: str
    begin: Callable[[Graph], object]
    end: Callable[[Graph], object] = lambda graph: None
    lasts_s: float = 0.0
    stops: bool = True
    shows: str = "diagnostics"


def _robot(name: str, **options: object) -> Callable[[Graph], None]:
    def cause(graph: Graph) -> None:
        graph.fault(name, **options)

    return cause


def _switch(fault: str) -> tuple[Callable[[Graph], None], Callable[[Graph], None]]:
    return _robot(fault, on=True), _robot(fault, on=False)


def _cameras(on: bool) -> Callable[[Graph], None]:
    def cause(graph: Graph) -> None:
        graph.call("/sim_bridge/cameras", SetBool, data=on)

    return cause


def _empty(graph: Graph) -> None:
    """The object is gone: the fingers will close, or are, on nothing."""
    graph.call("/reset_scene", ResetScene, scene="blocks", seed=0, objects=0)


def _halt(graph: Graph) -> None:
    graph.call("/e_stop")


NAN = (float("nan"),) * 6
# Shoulder and elbow into the table.
INTO_THE_TABLE = (0.0, 1.4, 0.0, 0.0, 0.0, 0.0)
FAULTS = [
    Fault("none", lambda graph: None, stops=False, shows="answer"),
    *(Fault(f"RTDE connection cut for {s:g} s", _robot("cut", seconds=s), lasts_s=s) for s in (0.1, 1.0, 10.0)),
    Fault("protective stop", _robot("protective_stop")),
    Fault("emergency stop", _robot("emergency_stop"), _robot("release_emergency_stop"), 2.0),
    Fault("program stopped on the pendant", _robot("stop_program")),
    Fault("speed slider to 0 and back", _robot("slider", fraction=0.0), _robot("slider", fraction=1.0), 2.0),
    Fault("states 0.6 s late", _robot("late", seconds=0.6), _robot("late", seconds=0.0), 2.0),
    Fault("joint state frozen", *_switch("frozen"), 2.0),
    Fault("gripper silent", *_switch("gripper_silent"), 5.0, stops=False),
    Fault("gripper stalled", *_switch("gripper_stuck"), 18.0, stops=False, shows="episode"),
    Fault("gripper at full stroke (object gone)", _empty, stops=False, shows="episode"),
    Fault("NaN action", lambda graph: graph.command(NAN), stops=False, shows="answer"),
    Fault("target outside the workspace", lambda graph: graph.command(INTO_THE_TABLE), stops=False, shows="answer"),
    Fault("e_stop service", _halt, lambda graph: graph.call("/e_stop_release"), 2.0),
    Fault("policy node killed", lambda graph: graph.kill("policy_node"), stops=False, shows="episode"),
    Fault("cameras silent", _cameras(False), _cameras(True), 6.0, stops=False, shows="episode"),
]
