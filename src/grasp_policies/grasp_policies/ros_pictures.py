# SPDX-License-Identifier: Apache-2.0
"""The pictures that a policy decides on: colour and depth that belong together, with the pose of their camera."""

from __future__ import annotations

import functools
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import CameraInfo, Image
from tf2_ros import Buffer

from grasp_core.camera import CameraFrame, FrameError
from grasp_core.cell_config import CameraConfig
from grasp_core.policy import CameraNeed
from grasp_core.ports import StateError
from grasp_fusion import ros_conversions as ros
from grasp_fusion.rectify import Rectifier
from grasp_policies.node_config import PolicyNodeConfig

# Pictures kept of each kind while their partner is on the way.
KEPT = 4


@dataclass(frozen=True)
class Picture:
    """What was received of one moment: the images by kind (``color``, ``depth``) and what the camera says of itself."""

    stamp_ns: int
    images: dict[str, Image]
    info: CameraInfo


class Pictures:
    """The newest picture of one camera, waited for; what was decided on is shown again below ``~/observed``."""

    def __init__(
        self, node: Node, name: str, camera: CameraConfig, need: CameraNeed, config: PolicyNodeConfig,
        group: CallbackGroup,
    ) -> None:  # fmt: skip
        self._node, self._name, self._need, self._config = node, name, need, config
        self._slack_ns = int(0.5e9 / camera.rate_hz)
        depth = "aligned_depth_to_color/image_raw" if config.aligned_depth else "depth/image_rect_raw"
        wanted = {"color": need.rgb, "depth": need.depth}
        topics = {kind: topic for kind, topic in (("color", "color/image_raw"), ("depth", depth)) if wanted[kind]}
        self._kept: dict[str, OrderedDict[int, Image]] = {kind: OrderedDict() for kind in topics}
        self._info: CameraInfo | None = None
        self._heard = self._given_up = False
        self._rectify = Rectifier()
        self._arrived = threading.Condition()
        self._shown = {}
        options = {"qos_profile": qos_profile_sensor_data, "callback_group": group}
        for kind, topic in topics.items():
            node.create_subscription(Image, f"{name}/{topic}", functools.partial(self._keep, kind), **options)
            self._shown[kind] = node.create_publisher(Image, f"~/observed/{name}/{topic}", 5)
        info = "color/camera_info" if need.rgb or config.aligned_depth else "depth/camera_info"
        node.create_subscription(CameraInfo, f"{name}/{info}", self._keep_info, **options)
        self._info_shown = node.create_publisher(CameraInfo, f"~/observed/{name}/{info}", 5)

    def wait(self, not_before_ns: int) -> Picture:
        """A picture taken at a time or later, and not older than the policy's ``max_age_s``.

        Raises:
            StateError: the camera was silent for ``max_age_s`` real seconds, all that came in ``late_pictures_s`` were
                too old, or waiting was given up.
        """
        late_by: float | None = None
        with self._arrived:
            while True:
                picture = self._newest(not_before_ns)
                if picture is not None:
                    return picture
                if self._given_up:
                    raise StateError(f"told to stop while waiting for a picture of {self._name}")
                patience_s = self._need.max_age_s if self._heard else self._config.first_picture_s
                if not self._arrived.wait(patience_s):
                    raise StateError(self._silence(patience_s))
                now = time.monotonic()
                late_by = now + self._config.late_pictures_s if late_by is None else late_by
                if now > late_by and self._newest(not_before_ns) is None:
                    raise StateError(self._lateness())

    def give_up(self) -> None:
        """No picture is waited for any more, now or later; one that is there is still given."""
        with self._arrived:
            self._given_up = True
            self._arrived.notify_all()

    def show(self, picture: Picture) -> None:
        """Publish what was decided on, as it was received."""
        for kind, image in picture.images.items():
            if self._shown[kind].get_subscription_count():
                self._shown[kind].publish(image)
        if self._info_shown.get_subscription_count():
            self._info_shown.publish(picture.info)

    def frame(self, picture: Picture, buffer: Buffer, base_frame: str) -> CameraFrame:
        """The picture, without lens distortion, with its camera's pose at that moment.

        Raises:
            StateError: where the camera was is not known, or the images cannot be used.
        """
        try:
            frames = {image.header.frame_id for image in picture.images.values()}
            if len(frames) > 1:
                raise FrameError("colour and depth come from different frames; use the parameter aligned_depth")
            moment = Time(nanoseconds=picture.stamp_ns)
            T = ros.lookup(buffer, base_frame, frames.pop(), moment, self._config.transform_timeout_s)
            rgb = ros.rgb_of(picture.images["color"]) if "color" in picture.images else None
            depth = ros.depth_of(picture.images["depth"]) if "depth" in picture.images else None
            return self._rectify(CameraFrame(ros.intrinsics_of(picture.info), T, picture.stamp_ns, rgb, depth))
        except ValueError as error:
            raise StateError(f"camera {self._name}: {error}") from error

    def _keep(self, kind: str, image: Image) -> None:
        with self._arrived:
            kept = self._kept[kind]
            kept[ros.stamp_ns(image.header.stamp)] = image
            while len(kept) > KEPT:
                kept.popitem(last=False)
            if all(self._kept.values()):
                self._heard = True
            self._arrived.notify_all()

    def _keep_info(self, info: CameraInfo) -> None:
        with self._arrived:
            self._info = info

    def _newest(self, not_before_ns: int) -> Picture | None:
        if self._info is None or not all(self._kept.values()):
            return None
        now_ns = self._node.get_clock().now().nanoseconds
        oldest_ns = max(not_before_ns, now_ns - int(self._need.max_age_s * 1e9))
        first, *others = self._kept
        for stamp_ns in sorted(self._kept[first], reverse=True):
            if stamp_ns < oldest_ns:
                return None
            stamps = {first: stamp_ns}
            for kind in others:
                stamps[kind] = min(self._kept[kind], key=lambda at: abs(at - stamp_ns))
            if all(abs(at - stamp_ns) <= self._slack_ns and at >= oldest_ns for at in stamps.values()):
                return Picture(stamp_ns, {kind: self._kept[kind][at] for kind, at in stamps.items()}, self._info)
        return None

    def _silence(self, waited_s: float) -> str:
        missing = [kind for kind, kept in self._kept.items() if not kept]
        if self._info is None:
            missing.append("camera_info")
        what = f"no {' and no '.join(missing)} ever came" if missing else "no new picture came"
        return f"camera {self._name} was silent for {waited_s:g} s: {what}"

    def _lateness(self) -> str:
        first = next(iter(self._kept))
        age_s = 1e-9 * (self._node.get_clock().now().nanoseconds - max(self._kept[first], default=0))
        return (
            f"pictures of camera {self._name} come too late: the newest is {age_s:.2f} s old, at most "
            f"{self._need.max_age_s:g} s is allowed; they may also be from before what was done last, or colour and "
            "depth do not belong together"
        )
