# SPDX-License-Identifier: Apache-2.0
"""Publishes transforms that never change on /tf_static."""

from __future__ import annotations

from collections.abc import Iterable

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from tf2_msgs.msg import TFMessage


class StaticTransformBroadcaster:
    """Publishes on /tf_static, where late listeners get the last message.

    Each message therefore repeats what this object sent before (by child frame, the newest wins), as upstream's C++
    class does; upstream's Python class keeps the last call only, so send all of them in one call where both may run.

    Args:
        node: whose publisher it is.
        qos: profile or depth; the last message, transient local, by default.
    """

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        if qos is None:
            qos = QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.pub_tf = node.create_publisher(TFMessage, "/tf_static", qos)
        self._sent: dict[str, TransformStamped] = {}

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:
        """Publish one transform or several, with all that were sent before."""
        transforms = [transform] if isinstance(transform, TransformStamped) else list(transform)
        self._sent.update((each.child_frame_id, each) for each in transforms)
        self.pub_tf.publish(TFMessage(transforms=list(self._sent.values())))
