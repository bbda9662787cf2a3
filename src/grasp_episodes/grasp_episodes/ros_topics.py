# SPDX-License-Identifier: Apache-2.0
"""Topics of a running graph as a bag declares them, and pictures made smaller on their way into it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image

from grasp_episodes.mcap_writer import Topic
from grasp_episodes.ros_conversions import rgb_image

SEPARATOR = "=" * 80
QUEUE = 100
JPEG_QUALITY = 92


def message_class(type_name: str) -> Any:
    """The Python class of ``package/msg/Type``.

    Raises:
        LookupError: it is not installed, or is no message.
    """
    try:
        package, kind, name = type_name.split("/")
        return getattr(importlib.import_module(f"{package}.{kind}"), name)
    except (ValueError, ImportError, AttributeError) as error:
        raise LookupError(f"the message type {type_name} is not installed: {error}") from error


def definition(type_name: str) -> str:
    """The text of a message and, after lines of ``=``, of every message that it nests: MCAP's encoding ``ros2msg``.

    Raises:
        LookupError: the text of one of them is nowhere.
    """
    package, _, name = type_name.split("/")
    texts: dict[str, str] = {}

    def collect(key: str) -> None:
        owner, short = key.split("/")
        texts[key] = _text(owner, short)
        fields = message_class(f"{owner}/msg/{short}").get_fields_and_field_types().values()
        for word in fields:
            nested = word.removeprefix("sequence<").partition("[")[0].partition(",")[0].rstrip(">")
            if "/" in nested and nested not in texts:
                collect(nested)

    root = f"{package}/{name}"
    collect(root)
    parts = [texts.pop(root), *(f"MSG: {key}\n{text}" for key, text in texts.items())]
    return f"\n{SEPARATOR}\n".join(parts)


def _text(package: str, name: str) -> str:
    prefixes = [Path(prefix) for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if prefix]
    for prefix in prefixes:
        path = prefix / "share" / package / "msg" / f"{name}.msg"
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise LookupError(f"{package}/msg/{name}.msg is in none of {', '.join(map(str, prefixes)) or 'AMENT_PREFIX_PATH'}")


def describe(name: str, type_name: str, publishers: Sequence[Any]) -> Topic:
    """A topic with its definition and what its publishers offer.

    Raises:
        LookupError: its type is not installed here.
    """
    qos = tuple(_qos(info.qos_profile) for info in publishers)
    type_hash = str(publishers[0].topic_type_hash) if publishers else ""
    return Topic(name, type_name, definition(type_name), qos, type_hash)


def profile_for(publishers: Sequence[Any]) -> QoSProfile:
    """A profile that connects to every publisher, as reliable and as latched as all of them offer."""
    offered = [info.qos_profile for info in publishers]
    reliable = all(profile.reliability == ReliabilityPolicy.RELIABLE for profile in offered)
    latched = all(profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for profile in offered)
    return QoSProfile(
        depth=QUEUE,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def compressed_topic(topic: Topic) -> Topic:
    """The topic under which a colour image is kept as JPEG."""
    name = "sensor_msgs/msg/CompressedImage"
    return Topic(f"{topic.name}/compressed", name, definition(name), topic.qos)


def compress(data: bytes) -> bytes:
    """A serialised colour ``Image`` as a serialised JPEG ``CompressedImage``.

    Raises:
        ValueError: it is no colour image, or cannot be encoded.
    """
    image = deserialize_message(data, Image)
    bgr = cv2.cvtColor(rgb_image(image), cv2.COLOR_RGB2BGR)
    done, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise ValueError(f"an image {image.encoding} of {image.width} x {image.height} cannot be encoded as JPEG")
    message = CompressedImage(header=image.header, format=f"{image.encoding}; jpeg compressed bgr8")
    message.data = np.asarray(jpeg).tobytes()
    return bytes(serialize_message(message))


def stamp_of(data: bytes) -> float:
    """Seconds of the stamp of a serialised message that begins with a header (CDR, little endian)."""
    sec, nanosec = np.frombuffer(data, "<u4", 2, 4).tolist()
    return float(sec) + 1e-9 * float(nanosec)


def _qos(profile: QoSProfile) -> dict[str, Any]:
    def span(duration: Any) -> dict[str, int]:
        sec, nsec = divmod(duration.nanoseconds, 1_000_000_000)
        return {"sec": sec, "nsec": nsec}

    return {
        "history": profile.history.short_key,
        "depth": profile.depth,
        "reliability": profile.reliability.short_key,
        "durability": profile.durability.short_key,
        "deadline": span(profile.deadline),
        "lifespan": span(profile.lifespan),
        "liveliness": profile.liveliness.short_key,
        "liveliness_lease_duration": span(profile.liveliness_lease_duration),
        "avoid_ros_namespace_conventions": profile.avoid_ros_namespace_conventions,
    }
