# SPDX-License-Identifier: Apache-2.0
"""Publishes one camera the way ROS users expect (REP 103, 118; topic names as RealSense's)."""

from __future__ import annotations

from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from tf2_ros import StaticTransformBroadcaster

from grasp_cameras import ros_conversions as ros
from grasp_cameras.calibration_file import CameraCalibration
from grasp_cameras.driver import CameraError, RawFrame, make_driver
from grasp_cameras.parameters import CameraNodeParameters
from grasp_cameras.stream import CameraStream
from grasp_core.config import ConfigError
from grasp_core.node_help import show_help
from grasp_core.registry import UnknownNameError
from grasp_core.resources import ResourceError
from grasp_core.ros_running import program


class CameraNode(Node):
    """One camera: parameters in, topics out. The camera's own thread publishes; bad frames are counted, never fatal."""

    def __init__(self, **node_arguments: Any) -> None:
        super().__init__("camera_node", **node_arguments)
        self._settings = p = ros.declared_parameters(self, CameraNodeParameters)
        settings = p.settings()
        calibration = CameraCalibration.from_yaml(settings.calibration) if settings.calibration else None
        pose = calibration.pose if calibration is not None else None
        calibrated_frame = pose.camera_frame if pose is not None else f"{p.camera_name}_color_optical_frame"
        self._color_frame = p.frame_id or calibrated_frame
        self._depth_frame = p.depth_frame_id or f"{p.camera_name}_depth_optical_frame"
        self._static_tf = StaticTransformBroadcaster(self)
        self._depth_tf_sent = False
        self._mount_tf = []
        if pose is not None and p.publish_mount_tf:
            T, stamp_ns = pose.T_parent_camera, self.get_clock().now().nanoseconds
            self._mount_tf = [ros.transform_message(T, pose.parent_frame, self._color_frame, stamp_ns)]
            self._static_tf.sendTransform(self._mount_tf)
        reliability = ReliabilityPolicy[p.qos_reliability.upper()]
        qos = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=p.qos_depth, reliability=reliability)
        self._topics = {}
        for group, image in (
            ("color", "image_raw"),
            ("depth", "image_rect_raw"),
            ("aligned_depth_to_color", "image_raw"),
        ):
            self._topics[group] = self.create_publisher(Image, f"{p.camera_name}/{group}/{image}", qos)
            self._topics[f"{group}_info"] = self.create_publisher(
                CameraInfo, f"{p.camera_name}/{group}/camera_info", qos
            )
        self._topics["jpeg"] = self.create_publisher(
            CompressedImage, f"{p.camera_name}/color/image_raw/compressed", qos
        )
        self._topics["points"] = self.create_publisher(PointCloud2, f"{p.camera_name}/depth/color/points", qos)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_timer(1.0, self._diagnose)
        self.stream = CameraStream(
            p.camera_name,
            make_driver(settings.driver, settings.options),
            settings.stream,
            calibration=calibration,
            on_frame=self._publish,
            clock_ns=lambda: self.get_clock().now().nanoseconds,
        )
        self._logs = ros.LogsToRos(self, "grasp_cameras")
        self.stream.start()

    def _publish(self, frame: RawFrame) -> None:
        if not self.context.ok():
            return  # interrupted; the stream is about to be stopped
        one_eye = frame.rgb is None or frame.aligned_depth is frame.depth
        color_head = ros.header(frame.stamp_ns, self._color_frame)
        depth_head = color_head if one_eye else ros.header(frame.stamp_ns, self._depth_frame)
        if not one_eye and frame.T_color_depth is not None and not self._depth_tf_sent:
            to_depth = ros.transform_message(frame.T_color_depth, self._color_frame, self._depth_frame, frame.stamp_ns)
            self._static_tf.sendTransform([*self._mount_tf, to_depth])
            self._depth_tf_sent = True
        # Images first: what takes longer to make, or fewer wait for, must not hold them up.
        if frame.rgb is not None:
            self._send("color", lambda: ros.image_message(frame.rgb, "rgb8", color_head))
        if frame.depth is not None:
            self._send_depth("depth", frame.depth, frame.depth_scale_m, depth_head)
        if frame.aligned_depth is not None:
            self._send_depth("aligned_depth_to_color", frame.aligned_depth, frame.depth_scale_m, color_head)
        for topic, image, intrinsics, head in (
            ("color", frame.rgb, frame.color_intrinsics, color_head),
            ("depth", frame.depth, frame.depth_intrinsics, depth_head),
            ("aligned_depth_to_color", frame.aligned_depth, frame.color_intrinsics, color_head),
        ):
            if image is not None:
                info = ros.camera_info_message(intrinsics, image.shape[1], image.shape[0], head)
                self._topics[f"{topic}_info"].publish(info)
        if frame.rgb is not None:
            self._send("jpeg", lambda: ros.compressed_message(frame.rgb, self._settings.jpeg_quality, color_head))
        if frame.depth is not None:
            self._send("points", lambda: self._cloud(frame, color_head))

    def _send(self, topic: str, make: Any) -> None:
        """Make and publish a message where somebody wants it."""
        if self._topics[topic].get_subscription_count() > 0:
            self._topics[topic].publish(make())

    def _send_depth(self, topic: str, depth: np.ndarray, scale_m: float, head: Any) -> None:
        encoding = self._settings.depth_encoding
        self._send(topic, lambda: ros.depth_message(depth, scale_m, encoding, head))

    @staticmethod
    def _cloud(frame: RawFrame, head: Any) -> PointCloud2:
        return ros.cloud_message(frame.to_camera_frame(), head)

    def _diagnose(self) -> None:
        self._diagnostics.publish(ros.diagnostics_message([self.stream.report()], self.get_clock().now().nanoseconds))

    def destroy_node(self) -> None:
        """Close the camera, then the node."""
        if hasattr(self, "stream"):
            self.stream.stop()
            self._logs.close()
        super().destroy_node()


def main(args: list[str] | None = None) -> None:
    """Run the node until it is interrupted."""
    if show_help(CameraNodeParameters, "ros2 run grasp_cameras camera_node", args):
        return
    refusals = (ConfigError, CameraError, UnknownNameError, ResourceError, ParameterException)
    with program("camera_node", refusals, args) as running:
        node = CameraNode()
        try:
            running.spin(node)
        finally:
            node.destroy_node()


if __name__ == "__main__":
    main()
