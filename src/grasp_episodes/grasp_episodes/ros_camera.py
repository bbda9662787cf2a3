# SPDX-License-Identifier: Apache-2.0
"""A camera of a running graph as the port of ``grasp_core``."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image
from tf2_ros import Buffer, TransformException

from grasp_core.camera import CameraFrame, FrameError
from grasp_core.cell_config import CameraConfig
from grasp_core.geometry import Array
from grasp_core.ports import StateError
from grasp_episodes import ros_conversions as ros
from grasp_episodes.settings import RosCellOptions

# Pictures kept of each kind while their partner is on the way.
KEPT = 4


class Transforms:
    """Poses of frames in the cell's base frame."""

    def __init__(self, buffer: Buffer, base_frame: str, timeout_s: float) -> None:
        self._buffer, self._base_frame, self._timeout_s = buffer, base_frame, timeout_s

    def T_base(self, frame: str, stamp_ns: int = 0) -> Array:
        """Pose [4, 4] of a frame at a time; 0 means the newest that is known.

        Raises:
            StateError: it does not become known in time.
        """
        timeout = ros.duration(self._timeout_s)
        try:
            found = self._buffer.lookup_transform(self._base_frame, frame, Time(nanoseconds=stamp_ns), timeout)
        except TransformException as error:
            raise StateError(f"where {frame} is in {self._base_frame} is not known: {error}") from error
        return ros.transform_of(found.transform)


class RosCamera:
    """The newest colour and depth that belong together, with the pose of their frame when they were taken."""

    def __init__(
        self, node: Node, name: str, config: CameraConfig, transforms: Transforms, options: RosCellOptions,
        given_up: threading.Event,
    ) -> None:  # fmt: skip
        self._node, self._name, self._config, self._given_up = node, name, config, given_up
        self._transforms, self._options = transforms, options
        depth = "aligned_depth_to_color/image_raw" if options.aligned_depth else "depth/image_rect_raw"
        topics = {
            kind: topic for kind, topic in (("rgb", "color/image_raw"), ("depth", depth)) if getattr(config, kind)
        }
        self._images: dict[str, OrderedDict[int, Image]] = {kind: OrderedDict() for kind in topics}
        self._info: CameraInfo | None = None
        self._arrived = threading.Condition()
        for kind, topic in topics.items():
            node.create_subscription(
                Image, f"{name}/{topic}", functools.partial(self._keep, kind), qos_profile_sensor_data
            )
        info = "color/camera_info" if config.rgb else "depth/camera_info"
        node.create_subscription(CameraInfo, f"{name}/{info}", self._keep_info, qos_profile_sensor_data)

    @property
    def name(self) -> str:
        """The cell's name of the camera."""
        return self._name

    def frame(self, max_age_s: float, since_ns: int = 0, wait_s: float | None = None) -> CameraFrame:
        """A picture not older than ``max_age_s`` and not taken before ``since_ns``.

        Waits for one for up to ``wait_s`` real seconds; none means ``max_age_s``.

        Raises:
            StateError: the camera is silent, its pose is not known, or waiting was given up.
        """
        wait_s = max_age_s if wait_s is None else wait_s
        with self._arrived:
            found = self._newest(max_age_s, since_ns)
            if not found:
                self._arrived.wait_for(lambda: self._given_up.is_set() or self._newest(max_age_s, since_ns), wait_s)
                found = self._newest(max_age_s, since_ns)
            info = self._info
        if not found:
            told = f"told to stop while waiting for a picture of {self._name}"
            raise StateError(told if self._given_up.is_set() else self._silence(wait_s))
        stamp_ns, images = found
        assert info is not None  # _newest has none without
        any_image = next(iter(images.values()))
        try:
            rgb = ros.rgb_image(images["rgb"]) if "rgb" in images else None
            depth = ros.depth_image(images["depth"]) if "depth" in images else None
            if len({image.header.frame_id for image in images.values()}) > 1:
                raise FrameError("colour and depth come from different frames; use the option aligned_depth")
            T = self._transforms.T_base(any_image.header.frame_id, stamp_ns)
            return CameraFrame(ros.intrinsics(info), T, stamp_ns, rgb, depth)
        except FrameError as error:
            raise StateError(f"camera {self._name}: {error}") from error

    def wake(self) -> None:
        """Whoever waits for a picture looks whether that was given up."""
        with self._arrived:
            self._arrived.notify_all()

    def pose_only(self) -> CameraFrame:
        """Where the camera is now, without a picture.

        Raises:
            StateError: its pose is not known.
        """
        prefix = self._options.tf_prefix if self._config.mount == "hand" else ""
        T = self._transforms.T_base(prefix + self._config.frame)
        return CameraFrame(self._config.intrinsics, T, self._node.get_clock().now().nanoseconds)

    def _keep(self, kind: str, image: Image) -> None:
        with self._arrived:
            kept = self._images[kind]
            kept[ros.nanoseconds(image.header.stamp)] = image
            while len(kept) > KEPT:
                kept.popitem(last=False)
            self._arrived.notify_all()

    def _keep_info(self, info: CameraInfo) -> None:
        with self._arrived:
            self._info = info
            self._arrived.notify_all()

    def _newest(self, max_age_s: float, since_ns: int) -> tuple[int, dict[str, Image]] | None:
        """The newest images that belong together: taken within half a period of each other."""
        if self._info is None or not all(self._images.values()):
            return None
        oldest_ns = max(since_ns, self._node.get_clock().now().nanoseconds - int(max_age_s * 1e9))
        slack_ns = 0.5e9 / self._config.rate_hz
        first, *others = self._images
        for stamp_ns in reversed(self._images[first]):
            partners = {kind: min(self._images[kind], key=lambda at: abs(at - stamp_ns)) for kind in others}
            together = all(abs(at - stamp_ns) <= slack_ns for at in partners.values())
            if together and min([stamp_ns, *partners.values()]) >= oldest_ns:
                images = {first: self._images[first][stamp_ns]}
                return stamp_ns, images | {kind: self._images[kind][at] for kind, at in partners.items()}
        return None

    def _silence(self, wait_s: float) -> str:
        missing = [kind for kind, kept in self._images.items() if not kept]
        if self._info is None:
            missing.append("camera_info")
        what = f"no {' and no '.join(missing)} was ever received" if missing else "no picture that is new enough came"
        return f"camera {self._name}: {what} (waited {wait_s:g} s)"
