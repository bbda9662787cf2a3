# SPDX-License-Identifier: Apache-2.0
"""Faults through the whole graph: an episode on mock hardware, how a fault ends it, and whether its bag is whole.

``python benchmarks/faults_graph.py --json FILE --markdown FILE`` in a shell with env.sh. Each fault comes while the arm
moves and while the gripper closes. Each phase of a pick, on the level of the drivers, is in ``benchmarks/faults.py``.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import rclpy
import tyro
from diagnostic_msgs.msg import DiagnosticArray
from domain_coordinator import domain_id
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from tqdm import tqdm

from grasp_control.loopback.faults import STILL_RAD_S
from grasp_control.loopback.server import send_fault
from grasp_episodes.recorder import check_manifest, read_manifest
from grasp_interfaces.action import RunEpisodes

CONTROL_PORT = 30998
START_S, EPISODE_S = 120.0, 150.0
PHASES = ("arm moves", "gripper closes")


@dataclass
class Row:
    """What happened."""

    fault: str
    phase: str
    noticed_s: float | None = None
    reported: str = ""
    stood: bool = True
    ended: str = ""
    bag: str = ""
    next_episode: str = ""


@dataclass
class Arguments:
    """Run faults through the whole graph."""

    json: Path | None = None
    """File for the rows."""
    markdown: Path | None = None
    """File for the table."""
    host: str = "127.8.0.1"
    """Address of the loopback controllers."""
    only: str = ""
    """Only faults whose name contains this."""


class Graph:
    """A launched graph and a node that talks to it."""

    def __init__(self, host: str, domain: int, folder: Path) -> None:
        self.host, self.folder = host, folder
        words = [
            "use_mock_hardware:=true",
            f"robot_ip:={host}",
            "policy:=highest_point",
            "episodes:=0",
            "viewer:=false",
        ]
        words += ["headless_mode:=true", f"record_dir:={folder}", "scene:=blocks", "log_level:=error"]
        self.mark = f"{os.getpid()}-{time.monotonic_ns()}"
        environment = {**os.environ, "ROS_DOMAIN_ID": str(domain), "FAULTS_GRAPH": self.mark}
        self.process = subprocess.Popen(
            ["ros2", "launch", "grasp_bringup", "real_ur5.launch.py", *words],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.node = rclpy.create_node("faults_graph", context=self.context)
        self.action = ActionClient(self.node, RunEpisodes, "run_episodes")
        self.messages: dict[str, str] = {}
        self.problem: tuple[float, str] | None = None
        self.speed = 0.0
        self.finger: list[float] = []
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._diagnose, 20)
        self.node.create_subscription(JointState, "/joint_states", self._joints, 20)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()

    def _diagnose(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.messages[status.name] = status.message
            mine = status.name.startswith(("arm_driver", "gripper_driver"))
            if mine and status.level != b"\x00" and self.problem is None:
                self.problem = (time.monotonic(), status.message)

    def _joints(self, message: JointState) -> None:
        if "shoulder_pan_joint" in message.name:
            self.speed = float(np.abs(message.velocity).max())
        elif "finger_joint" in message.name:
            self.finger.append(message.position[message.name.index("finger_joint")])
            del self.finger[:-6]

    def pid(self, word: str) -> int | None:
        """The process of this graph whose command line holds a word."""
        for path in Path("/proc").glob("[0-9]*"):
            try:
                mine = f"FAULTS_GRAPH={self.mark}".encode() in (path / "environ").read_bytes()
                if mine and word.encode() in (path / "cmdline").read_bytes().split(b"\0")[1]:
                    return int(path.name)
            except (OSError, IndexError):
                continue
        return None

    def fault(self, name: str, **options: object) -> dict:
        """A fault of the loopback controllers."""
        return send_fault(self.host, CONTROL_PORT, name, **options)

    def until(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Look again and again."""
        end, gate = time.monotonic() + limit_s, threading.Event()
        while not condition():
            if time.monotonic() > end:
                return False
            gate.wait(0.01)
        return True

    def call(self, name: str) -> str:
        """A Trigger service's answer."""
        client = self.node.create_client(Trigger, name)
        if not client.wait_for_service(5.0):
            return f"nobody offers {name}"
        future = client.call_async(Trigger.Request())
        self.until(future.done, 30.0)
        return future.result().message if future.done() else f"{name} did not answer"

    def ready(self) -> bool:
        """Whether both drivers take commands."""
        return all(self.messages.get(name) == "ready" for name in ("arm_driver: arm", "gripper_driver: gripper"))

    def close(self) -> None:
        """End everything."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        self.executor.shutdown()
        self.thread.join(5)
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


def kill(graph: Graph, word: str, number: int) -> None:
    """Send a signal to a part of the graph."""
    pid = graph.pid(word)
    assert pid is not None, f"there is no {word}"
    os.kill(pid, number)


def fault(name: str, **options: object) -> Callable[[Graph], object]:
    """A fault of the loopback controllers."""
    return lambda graph: graph.fault(name, **options)


def nothing(graph: Graph) -> None:
    """For faults that end by themselves."""


FAULTS: dict[str, tuple[Callable[[Graph], object], Callable[[Graph], object], float]] = {
    "none": (nothing, nothing, 0.0),
    "connection cut for 1 s": (fault("cut", seconds=1.0), nothing, 1.0),
    "protective stop": (fault("protective_stop"), nothing, 0.0),
    "emergency stop": (fault("emergency_stop"), fault("release_emergency_stop"), 3.0),
    "program stopped on the pendant": (fault("stop_program"), nothing, 0.0),
    "speed slider to 0 for 2 s": (fault("slider", fraction=0.0), fault("slider", fraction=1.0), 2.0),
    "joint state frozen for 2 s": (fault("frozen", on=True), fault("frozen", on=False), 2.0),
    "gripper silent": (fault("gripper_silent", on=True), fault("gripper_silent", on=False), 8.0),
    "e_stop service": (lambda g: g.call("/e_stop"), lambda g: g.call("/e_stop_release"), 3.0),
    "policy node killed": (lambda g: kill(g, "policy_node", signal.SIGKILL), nothing, 0.0),
    "cameras silent for 3 s (the world stands still)": (
        lambda g: kill(g, "sim_bridge_node", signal.SIGSTOP),
        lambda g: kill(g, "sim_bridge_node", signal.SIGCONT),
        3.0,
    ),
}


def episode(graph: Graph, seed: int, meanwhile: Callable[[], None]) -> tuple[str, str]:
    """Run one; how it ended, and what is wrong with its bag."""
    goal = RunEpisodes.Goal(episodes=1, objects=1, seed=seed, record=True, max_actions=3)
    sent = graph.action.send_goal_async(goal)
    if not graph.until(sent.done, 20.0):
        return "the goal was not taken in time", ""
    result = sent.result().get_result_async()
    meanwhile()
    if not graph.until(result.done, EPISODE_S):
        return "HUNG", ""
    answer = result.result().result
    ended = answer.results[0].ended_by if answer.results else "no episode"
    (folder,) = graph.folder.iterdir()
    problems = check_manifest(folder)
    count = len(read_manifest(folder))
    bag = "; ".join(problems) if problems else f"whole ({count} in the run)"
    return f"{ended}: {answer.message}".rstrip(": "), bag


def try_out(graph: Graph, name: str, phase: str, seed: int) -> Row:
    """One row."""
    row = Row(name, phase)
    begin, end, lasts_s = FAULTS[name]

    def meanwhile() -> None:
        moving = graph.until(lambda: graph.speed > 0.15, 90.0)
        closing = phase != PHASES[1] or graph.until(
            lambda: len(graph.finger) > 5 and graph.finger[-1] - graph.finger[0] > 0.03 and graph.speed < 0.05, 90.0
        )
        if not (moving and closing):
            row.reported = "the phase was not reached"
            return
        graph.problem = None
        began = time.monotonic()
        begin(graph)
        graph.until(lambda: graph.problem is not None, max(1.5, lasts_s))
        if graph.problem is not None:
            row.noticed_s, row.reported = graph.problem[0] - began, graph.problem[1]
        graph.until(lambda: time.monotonic() - began > lasts_s, lasts_s + 1.0)
        if row.reported and "gripper" not in row.reported:
            row.stood = graph.fault("state")["speed"] <= STILL_RAD_S
        end(graph)

    row.ended, row.bag = episode(graph, seed, meanwhile)
    if not graph.until(graph.ready, 6.0):
        row.next_episode = f"recover: {graph.call('/arm_driver/recover')}; "
        graph.until(graph.ready, 10.0)
    row.next_episode += "ready" if graph.ready() else f"NOT READY: {graph.messages}"
    return row


def markdown(rows: list[Row]) -> str:
    """The table for people."""
    lines = [
        "| fault | while | noticed after [ms] | reported as | the episode ended | its bag | afterwards |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        noticed = "-" if row.noticed_s is None else f"{1e3 * row.noticed_s:.0f}"
        cells = (row.fault, row.phase, noticed, row.reported, row.ended, row.bag, row.next_episode)
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def main(args: Arguments) -> None:
    """Run, print, write."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, domain_id() as domain:
        graph = Graph(args.host, domain, Path(folder))
        try:
            if not (graph.action.wait_for_server(START_S) and graph.until(graph.ready, START_S)):
                raise SystemExit(f"the graph did not come up: {graph.messages}")
            chosen = [(name, phase) for name in FAULTS if args.only in name for phase in PHASES]
            for seed, (name, phase) in enumerate(tqdm(chosen, unit="row")):
                rows.append(try_out(graph, name, phase, seed + 1))
                if args.json is not None:
                    args.json.parent.mkdir(parents=True, exist_ok=True)
                    content = {"cores": os.cpu_count(), "rows": [asdict(row) for row in rows]}
                    args.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        finally:
            graph.close()
    print(markdown(rows))
    bad = [
        row
        for row in rows
        if "HUNG" in row.ended or not row.stood or "whole" not in row.bag or "NOT" in row.next_episode
    ]
    print(f"{len(rows)} rows, {len(bad)} bad")
    if args.markdown is not None:
        args.markdown.write_text(markdown(rows), encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Arguments))
