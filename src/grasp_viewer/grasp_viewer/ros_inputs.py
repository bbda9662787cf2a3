# SPDX-License-Identifier: Apache-2.0
"""Topics that are listened to only while somebody looks at what they bring."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2
from std_msgs.msg import String
from visualization_msgs.msg import Marker

from grasp_interfaces.msg import Decision

LATEST = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
MAPS = "/policy/maps/"


@dataclass(frozen=True)
class Source:
    """A topic, its type, and whether its last message is kept for those who come later."""

    topic: str
    kind: type
    latched: bool = False


ROBOT = Source("/robot_description", String, latched=True)
JOINTS = Source("/joint_states", JointState)
DECISION = Source("/policy/decision", Decision, latched=True)
FUSED_CLOUD = Source("/fusion_node/cloud", PointCloud2)
FUSED_MESH = Source("/fusion_node/mesh", Marker)


def map_source(name: str) -> Source:
    """A map of the policy."""
    return Source(MAPS + name, Image, latched=True)


def colour_source(camera: str) -> Source:
    """A camera's colours."""
    return Source(f"/{camera}/color/image_raw", Image)


def depth_source(camera: str) -> Source:
    """A camera's depth."""
    return Source(f"/{camera}/depth/image_rect_raw", Image)


def info_source(camera: str) -> Source:
    """The intrinsics of a camera's depth."""
    return Source(f"/{camera}/depth/camera_info", CameraInfo)


class Inputs:
    """The latest message of each wanted topic, and when it came."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._open: dict[Source, Any] = {}
        self._latest: dict[Source, Any] = {}
        self._fresh: set[Source] = set()
        self._heard_s: dict[str, float] = {}

    def want(self, sources: set[Source]) -> None:
        """Listen to these topics and to no others; what others brought is forgotten."""
        for source in set(self._open) - sources:
            self._node.destroy_subscription(self._open.pop(source))
            self._latest.pop(source, None)
            self._fresh.discard(source)
        for source in sources - set(self._open):
            # What is not latched is taken best-effort, which fits every publisher.
            qos = LATEST if source.latched else qos_profile_sensor_data
            keep = functools.partial(self._keep, source)
            self._open[source] = self._node.create_subscription(source.kind, source.topic, keep, qos)

    def _keep(self, source: Source, message: Any) -> None:
        self._latest[source] = message
        self._fresh.add(source)
        self.note(source.topic)

    def note(self, topic: str) -> None:
        """A message came on a topic, perhaps one that somebody else listens to."""
        self._heard_s[topic] = time.monotonic()

    def take(self, source: Source) -> Any:
        """The latest message, once; none where there is no new one."""
        if source not in self._fresh:
            return None
        self._fresh.discard(source)
        return self._latest[source]

    def latest(self, source: Source) -> Any:
        """The latest message, again and again; none where none has come."""
        return self._latest.get(source)

    def again(self) -> None:
        """Let what is latest be taken once more, for somebody who has just come."""
        self._fresh = set(self._latest)

    def ages_s(self, others: tuple[str, ...] = ()) -> Mapping[str, float | None]:
        """Seconds since the last message of every wanted topic and of ``others``; none where none has come."""
        now = time.monotonic()
        topics = sorted({source.topic for source in self._open} | set(others))
        return {topic: now - self._heard_s[topic] if topic in self._heard_s else None for topic in topics}

    def maps(self) -> list[str]:
        """Names of the policy's maps that the graph offers, those of its values first."""
        found = [
            name.removeprefix(MAPS)
            for name, types in self._node.get_topic_names_and_types()
            if name.startswith(MAPS) and "sensor_msgs/msg/Image" in types
        ]
        return sorted(found, key=lambda name: (not name.endswith("_q"), name))
