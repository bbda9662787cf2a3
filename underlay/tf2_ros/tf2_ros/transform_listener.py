# SPDX-License-Identifier: Apache-2.0
"""Fills a buffer from the topics /tf and /tf_static."""

from __future__ import annotations

from threading import Thread

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from tf2_ros.buffer import Buffer

DEFAULT_TF_TOPIC = "/tf"
DEFAULT_STATIC_TF_TOPIC = "/tf_static"
_AUTHORITY = "default_authority"


def _spin(executor: SingleThreadedExecutor, node: Node) -> None:
    executor.add_node(node)
    try:
        executor.spin()
    except ExternalShutdownException:
        return  # rclpy.shutdown ends the thread; nothing is left to clean
    executor.remove_node(node)


class TransformListener:
    """Subscribes to the transforms that the graph publishes, for as long as the object lives.

    Args:
        buffer: receives every transform.
        node: whose subscriptions these are; None makes a hidden node.
        spin_thread: spin the node in a thread of its own; without it the caller spins the node.
        qos: profile or depth of the /tf subscription.
        static_qos: profile or depth of the /tf_static subscription.
        tf_topic: name of the topic of moving transforms.
        tf_static_topic: name of the topic of static transforms.
        static_only: leave the moving ones out.
    """

    def __init__(
        self,
        buffer: Buffer,
        node: Node | None,
        *,
        spin_thread: bool = False,
        qos: QoSProfile | int | None = None,
        static_qos: QoSProfile | int | None = None,
        tf_topic: str = DEFAULT_TF_TOPIC,
        tf_static_topic: str = DEFAULT_STATIC_TF_TOPIC,
        static_only: bool = False,
    ) -> None:
        if node is None:
            node = Node(
                f"transform_listener_impl_{id(self):x}",
                enable_rosout=False,
                start_parameter_services=False,
                parameter_overrides=[Parameter("use_sim_time", value=False)],
            )
        self.buffer = buffer
        self.node = node
        # Callbacks that wait for a transform would otherwise keep this one from bringing it.
        self.group = ReentrantCallbackGroup()
        self.tf_sub = None
        if not static_only:
            if qos is None:
                qos = QoSProfile(depth=100, history=HistoryPolicy.KEEP_LAST, durability=DurabilityPolicy.VOLATILE)
            self.tf_sub = node.create_subscription(TFMessage, tf_topic, self.callback, qos, callback_group=self.group)
        if static_qos is None:
            static_qos = QoSProfile(
                depth=100, history=HistoryPolicy.KEEP_LAST, durability=DurabilityPolicy.TRANSIENT_LOCAL
            )
        self.tf_static_sub = node.create_subscription(
            TFMessage, tf_static_topic, self.static_callback, static_qos, callback_group=self.group
        )
        self.executor: SingleThreadedExecutor | None = None
        if spin_thread:
            self.executor = SingleThreadedExecutor(context=node.context)
            self.dedicated_listener_thread = Thread(target=_spin, args=(self.executor, node), daemon=True)
            self.dedicated_listener_thread.start()

    def unregister(self) -> None:
        """End both subscriptions, and the thread if there is one."""
        if self.executor is not None:
            self.executor.shutdown()
            self.dedicated_listener_thread.join()
            self.executor = None
        if self.tf_sub is not None:
            self.node.destroy_subscription(self.tf_sub)
        self.node.destroy_subscription(self.tf_static_sub)

    def callback(self, data: TFMessage) -> None:
        """Hand moving transforms to the buffer."""
        for transform in data.transforms:
            self.buffer.set_transform(transform, _AUTHORITY)

    def static_callback(self, data: TFMessage) -> None:
        """Hand static transforms to the buffer."""
        for transform in data.transforms:
            self.buffer.set_transform_static(transform, _AUTHORITY)
