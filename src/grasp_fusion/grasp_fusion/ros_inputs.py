# SPDX-License-Identifier: Apache-2.0
"""What the fusion node hears: pictures, camera_info and transforms, in a thread of their own.

rclpy's MultiThreadedExecutor (Jazzy) hands a callback to its pool again and again until a pool thread has begun it, and
holds the interpreter's lock meanwhile: with transforms at 125 Hz it took a whole core and fusion ran at 4 Hz. So the
inputs have a hidden node with a SingleThreadedExecutor of its own, as tf2's own listener has in C++.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image
from tf2_ros import Buffer, TransformListener

from grasp_core.camera import CameraFrame
from grasp_core.geometry import Array
from grasp_fusion import ros_conversions as ros
from grasp_fusion.node_config import FusionNodeConfig
from grasp_fusion.rectify import Rectifier
from grasp_fusion.synchroniser import StampSynchroniser
from grasp_fusion.volume import FusionError


class Inputs:
    """Receives pictures until it is closed.

    Args:
        node: whose context, namespace and clock are used; its name with ``_inputs`` is the hidden node's.
        config: names of topics and frames.
        on_pictures: called with the depth and, where it is used, the colour picture of a moment, in the inputs' thread.
    """

    def __init__(
        self, node: Node, config: FusionNodeConfig, on_pictures: Callable[[tuple[Image, ...]], object]
    ) -> None:
        self._config = c = config
        self._on_pictures = on_pictures
        self._info: CameraInfo | None = None
        self._rectify = Rectifier()
        topics = {"depth": c.depth_topic, "color": c.color_topic} if c.colour else {"depth": c.depth_topic}
        self._sync = StampSynchroniser(tuple(topics), int(c.sync_slop_s * 1e9))
        name = f"{node.get_name()}_inputs"
        # Its own rename goes before the one that a launch file gives to the whole process.
        self._node = Node(
            name,
            context=node.context,
            cli_args=["--ros-args", "-r", f"__node:={name}"],
            namespace=node.get_namespace(),
            enable_rosout=False,
            start_parameter_services=False,
            parameter_overrides=[node.get_parameter("use_sim_time")],
        )
        self._buffer = Buffer(node=self._node)
        self._listener = TransformListener(self._buffer, self._node, spin_thread=False)
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST, depth=c.queue_length, reliability=ReliabilityPolicy.BEST_EFFORT
        )
        for key, topic in topics.items():
            self._node.create_subscription(Image, f"{c.camera}/{topic}", partial(self._take, key), qos)
        info = f"{c.camera}/{c.depth_topic.rpartition('/')[0]}/camera_info"
        self._node.create_subscription(CameraInfo, info, self._take_info, qos)
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="inputs", daemon=True)
        self._thread.start()

    @property
    def unmatched(self) -> int:
        """Pictures whose partner never came."""
        return self._sync.unmatched

    def lookup(self, source: str, time: Time, timeout_s: float) -> Array:
        """``T_base_source`` [4, 4] at a time (zero: the newest), waited for.

        Raises:
            FusionError: it is not known within the time-out.
        """
        return ros.lookup(self._buffer, self._config.base_frame, source, time, timeout_s)

    def frame(self, images: tuple[Image, ...]) -> CameraFrame:
        """A moment's pictures without lens distortion, with the camera's pose of that moment, waited for.

        Raises:
            FusionError: no camera_info has arrived, or the pose is not known in time.
            FrameError: the pictures are not understood.
        """
        depth, colour = images[0], images[1] if len(images) > 1 else None
        if self._info is None:
            raise FusionError(f"no camera_info of {self._config.camera} has arrived; a picture needs it")
        moment = Time.from_msg(depth.header.stamp)
        T_base_camera = self.lookup(depth.header.frame_id, moment, self._config.transform_timeout_s)
        return self._rectify(ros.frame_of(depth, colour, self._info, T_base_camera))

    def close(self) -> None:
        """Hear no more."""
        self._executor.shutdown()
        self._thread.join()
        self._node.destroy_node()

    def _take(self, topic: str, image: Image) -> None:
        images = self._sync.add(topic, ros.stamp_ns(image.header.stamp), image)
        if images is not None:
            self._on_pictures(images)

    def _take_info(self, info: CameraInfo) -> None:
        self._info = info

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return  # the process is asked to stop; close follows
        except Exception:
            # The same, seen by rclpy between two looks at the context: a wait set cannot be made any more.
            if self._node.context.ok():
                raise
