# SPDX-License-Identifier: Apache-2.0
"""The picking check over ROS: the very same grasps and skills, through topics and actions of a running graph."""

from __future__ import annotations

import contextlib
import functools
import logging
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import rclpy
from geometry_msgs.msg import Pose
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String
from visualization_msgs.msg import Marker, MarkerArray

from grasp_core import registry
from grasp_core.cell_config import CellConfig
from grasp_core.geometry import transform
from grasp_core.ports import StateError
from grasp_core.ros_running import spin_until
from grasp_description.cell_kinematics import CellKinematics, GripperGeometry
from grasp_interfaces.srv import ResetScene
from grasp_sim.scripted_grasps import ROUND_MODELS, Target

log = logging.getLogger(__name__)

# A graph that is running answers within this time; one that is being started within the second (s).
FIND_S = 4.0
START_S = 90.0
TRUTH_S = 10.0


def connect(config: CellConfig, domain_id: int | None = None, **options: Any) -> Any:
    """The cell over ROS: what is offered as ``ros`` in the entry points ``grasp.cells``.

    This package may not import the one that offers it, which knows nothing of simulators; they meet by name.

    Raises:
        UnknownNameError: the package that offers it is not built.
        StateError: the graph is silent.
    """
    grippers = {name: GripperGeometry(gripper) for name, gripper in config.grippers.items()}
    ros_cell = registry.load("grasp.cells", "ros")
    return ros_cell(config, CellKinematics(config), grippers, options, domain_id)


class RosTruth:
    """Ground truth of a simulated graph, from ``/ground_truth``; close it in the end."""

    def __init__(self, domain_id: int | None = None) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self._node = rclpy.create_node("pick_check_truth", context=self._context)
        self._arrived = threading.Condition()
        self._heard: dict[str, tuple[int, Any]] = {}
        latest = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        for kind, topic in ((MarkerArray, "ground_truth/objects"), (String, "ground_truth/held")):
            self._node.create_subscription(kind, topic, functools.partial(self._keep, topic), latest)
        self._reset = self._node.create_client(ResetScene, "reset_scene")
        self._over = threading.Event()
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=spin_until, args=(self._executor, self._over), daemon=True)
        self._thread.start()

    def graph_runs(self, timeout_s: float) -> bool:
        """Whether a simulated graph answers within a time."""
        return bool(self._reset.wait_for_service(timeout_s))

    def targets(self) -> list[Target]:
        """The objects that are there now."""
        boxes = [marker for marker in self._next("ground_truth/objects").markers if marker.action == Marker.ADD]
        return [
            Target(box.id, box.ns, _matrix(box.pose), (box.scale.x, box.scale.y, box.scale.z), box.ns in ROUND_MODELS)
            for box in boxes
        ]

    def held(self) -> set[int]:
        """Numbers of the objects that are held now."""
        return {int(number) for number in self._next("ground_truth/held").data.split(",") if number}

    def close(self) -> None:
        """Leave the graph."""
        self._over.set()
        self._thread.join()
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def _keep(self, topic: str, message: Any) -> None:
        with self._arrived:
            self._heard[topic] = (self._heard.get(topic, (0, None))[0] + 1, message)
            self._arrived.notify_all()

    def _next(self, topic: str) -> Any:
        # The first message from now on may have been on its way; the second was made after the question.
        with self._arrived:
            begun = self._heard.get(topic, (0, None))[0]
            if not self._arrived.wait_for(lambda: self._heard.get(topic, (0, None))[0] >= begun + 2, TRUTH_S):
                raise StateError(f"nothing came on /{topic} for {TRUTH_S:g} s; is this graph simulated?")
            return self._heard[topic][1]


@contextlib.contextmanager
def running_graph(cell: str, truth: RosTruth) -> Iterator[None]:
    """The graph that is there, or one of our own for as long as the context lasts.

    Raises:
        StateError: it does not start.
    """
    if truth.graph_runs(FIND_S):
        log.info("using the graph that is running")
        yield
        return
    command = ["ros2", "launch", "grasp_bringup", f"sim_{cell}.launch.py"]
    command += ["headless_mode:=true", "policy:=none", "scene:=single"]
    log.info("no graph is running; starting one: %s", " ".join(command))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        begin = time.monotonic()
        while not truth.graph_runs(1.0):
            if process.poll() is not None:
                raise StateError(f"the graph ended with exit code {process.returncode}: {' '.join(command)}")
            if time.monotonic() - begin > START_S:
                raise StateError(f"the graph did not come up within {START_S:g} s: {' '.join(command)}")
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20.0)
        except subprocess.TimeoutExpired:
            process.kill()


def _matrix(pose: Pose) -> Any:
    p, q = pose.position, pose.orientation
    return transform((p.x, p.y, p.z), (q.x, q.y, q.z, q.w))
