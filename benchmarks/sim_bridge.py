# SPDX-License-Identifier: Apache-2.0
"""Speed of the simulation behind topics: real-time factor, camera rates, latency of images, processor time.

``python benchmarks/sim_bridge.py --json FILE`` writes rows of ``name, backend, value, unit, budget`` and prints them.
It starts a bridge of its own, on a ROS domain of its own, with one camera of the given size at 30 Hz.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import rclpy
import tyro
import yaml
from control_msgs.action import FollowJointTrajectory
from domain_coordinator import domain_id
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from grasp_core import resources

START_S = 60.0
SETTLE_S = 2.0


@dataclass(frozen=True)
class Row:
    """One number; ``budget`` none where there is none."""

    name: str
    backend: str
    value: float
    unit: str
    budget: float | None = None


@dataclass
class Arguments:
    """Measure the simulation behind topics."""

    json: Path | None = None
    """File for the rows."""
    cell: str = "ur5"
    """Name of the cell."""
    camera: str = "fixed_camera"
    """Which of its cameras somebody looks at."""
    sizes: tuple[str, ...] = ("none", "320x240", "640x480")
    """Sizes of its images; none: nobody looks."""
    seconds: float = 12.0
    """Time for each size."""
    renderer: str = "auto"
    """egl, tiny or auto."""
    scene: str = "drop"
    """Scene that is simulated."""
    objects: int = 10
    """How many objects lie there."""


@dataclass
class Heard:
    """What arrived, with real times."""

    clock: list[tuple[float, int]] = field(default_factory=list)
    images: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    joints: int = 0
    names: tuple[str, ...] = ()
    positions: tuple[float, ...] = ()


@contextmanager
def config_folder(args: Arguments, size: str) -> Iterator[Path]:
    """The workspace's configuration with another image size for the camera."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config"
        shutil.copytree(resources.find("config"), path)
        file = path / "cells" / f"{args.cell}.yaml"
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
        if size != "none":
            width, height = (int(number) for number in size.split("x"))
            values["cameras"][args.camera] |= {"width": width, "height": height, "rate_hz": 30.0}
        file.write_text(yaml.safe_dump(values), encoding="utf-8")
        yield path


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far."""
    parts = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def measure(args: Arguments, size: str) -> list[Row]:
    """Rows for one image size; the arm moves meanwhile, as it would."""
    with domain_id() as domain, config_folder(args, size) as folder:
        environment = {**os.environ, "ROS_DOMAIN_ID": str(domain), "GRASP_CONFIG_DIR": str(folder)}
        values = {"cell": args.cell, "scene": args.scene, "objects": args.objects, "renderer": args.renderer}
        command = [sys.executable, "-c", "from grasp_sim.sim_bridge_node import main; main()", "--ros-args"]
        for name, value in values.items():
            command += ["-p", f"{name}:={value}"]
        process = subprocess.Popen(command, env=environment)
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=domain)
        try:
            return _listen(args, size, process.pid, context)
        finally:
            rclpy.shutdown(context=context)
            process.send_signal(signal.SIGINT)
            process.wait(20)


def _listen(args: Arguments, size: str, pid: int, context: rclpy.Context) -> list[Row]:
    node = rclpy.create_node("measure", context=context)
    heard, started = Heard(), threading.Event()

    def on_joints(message: JointState) -> None:
        heard.joints += 1
        heard.names, heard.positions = tuple(message.name), tuple(message.position)
        started.set()

    def on_image(kind: str, message: Image) -> None:
        heard.images[kind].append((time.monotonic(), Time.from_msg(message.header.stamp).nanoseconds))

    node.create_subscription(
        Clock,
        "/clock",
        lambda m: heard.clock.append((time.monotonic(), Time.from_msg(m.clock).nanoseconds)),
        qos_profile_sensor_data,
    )
    node.create_subscription(JointState, "/joint_states", on_joints, 10)
    if size != "none":
        for kind, topic in (("color", "color/image_raw"), ("depth", "depth/image_rect_raw")):
            heard.images[kind] = []
            node.create_subscription(
                Image, f"/{args.camera}/{topic}", lambda m, kind=kind: on_image(kind, m), qos_profile_sensor_data
            )
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        if not started.wait(START_S):
            raise RuntimeError(f"no joint state came within {START_S:g} s")
        _move(args, node, heard)
        gate = threading.Event()
        gate.wait(SETTLE_S)
        begin, begin_cpu, first = time.monotonic(), cpu_seconds(pid), len(heard.clock)
        images_from = {kind: len(images) for kind, images in heard.images.items()}
        joints_from = heard.joints
        gate.wait(args.seconds)
        span, cpu = time.monotonic() - begin, cpu_seconds(pid) - begin_cpu
        clock, joints = heard.clock[first:], heard.joints - joints_from
        images = {kind: heard.images[kind][start:] for kind, start in images_from.items()}
    finally:
        executor.shutdown()
        thread.join()
    return _rows(args, size, clock, images, joints / span, cpu / span)


def _move(args: Arguments, node: rclpy.node.Node, heard: Heard) -> None:
    """Turn the first joint of the first arm to and fro until the end; the arm's camera and tool move along."""
    config = yaml.safe_load(resources.find("config", f"cells/{args.cell}.yaml").read_text(encoding="utf-8"))
    controller, joints = next(iter(next(iter(config["arms"].values()))["controllers"].items()))
    client = ActionClient(node, FollowJointTrajectory, f"/{controller}/follow_joint_trajectory")
    if not client.wait_for_server(START_S):
        raise RuntimeError(f"nobody offers {controller}/follow_joint_trajectory")
    now = dict(zip(heard.names, heard.positions, strict=True))
    points = []
    for k in range(1, int(args.seconds + SETTLE_S) + 10):
        row = [now[joint] for joint in joints]
        row[0] += 0.2 * (k % 2)
        point = JointTrajectoryPoint(positions=row)
        point.time_from_start.sec = k
        points.append(point)
    client.send_goal_async(FollowJointTrajectory.Goal(trajectory=JointTrajectory(joint_names=joints, points=points)))


def _rows(
    args: Arguments,
    size: str,
    clock: list[tuple[float, int]],
    images: dict[str, list[tuple[float, int]]],
    joints_hz: float,
    cores: float,
) -> list[Row]:
    at, simulated = np.array([c[0] for c in clock]), np.array([c[1] for c in clock]) * 1e-9
    factor = (simulated[-1] - simulated[0]) / (at[-1] - at[0])
    what = "nobody looks" if size == "none" else f"{size} RGB-D at 30 Hz"
    budget = 1.0 if size == "320x240" else None
    rows = [
        Row(f"real-time factor, {what}", args.renderer, float(factor), "x", budget),
        Row(f"joint states, {what}", args.renderer, joints_hz, "Hz", 100.0),
        Row(f"processor of the bridge, {what}", args.renderer, cores, "cores"),
    ]
    for kind, arrived in images.items():
        if len(arrived) < 2:
            rows.append(Row(f"{kind} images, {what}", args.renderer, 0.0, "Hz", 30.0))
            continue
        times, stamps = np.array([a[0] for a in arrived]), np.array([a[1] for a in arrived]) * 1e-9
        rate = (len(times) - 1) / (times[-1] - times[0])
        # Stamps are simulated, arrivals real: compared through the least delay that any clock message had. Rendering
        # (the simulated clock stands still meanwhile) and sending are both in it.
        ages = 1000.0 * ((times - stamps) - float((at - simulated).min()))
        budget = 30.0 if size == "320x240" else None
        rows.append(Row(f"{kind} images, {what}", args.renderer, float(rate), "Hz", budget))
        rows.append(Row(f"{kind} image age on arrival, median, {what}", args.renderer, float(np.median(ages)), "ms"))
        rows.append(
            Row(f"{kind} image age on arrival, 95 %, {what}", args.renderer, float(np.percentile(ages, 95)), "ms")
        )
    return rows


def main(args: Arguments) -> None:
    """Measure, print, write."""
    rows = [row for size in args.sizes for row in measure(args, size)]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for row in rows:
        budget = "" if row.budget is None else f"  (budget {row.budget:g})"
        print(f"{row.name:62s} {row.backend:5s} {row.value:9.2f} {row.unit}{budget}")
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(
            json.dumps({"cores": os.cpu_count(), "rows": [asdict(row) for row in rows]}, indent=1) + "\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main(tyro.cli(Arguments))
