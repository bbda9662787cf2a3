# SPDX-License-Identifier: Apache-2.0
"""How many pictures fusion_node loses at 640x360 and 30 Hz, on two cores, from one process to another.

A process publishes colour (rgb8), depth (16UC1), camera_info and the camera's transform, as camera_node and
robot_state_publisher do; the node runs on the first two cores; this process reads its /diagnostics and, case by case,
listens to the cloud and asks for 35 views. The publisher and this process run on the other cores where there are any.
Every picture sent must have been fused in the end; what is missing is told by where it went missing.

Usage: python benchmarks/fusion_node.py [--json FILE] [--seconds S]; the workspace must be built and sourced.
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
from typing import Any

import numpy as np

HERE = Path(__file__).resolve()
PROFILE = HERE.parents[1] / "config" / "dds" / "fastdds.xml"
PROFILE_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
WIDTH, HEIGHT, RATE_HZ = 640, 360, 30.0
# Transforms come as robot_state_publisher sends them: often, and later than the picture that was taken then.
TF_RATE_HZ = 125.0
TIMEOUT_S = 60.0
# One round of the camera around the scene: 1.1 m/s, well below what the node takes for a jump.
ROUND_S = 2.5
SETTINGS = {"origin_m": [-0.3, -0.3, -0.05], "size_m": [0.6, 0.6, 0.5], "base_frame": "base", "camera": "bench"}
# What is asked of the node beside fusing: (name of the case, listen to cloud and mesh, requests for 35 views a second).
CASES = (("alone", False, 0.0), ("with cloud and mesh", True, 0.0), ("with cloud, mesh, 35 views at 2 Hz", True, 2.0))


@dataclass(frozen=True)
class Row:
    """One measurement; ``budget`` is the most that it should be, if there is one."""

    name: str
    backend: str
    value: float
    unit: str
    budget: float | None = None


def pose_at(seconds: float) -> np.ndarray:
    """The camera's pose in the base frame [4, 4] at a time of its round."""
    from grasp_core.geometry import look_at

    angle = 2.0 * np.pi * seconds / ROUND_S
    return look_at((0.45 * np.cos(angle), 0.45 * np.sin(angle), 0.45), (0.0, 0.0, 0.05))


def publish(count: int) -> None:
    """The camera's and the robot's process: waits for the node, sends ``count`` pictures, prints how many were sent."""
    import rclpy
    from geometry_msgs.msg import TransformStamped
    from rclpy.qos import qos_profile_sensor_data
    from rclpy.time import Time
    from sensor_msgs.msg import CameraInfo, Image
    from std_msgs.msg import Header
    from tf2_ros import TransformBroadcaster

    from grasp_core.camera import Intrinsics
    from grasp_core.geometry import quaternion_of
    from grasp_fusion import ros_conversions as ros
    from grasp_fusion.analytic_scene import Box, Plane, Sphere, photograph

    scene = (Plane(), Sphere((0.08, 0.05, 0.08), 0.08), Box((-0.2, -0.15, 0.0), (-0.06, 0.0, 0.12)))
    camera = Intrinsics.from_fov(WIDTH, HEIGHT, 0.73)
    rounds = [photograph(scene, pose_at(n / RATE_HZ), camera).frame for n in range(round(ROUND_S * RATE_HZ))]
    empty = Header(frame_id="bench_optical")
    pictures = [
        (
            ros.image_messages(frame.rgb[None], "rgb8", empty)[0],
            ros.image_messages(np.nan_to_num(1e3 * frame.depth_m).astype(np.uint16)[None], "16UC1", empty)[0],
        )
        for frame in rounds
    ]
    rclpy.init()
    node = rclpy.create_node("camera_and_robot")
    colour = node.create_publisher(Image, "bench/color/image_raw", qos_profile_sensor_data)
    depth = node.create_publisher(Image, "bench/depth/image_rect_raw", qos_profile_sensor_data)
    info = node.create_publisher(CameraInfo, "bench/depth/camera_info", qos_profile_sensor_data)
    tf = TransformBroadcaster(node)
    deadline = time.monotonic() + TIMEOUT_S
    while 0 in (p.get_subscription_count() for p in (colour, depth, info)):
        if time.monotonic() > deadline:
            raise SystemExit(f"no fusion_node was found within {TIMEOUT_S:g} s")
        rclpy.spin_once(node, timeout_sec=0.05)
    begun_ns = time.time_ns()
    is_over = threading.Event()

    def stamp(seconds: float) -> Any:
        return Time(nanoseconds=begun_ns + int(seconds * 1e9)).to_msg()

    def send_transforms() -> None:
        n = 0
        while not is_over.is_set():
            seconds = n / TF_RATE_HZ
            message = TransformStamped(header=Header(stamp=stamp(seconds), frame_id="base"))
            message.child_frame_id = "bench_optical"
            T, t, r = pose_at(seconds), message.transform.translation, message.transform.rotation
            t.x, t.y, t.z = T[:3, 3].tolist()
            r.x, r.y, r.z, r.w = quaternion_of(T).tolist()
            tf.sendTransform(message)
            n += 1
            is_over.wait(max(0.0, begun_ns / 1e9 + n / TF_RATE_HZ - time.time()))

    robot = threading.Thread(target=send_transforms)
    robot.start()
    lens = CameraInfo(width=WIDTH, height=HEIGHT, header=empty)
    lens.k = camera.K.ravel()
    for n in range(count):
        due_s = n / RATE_HZ
        is_over.wait(max(0.0, begun_ns / 1e9 + due_s - time.time()))
        for publisher, message in zip((info, colour, depth), (lens, *pictures[n % len(pictures)]), strict=True):
            message.header.stamp = stamp(due_s)
            publisher.publish(message)
    late_s = time.time() - begun_ns / 1e9 - (count - 1) / RATE_HZ
    # The last pictures' transforms come after them.
    is_over.wait(0.5)
    is_over.set()
    robot.join()
    print(json.dumps({"sent": count, "late_s": late_s}), flush=True)
    rclpy.shutdown()


class Listener:
    """This process' side of the graph: the node's newest counts, and a client that asks for views."""

    def __init__(self, slow_outputs: bool) -> None:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
        from sensor_msgs.msg import PointCloud2
        from visualization_msgs.msg import Marker

        from grasp_interfaces.srv import RenderViews

        self._rclpy = rclpy
        self._node = rclpy.create_node("listener")
        self.counts: dict[str, str] = {}
        self.heard = {"cloud": 0, "mesh": 0}
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        if slow_outputs:
            self._node.create_subscription(PointCloud2, "fusion_node/cloud", self._count("cloud"), 1)
            self._node.create_subscription(Marker, "fusion_node/mesh", self._count("mesh"), 1)
        self._client = self._node.create_client(RenderViews, "fusion_node/render_views")

    def _on_diagnostics(self, message: Any) -> None:
        self.counts = {pair.key: pair.value for pair in message.status[0].values}

    def _count(self, name: str) -> Callable[[object], None]:
        def callback(_: object) -> None:
            self.heard[name] += 1

        return callback

    def number(self, name: str) -> float:
        """A count of the newest diagnostics."""
        return float(self.counts.get(name, 0))

    def spin_until(self, is_over: Callable[[], bool]) -> None:
        """Serve callbacks until something holds."""
        deadline = time.monotonic() + TIMEOUT_S
        while not is_over():
            if time.monotonic() > deadline:
                raise SystemExit(f"fusion_node did not get there within {TIMEOUT_S:g} s; last heard: {self.counts}")
            self._rclpy.spin_once(self._node, timeout_sec=0.05)

    def render(self) -> float:
        """Ask for 35 views of 80x45 of the newest state; seconds until the answer."""
        from geometry_msgs.msg import Point, Pose, Quaternion
        from sensor_msgs.msg import CameraInfo

        from grasp_core.camera import Intrinsics
        from grasp_core.geometry import quaternion_of
        from grasp_interfaces.srv import RenderViews

        request = RenderViews.Request(want_normals=True, camera=CameraInfo(width=80, height=45))
        request.camera.k = Intrinsics.from_fov(80, 45, 0.73).K.ravel()
        for T in (pose_at(n * ROUND_S / 35) for n in range(35)):
            q = Quaternion(**dict(zip("xyzw", quaternion_of(T).tolist(), strict=True)))
            request.poses.append(
                Pose(position=Point(**dict(zip("xyz", T[:3, 3].tolist(), strict=True))), orientation=q)
            )
        started = time.perf_counter()
        future = self._client.call_async(request)
        self.spin_until(future.done)
        if not future.result().success:
            raise SystemExit(f"render_views: {future.result().message}")
        return time.perf_counter() - started

    def close(self) -> None:
        """Leave the graph."""
        self._node.destroy_node()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def on_cores(cores: set[int], *command: str) -> list[str]:
    """A command that may use certain cores only."""
    return ["taskset", "-c", ",".join(map(str, sorted(cores))), *command]


def case_rows(case: str, slow_outputs: bool, views_hz: float, seconds: float) -> list[Row]:
    """Run the three processes once."""
    count = round(seconds * RATE_HZ)
    cores = sorted(os.sched_getaffinity(0))
    node_cores, others = set(cores[:2]), set(cores[2:] or cores)
    os.sched_setaffinity(0, others)
    arguments = [part for name, value in SETTINGS.items() for part in ("-p", f"{name}:={value}")]
    module = (sys.executable, "-m", "grasp_fusion.fusion_node", "--ros-args", *arguments)
    node = subprocess.Popen(on_cores(node_cores, *module), stderr=subprocess.DEVNULL)
    publisher = None
    listener = Listener(slow_outputs)
    spent_s: list[float] = []
    try:
        listener.spin_until(lambda: bool(listener.counts))
        publisher = subprocess.Popen(
            on_cores(others, sys.executable, str(HERE), "--publish", str(count)), stdout=subprocess.PIPE, text=True
        )
        listener.spin_until(lambda: listener.number("fused") > 0)
        cpu_s, begun_s = cpu_seconds(node.pid), time.monotonic()
        while publisher.poll() is None:
            pause_end = time.monotonic() + (1.0 / views_hz if views_hz else 0.5)
            if views_hz:
                spent_s.append(listener.render())
            listener.spin_until(lambda end=pause_end: time.monotonic() > end)
        share = (cpu_seconds(node.pid) - cpu_s) / (time.monotonic() - begun_s)
        late_s = json.loads(publisher.communicate()[0])["late_s"]
        before = dict(listener.counts)
        listener.spin_until(lambda: listener.counts != before and settled(listener, before))
    finally:
        os.sched_setaffinity(0, set(cores))
        for process in (node, publisher):
            if process is not None:
                process.terminate()
                process.wait(TIMEOUT_S)
        listener.close()
    fused = listener.number("fused")
    lost = {name: listener.number(name) for name in ("dropped", "refused", "unmatched")}
    backend = f"numba, {len(node_cores)} cores"
    rows = [Row(f"{case}: not fused, of {count}", backend, count - fused, "pictures", 0.0)]
    rows += [Row(f"{case}: {name}", backend, value, "pictures") for name, value in lost.items()]
    rows += [
        Row(f"{case}: time a picture, mean", backend, listener.number("integrate_ms"), "ms"),
        Row(f"{case}: fusion_node", backend, 100.0 * share, "% core"),
        Row(f"{case}: publisher behind its schedule", "rclpy", 1e3 * late_s, "ms"),
    ]
    rows += [Row(f"{case}: {name} messages", backend, float(n), "messages") for name, n in listener.heard.items() if n]
    if spent_s:
        rows.append(Row(f"{case}: 35 views, request to answer, median", backend, 1e3 * float(np.median(spent_s)), "ms"))
    if lost["refused"]:
        print(f"{case}: last refusal: {listener.counts.get('last_error')}", file=sys.stderr)
    return rows


def settled(listener: Listener, before: dict[str, str]) -> bool:
    """Whether the counts stood still from one report to the next; remembers the newest in ``before``."""
    same = all(listener.counts[name] == before.get(name) for name in ("received", "fused", "dropped", "refused"))
    before.clear()
    before.update(listener.counts)
    return same


def main() -> None:
    """Read the command line; a hidden option makes this the publisher."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of each case (default: %(default)s)")
    parser.add_argument("--publish", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.publish is not None:
        publish(arguments.publish)
        return
    import domain_coordinator
    import rclpy

    os.environ.update(dict.fromkeys(PROFILE_VARIABLES, str(PROFILE)), ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST")
    rows = []
    with domain_coordinator.domain_id() as domain:
        os.environ["ROS_DOMAIN_ID"] = str(domain)
        for case in CASES:
            rclpy.init()
            rows += case_rows(*case, seconds=arguments.seconds)
            rclpy.shutdown()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for row in rows:
        budget = "" if row.budget is None else f"{row.budget:g}"
        print(f"{row.name:<72} {row.backend:<15} {row.value:8.2f} {row.unit:<9} {budget}")
    if arguments.json:
        document = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "rows": [asdict(row) for row in rows]}
        arguments.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
