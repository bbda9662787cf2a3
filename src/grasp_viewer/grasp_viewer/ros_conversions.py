# SPDX-License-Identifier: Apache-2.0
"""Messages as what the page shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image, PointCloud2, PointField
from visualization_msgs.msg import Marker

from grasp_episodes.ros_conversions import depth_image, rgb_image
from grasp_interfaces.msg import EpisodeStep, PolicyAction

KINDS = {PolicyAction.STOP: "stop", PolicyAction.STEP: "step", PolicyAction.GRASP: "grasp", PolicyAction.PUSH: "push"}
OUTCOMES = {1: "succeeded", 0: "failed", -1: "not judged"}
GREY = 170


def values_of(image: Image) -> NDArray:
    """Colours uint8 [H, W, 3], or depth and other values float [H, W].

    Raises:
        ValueError: an encoding that is not understood, or too few bytes.
    """
    return depth_image(image) if image.encoding in ("16UC1", "mono16") else _floats_or_rgb(image)


def _floats_or_rgb(image: Image) -> NDArray:
    if image.encoding != "32FC1":
        return rgb_image(image)
    wanted = image.height * image.step
    if image.step < 4 * image.width or len(image.data) < wanted:
        raise ValueError(f"an image of {image.width} x {image.height} has only {len(image.data)} bytes")
    rows = np.frombuffer(image.data, np.uint8, wanted).reshape(image.height, image.step)
    return rows[:, : 4 * image.width].view(">f4" if image.is_bigendian else "<f4")


def cloud_of(message: PointCloud2) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Points [N, 3] and colours [N, 3]; grey without the field ``rgb``.

    Raises:
        ValueError: it has no float x, y, z, or too few bytes.
    """
    places = {f.name: f.offset for f in message.fields if f.datatype == PointField.FLOAT32 or f.name in ("rgb", "rgba")}
    if not {"x", "y", "z"} <= set(places) or message.is_bigendian:
        raise ValueError("a cloud is shown with little-endian float32 fields x, y, z")
    count = message.width * message.height
    if len(message.data) < count * message.point_step:
        raise ValueError(f"a cloud of {count} points has only {len(message.data)} bytes")
    raw = np.frombuffer(message.data, np.uint8, count * message.point_step).reshape(count, message.point_step)
    points = np.hstack([raw[:, places[a] : places[a] + 4].view(np.float32) for a in "xyz"])
    known = np.isfinite(points).all(axis=1)
    colour_at = places.get("rgb", places.get("rgba"))
    if colour_at is None:
        colours = np.full((count, 3), GREY, dtype=np.uint8)
    else:
        colours = raw[:, [colour_at + 2, colour_at + 1, colour_at]]  # blue comes first in memory
    return points[known], colours[known]


def mesh_of(marker: Marker) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.uint8]]:
    """Corners [3 T, 3], triangles [T, 3] and colours [3 T, 3] of a TRIANGLE_LIST in its header's frame."""
    corners = np.array([(p.x, p.y, p.z) for p in marker.points], dtype=np.float32).reshape(-1, 3)
    if len(marker.colors) == len(corners):
        rgb = np.array([(c.r, c.g, c.b) for c in marker.colors], dtype=np.float32).reshape(-1, 3)
    else:
        rgb = np.broadcast_to(np.array((marker.color.r, marker.color.g, marker.color.b)), corners.shape)
    return corners, np.arange(len(corners)).reshape(-1, 3), np.rint(255 * np.clip(rgb, 0.0, 1.0)).astype(np.uint8)


def step_line(step: EpisodeStep) -> str:
    """One action in a line."""
    left = f", {step.objects_left} left" if step.objects_left >= 0 else ""
    why = f" ({step.reason})" if step.reason and step.success != 1 else ""
    kind = KINDS.get(step.requested.kind, "?")
    return f"{step.step}: {kind} {step.value:.2f} {OUTCOMES.get(step.success, '?')}{why}{left}"
