# SPDX-License-Identifier: Apache-2.0
"""How long an image takes: into a message and out of it, and from one process to another.

Latency is counted from just before ``publish`` in one process to the callback in the other, on the clock that both
share, with sensor-data QoS at 30 Hz. It is measured with Fast DDS's defaults and with config/dds/fastdds.xml.

Usage: python benchmarks/image_transport.py [--json FILE] [--count N]
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
from functools import partial
from pathlib import Path

import numpy as np

PROFILE = Path(__file__).resolve().parents[1] / "config" / "dds" / "fastdds.xml"
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
SHAPES = {"rgb8": ((480, 640, 3), np.uint8), "32FC1": ((480, 640), np.float32)}
CONVERSION_BUDGET_MS = 1.0
LATENCY_BUDGET_MS = 5.0
RATE_HZ = 30.0
WARM_UP = 15
MIN_COUNT = 50
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Row:
    """One measurement; ``budget`` is the most that it should be, if there is one."""

    name: str
    backend: str
    value: float
    unit: str
    budget: float | None


def picture(encoding: str) -> np.ndarray:
    """An image of noise, which nothing on the way can shorten."""
    shape, dtype = SHAPES[encoding]
    return np.random.default_rng(0).integers(0, 255, shape).astype(dtype)


def timed(call: Callable[[], object], repeat: int = 200) -> tuple[float, float]:
    """Median and 95th percentile of a call in ms."""
    times_ms = []
    for _ in range(repeat):
        start_ns = time.perf_counter_ns()
        call()
        times_ms.append((time.perf_counter_ns() - start_ns) / 1e6)
    return float(np.median(times_ms)), float(np.percentile(times_ms, 95))


def conversion_rows() -> list[Row]:
    """Time of CvBridge's conversions."""
    from cv_bridge import CvBridge

    bridge, rows = CvBridge(), []
    for encoding in SHAPES:
        image = picture(encoding)
        message = bridge.cv2_to_imgmsg(image, encoding)
        calls: dict[str, Callable[[], object]] = {
            "array to message": partial(bridge.cv2_to_imgmsg, image, encoding),
            "message to array": partial(bridge.imgmsg_to_cv2, message),
        }
        if encoding == "rgb8":
            calls["message to bgr8 array"] = partial(bridge.imgmsg_to_cv2, message, "bgr8")
        for what, call in calls.items():
            median_ms, slow_ms = timed(call)
            rows.append(Row(f"{what}, 640x480 {encoding}, median", "cv_bridge", median_ms, "ms", CONVERSION_BUDGET_MS))
            rows.append(Row(f"{what}, 640x480 {encoding}, p95", "cv_bridge", slow_ms, "ms", None))
    return rows


def publish(encoding: str, count: int) -> None:
    """The sending process: waits for the receiver, then publishes ``count`` images and ends."""
    import rclpy
    from builtin_interfaces.msg import Time
    from cv_bridge import CvBridge
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import Image

    rclpy.init()
    node = rclpy.create_node("image_sender")
    publisher = node.create_publisher(Image, "image", qos_profile_sensor_data)
    deadline = time.monotonic() + TIMEOUT_S
    while publisher.get_subscription_count() == 0:
        if time.monotonic() > deadline:
            raise SystemExit(f"no receiver was found within {TIMEOUT_S:g} s")
        rclpy.spin_once(node, timeout_sec=0.05)
    bridge, image = CvBridge(), picture(encoding)
    sent = 0

    def send() -> None:
        nonlocal sent
        message = bridge.cv2_to_imgmsg(image, encoding)
        now_ns = time.monotonic_ns()
        message.header.stamp = Time(sec=now_ns // 1_000_000_000, nanosec=now_ns % 1_000_000_000)
        publisher.publish(message)
        sent += 1

    node.create_timer(1 / RATE_HZ, send)
    while sent < count:
        rclpy.spin_once(node)
    rclpy.shutdown()


def receive() -> None:
    """The receiving process: prints the latencies (ms) as JSON once its standard input is closed."""
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import Image

    rclpy.init()
    node = rclpy.create_node("image_receiver")
    latencies_ms: list[float] = []

    def on_image(message: Image) -> None:
        stamp = message.header.stamp
        latencies_ms.append((time.monotonic_ns() - stamp.sec * 1_000_000_000 - stamp.nanosec) / 1e6)

    node.create_subscription(Image, "image", on_image, qos_profile_sensor_data)
    ended = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        ended.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    while not ended.is_set():
        rclpy.spin_once(node, timeout_sec=0.1)
    print(json.dumps(latencies_ms))
    rclpy.shutdown()


def latency_rows(encoding: str, profile: Path | None, domain: int, count: int) -> list[Row]:
    """Run sender and receiver, with a profile or with the defaults of Fast DDS."""
    backend = f"Fast DDS, {profile.name}" if profile else "Fast DDS, defaults"
    environment = {
        **{name: value for name, value in os.environ.items() if name not in PROFILE_VARIABLES},
        **(dict.fromkeys(PROFILE_VARIABLES, str(profile)) if profile else {}),
        "ROS_DOMAIN_ID": str(domain),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
    }
    this = [sys.executable, __file__]
    receiver = subprocess.Popen(
        [*this, "--receive"], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        subprocess.run(
            [*this, "--publish", encoding, "--count", str(count + WARM_UP)],
            env=environment,
            check=True,
            timeout=TIMEOUT_S * 2 + count / RATE_HZ * 3,
        )
        output, _ = receiver.communicate(timeout=TIMEOUT_S)
    finally:
        receiver.kill()
        receiver.wait()
    if receiver.returncode != 0:
        raise SystemExit(f"the receiver ended with exit code {receiver.returncode}")
    latencies_ms = json.loads(output)
    lost = count + WARM_UP - len(latencies_ms)
    counted = np.array(latencies_ms[WARM_UP:])
    if counted.size == 0:
        raise SystemExit(f"{backend}: only {len(latencies_ms)} of {count + WARM_UP} images arrived, too few to measure")
    what = f"latency, 640x480 {encoding}"
    budget = LATENCY_BUDGET_MS if profile else None
    return [
        Row(f"{what}, median", backend, float(np.median(counted)), "ms", budget),
        Row(f"{what}, p95", backend, float(np.percentile(counted, 95)), "ms", None),
        Row(f"{what}, lost of {count + WARM_UP}", backend, float(lost), "images", None),
    ]


def main() -> None:
    """Read the command line; two hidden options make this the sender or the receiver."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--count", type=int, default=150, help="images per measurement (default: %(default)s)")
    parser.add_argument("--publish", choices=SHAPES, help=argparse.SUPPRESS)
    parser.add_argument("--receive", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.publish:
        publish(arguments.publish, arguments.count)
    elif arguments.receive:
        receive()
    elif arguments.count < MIN_COUNT:
        parser.error(f"--count is {arguments.count}; at least {MIN_COUNT} are needed, since some images may get lost")
    else:
        measure(arguments.count, arguments.json)


def measure(count: int, json_file: Path | None) -> None:
    """All measurements, as a table and as JSON."""
    import domain_coordinator

    rows = conversion_rows()
    with domain_coordinator.domain_id() as domain:
        for encoding in SHAPES:
            for profile in (None, PROFILE):
                rows += latency_rows(encoding, profile, domain, count)
    print(f"{os.cpu_count()} cores")
    print(f"{'what':44} {'with':26} {'value':>8} {'unit':6} {'budget':>6}")
    for row in rows:
        budget = "" if row.budget is None else f"{row.budget:g}"
        print(f"{row.name:44} {row.backend:26} {row.value:8.3f} {row.unit:6} {budget:>6}")
    if json_file:
        document = {"cores": os.cpu_count(), "rows": [asdict(row) for row in rows]}
        json_file.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
