# SPDX-License-Identifier: Apache-2.0
"""Latency and processor time of camera_node at 640x480 and 30 Hz, colour and depth, from one process to another.

camera_node runs with the simulated driver, whose source here hands over pictures of noise and stamps each at the moment
it takes it. Latency is counted from that stamp to the callback of a subscriber in another process, so it holds
everything: driver, stream, message, serialisation, transport, deserialisation and rclpy's executor. The stages are
timed alone as well. Measured with Fast DDS's defaults and with config/dds/fastdds.xml.

Usage: python benchmarks/cameras.py [--json FILE] [--seconds S]; the workspace must be built and sourced.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve()
PROFILE = HERE.parents[1] / "config" / "dds" / "fastdds.xml"
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
WIDTH, HEIGHT, RATE_HZ = 640, 480, 30.0
LATENCY_BUDGET_MS = 5.0
WARM_UP_S = 2.0
TIMEOUT_S = 30.0
COLOR, DEPTH = "/bench/color/image_raw", "/bench/depth/image_rect_raw"
JPEG, POINTS = "/bench/color/image_raw/compressed", "/bench/depth/color/points"
# What a subscriber listens to: (name of the case, topics).
CASES = {
    "rgb": (COLOR,),
    "rgb + depth": (COLOR, DEPTH),
    "rgb + depth + jpeg": (COLOR, DEPTH, JPEG),
    "rgb + depth + points": (COLOR, DEPTH, POINTS),
    "nobody": (),
}


@dataclass(frozen=True)
class Row:
    """One measurement; ``budget`` is the most that it should be, if there is one."""

    name: str
    backend: str
    value: float
    unit: str
    budget: float | None = None


def make_source() -> Callable[[], object]:
    """The picture source of the simulated driver: noise, which nothing on the way can shorten."""
    from grasp_core.camera import CameraFrame, Intrinsics

    rng = np.random.default_rng(0)
    camera = Intrinsics.from_fov(WIDTH, HEIGHT, 0.8)
    pictures = [rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8) for _ in range(4)]
    depths = [rng.uniform(0.3, 2.0, (HEIGHT, WIDTH)).astype(np.float32) for _ in range(4)]
    count = 0

    def take() -> CameraFrame:
        nonlocal count
        count += 1
        return CameraFrame(camera, np.eye(4), time.time_ns(), pictures[count % 4], depths[count % 4])

    return take


def receive(topics: list[str], seconds: float) -> None:
    """The subscriber's process: prints the latencies (ms) by topic and its own processor share as JSON."""
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import CompressedImage, Image, PointCloud2

    types = {JPEG: CompressedImage, POINTS: PointCloud2}
    rclpy.init()
    node = rclpy.create_node("receiver")
    latencies_ms: dict[str, list[float]] = {topic: [] for topic in topics}
    begin = threading.Event()

    def listen(topic: str) -> None:
        def callback(message: object) -> None:
            now_ns = time.time_ns()
            stamp = message.header.stamp  # type: ignore[attr-defined]
            if begin.is_set():
                latencies_ms[topic].append((now_ns - stamp.sec * 1_000_000_000 - stamp.nanosec) / 1e6)
            seen.add(topic)

        node.create_subscription(types.get(topic, Image), topic, callback, qos_profile_sensor_data)

    seen: set[str] = set()
    for topic in topics:
        listen(topic)
    deadline = time.monotonic() + TIMEOUT_S
    while seen != set(topics):
        if time.monotonic() > deadline:
            raise SystemExit(f"nothing came on {set(topics) - seen} within {TIMEOUT_S:g} s")
        rclpy.spin_once(node, timeout_sec=0.1)
    spin_until(node, time.monotonic() + WARM_UP_S)
    begin.set()
    cpu_s, start_s = time.process_time(), time.monotonic()
    print("begin", flush=True)
    spin_until(node, start_s + seconds)
    share = (time.process_time() - cpu_s) / (time.monotonic() - start_s)
    print(json.dumps({"latencies_ms": latencies_ms, "cpu": share}), flush=True)
    rclpy.shutdown()


def spin_until(node: object, end_s: float) -> None:
    """Serve callbacks until a time of the monotonic clock."""
    import rclpy

    while (left := end_s - time.monotonic()) > 0.0:
        rclpy.spin_once(node, timeout_sec=left)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def graph_rows(case: str, profile: Path | None, domain: int, seconds: float) -> list[Row]:
    """Run camera_node and a subscriber, with a profile or with the defaults of Fast DDS."""
    backend = f"Fast DDS, {profile.name}" if profile else "Fast DDS, defaults"
    environment = {
        **{name: value for name, value in os.environ.items() if name not in PROFILE_VARIABLES},
        **(dict.fromkeys(PROFILE_VARIABLES, str(profile)) if profile else {}),
        "ROS_DOMAIN_ID": str(domain),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "PYTHONPATH": f"{HERE.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
    }
    parameters = {
        "camera_name": "bench",
        "driver": "simulated",
        # Quoted: a string for ROS, YAML for the node.
        "options": f"'{{source: cameras:make_source, rate_hz: {RATE_HZ}}}'",
    }
    arguments = [part for name, value in parameters.items() for part in ("-p", f"{name}:={value}")]
    node = subprocess.Popen(
        [sys.executable, "-m", "grasp_cameras.camera_node", "--ros-args", *arguments],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    receiver = subprocess.Popen(
        [sys.executable, str(HERE), "--seconds", str(seconds), "--receive", *CASES[case]],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert receiver.stdout is not None
        if receiver.stdout.readline().strip() != "begin":
            node.terminate()
            raise SystemExit(f"{case}, {backend}: the subscriber got nothing\n{node.communicate()[1]}")
        before_s, start_s = cpu_seconds(node.pid), time.monotonic()
        answer = json.loads(receiver.stdout.readline())
        share = (cpu_seconds(node.pid) - before_s) / (time.monotonic() - start_s)
        receiver.wait(TIMEOUT_S)
    finally:
        for process in (receiver, node):
            process.terminate()
            process.wait(TIMEOUT_S)
    rows = []
    for topic, latencies_ms in answer["latencies_ms"].items():
        what = f"{case}: {topic.removeprefix('/bench/')}"
        lost = round(seconds * RATE_HZ) - len(latencies_ms)
        if not latencies_ms:
            raise SystemExit(f"{what}, {backend}: no message arrived")
        budget = LATENCY_BUDGET_MS if profile and topic in (COLOR, DEPTH) else None
        rows.append(Row(f"{what}, latency median", backend, float(np.median(latencies_ms)), "ms", budget))
        rows.append(Row(f"{what}, latency p95", backend, float(np.percentile(latencies_ms, 95)), "ms"))
        rows.append(Row(f"{what}, lost of {round(seconds * RATE_HZ)}", backend, float(max(0, lost)), "messages"))
    rows.append(Row(f"{case}: camera_node", backend, 100.0 * share, "% core"))
    if CASES[case]:
        rows.append(Row(f"{case}: subscriber", backend, 100.0 * answer["cpu"], "% core"))
    return rows


def timed_ms(call: Callable[[], object], repeat: int = 100) -> float:
    """Median of a call in ms."""
    times = []
    for _ in range(repeat):
        start_ns = time.perf_counter_ns()
        call()
        times.append((time.perf_counter_ns() - start_ns) / 1e6)
    return float(np.median(times))


def stage_rows() -> list[Row]:
    """The stages that a message passes in this process, alone."""
    from rclpy.serialization import deserialize_message, serialize_message

    from grasp_cameras import ros_conversions as ros

    picture = make_source()()
    head = ros.header(1, "frame")
    depth_u2 = np.nan_to_num(picture.depth_m * 1e3).astype(np.uint16)
    makers: dict[str, Callable[[], object]] = {
        "rgb8": lambda: ros.image_message(picture.rgb, "rgb8", head),
        "16UC1 of uint16": lambda: ros.depth_message(depth_u2, 0.001, "16UC1", head),
        "16UC1 of metres": lambda: ros.depth_message(picture.depth_m, 0.001, "16UC1", head),
        "32FC1": lambda: ros.depth_message(picture.depth_m, 0.001, "32FC1", head),
        "jpeg": lambda: ros.compressed_message(picture.rgb, 90, head),
        "points": lambda: ros.cloud_message(picture, head),
    }
    rows = []
    for name, make in makers.items():
        message = make()
        data = serialize_message(message)
        kind = type(message)
        rows.append(Row(f"stage: make {name}", "ros_conversions", timed_ms(make), "ms"))
        rows.append(Row(f"stage: serialise {name}", "rclpy", timed_ms(lambda m=message: serialize_message(m)), "ms"))
        back = timed_ms(lambda d=data, k=kind: deserialize_message(d, k))
        rows.append(Row(f"stage: deserialise {name}", "rclpy", back, "ms"))
    return rows


def main() -> None:
    """Read the command line; a hidden option makes this the subscriber."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each measurement (default: %(default)s)")
    parser.add_argument("--receive", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.receive is not None:
        receive(arguments.receive, arguments.seconds)
        return
    import domain_coordinator

    rows = stage_rows()
    with domain_coordinator.domain_id() as domain:
        for profile in (None, PROFILE):
            for case in CASES:
                rows += graph_rows(case, profile, domain, arguments.seconds)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'what':56} {'with':24} {'value':>8} {'unit':8} {'budget':>6}")
    for row in rows:
        budget = "" if row.budget is None else f"{row.budget:g}"
        print(f"{row.name:56} {row.backend:24} {row.value:8.2f} {row.unit:8} {budget:>6}")
    if arguments.json:
        document = {"cores": os.cpu_count(), "rows": [asdict(row) for row in rows]}
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
