# SPDX-License-Identifier: Apache-2.0
"""Start a cell in simulation and on mock hardware and print both node graphs side by side.

Swapping sim and real changes the drivers and nothing else: the exit code is 1 where another node differs, or where the
drivers do not offer the same actions and topics.

Usage: python scripts/compare_graphs.py [--cell ur5] (in a shell with env.sh)
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import rclpy
import tyro
from domain_coordinator import domain_id
from rclpy.action import get_action_names_and_types, get_action_server_names_and_types_by_node
from rclpy.node import Node

START_S = 120.0
# Told of last by the simulated world, which stands in both graphs.
LAST = "service /reset_scene"
# Every node has services and topics of its own that say nothing about the graph.
COMMON = ("/rosout", "/parameter_events", "/describe_parameters", "/get_parameter", "/list_parameters", "/set_param")


@dataclass
class Arguments:
    """Compare the graphs of a cell in simulation and on mock hardware."""

    cell: str = "ur5"
    """Name of the cell."""
    drivers: tuple[str, ...] = ("sim_bridge", "arm_driver", "arm_safety", "gripper_driver", "loopback")
    """Nodes that are drivers."""
    robot_ip: str = "127.9.0.1"
    """Address of the loopback controllers."""


@dataclass
class Graph:
    """What is there: per node what it offers, and actions by type."""

    nodes: dict[str, list[str]] = field(default_factory=dict)
    actions: dict[str, str] = field(default_factory=dict)


@contextmanager
def launched(domain: int, *words: str) -> Iterator[None]:
    """A launch without windows, ended afterwards."""
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain)}
    command = ["ros2", "launch", "grasp_bringup", *words, "headless_mode:=true", "policy:=none", "scene:=single"]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def look(domain: int, wanted: tuple[str, ...]) -> Graph:
    """The graph once the wanted actions and the world are there and it has not changed for two seconds."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = rclpy.create_node("compare_graphs", context=context)
    gate, end = threading.Event(), time.monotonic() + START_S
    graph, since = Graph(), time.monotonic()
    try:
        while time.monotonic() < end:
            now = seen(node)
            if now.nodes != graph.nodes or now.actions != graph.actions:
                graph, since = now, time.monotonic()
            there = all(name in graph.actions for name in wanted)
            there = there and any(LAST in offers for offers in graph.nodes.values())
            if there and time.monotonic() - since > 2.0:
                return graph
            gate.wait(0.2)
        raise SystemExit(f"the graph did not come up: {graph}")
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


def seen(node: Node) -> Graph:
    """What is there now."""
    graph = Graph(actions={name: types[0] for name, types in get_action_names_and_types(node)})
    for name, namespace in node.get_node_names_and_namespaces():
        if name.startswith(("_", "compare_graphs", "launch_ros", "transform_listener")):
            continue
        offers = [f"action {n}" for n, _ in get_action_server_names_and_types_by_node(node, name, namespace)]
        for kind, ask in (
            ("publishes", node.get_publisher_names_and_types_by_node),
            ("service", node.get_service_names_and_types_by_node),
        ):
            offers += [f"{kind} {n}" for n, _ in ask(name, namespace) if not any(word in n for word in COMMON)]
        graph.nodes[name] = sorted(offer for offer in offers if "/_action/" not in offer)
    return graph


def outside(graph: Graph, drivers: tuple[str, ...]) -> set[str]:
    """What the drivers offer together that others use; diagnostics and their own services left out."""
    offers = {offer for name in drivers for offer in graph.nodes.get(name, [])}
    own = tuple(f"service /{name}/" for name in drivers)
    return {offer for offer in offers if not offer.startswith(own)}


def main(args: Arguments) -> int:
    """Compare and print."""
    wanted = ("/arm_controller/follow_joint_trajectory", "/gripper_controller/gripper_cmd", "/plan_motion")
    graphs = {}
    for title, words in {
        "sim": (f"sim_{args.cell}.launch.py",),
        "mock": (f"real_{args.cell}.launch.py", "use_mock_hardware:=true", f"robot_ip:={args.robot_ip}"),
    }.items():
        with domain_id() as domain, launched(domain, *words):
            graphs[title] = look(domain, wanted)
    sim, mock = graphs["sim"], graphs["mock"]
    print(f"{'sim_' + args.cell:44s} real_{args.cell} use_mock_hardware:=true")
    for name in sorted(set(sim.nodes) | set(mock.nodes), key=lambda n: (n not in args.drivers, n)):
        mark = "driver " if name in args.drivers else ""
        left, right = (f"{mark}/{name}" if name in g.nodes else "" for g in (sim, mock))
        print(f"{left:44s} {right}")
    problems = []
    for name in sorted((set(sim.nodes) | set(mock.nodes)) - set(args.drivers)):
        if sim.nodes.get(name) != mock.nodes.get(name):
            problems.append(f"node {name} differs: {sim.nodes.get(name)} and {mock.nodes.get(name)}")
    left, right = outside(sim, args.drivers), outside(mock, args.drivers)
    print("\nwhat the drivers offer")
    for offer in sorted(left | right):
        print(f"{offer if offer in left else '':44s} {offer if offer in right else ''}")
    lacking = {
        offer
        for offer in left - right
        if offer.startswith(("action", "service")) or "camera" in offer or "joint" in offer
    }
    problems += [f"on mock hardware nobody offers: {offer}" for offer in sorted(lacking)]
    for name in wanted:
        if sim.actions[name] != mock.actions[name]:
            problems.append(f"{name} is {sim.actions[name]} and {mock.actions[name]}")
    print("\n" + ("\n".join(problems) if problems else "the graphs differ in their drivers only"))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Arguments)))
