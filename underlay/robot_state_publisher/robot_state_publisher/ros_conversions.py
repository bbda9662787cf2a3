# SPDX-License-Identifier: Apache-2.0
"""Poses of links as messages."""

from __future__ import annotations

from collections.abc import Iterable

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped

from robot_state_publisher.robot_tree import LinkPose


def to_transforms(poses: Iterable[LinkPose], frame_prefix: str, stamp: Time) -> list[TransformStamped]:
    """One message for each pose (m, quaternion), ``frame_prefix`` before both frame names."""
    messages = []
    for pose in poses:
        message = TransformStamped(child_frame_id=f"{frame_prefix}{pose.child}")
        message.header.frame_id, message.header.stamp = f"{frame_prefix}{pose.parent}", stamp
        translation, rotation = message.transform.translation, message.transform.rotation
        translation.x, translation.y, translation.z = pose.translation
        rotation.x, rotation.y, rotation.z, rotation.w = pose.rotation
        messages.append(message)
    return messages
