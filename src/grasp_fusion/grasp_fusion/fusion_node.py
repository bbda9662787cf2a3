# SPDX-License-Identifier: Apache-2.0
"""The fusion node: a camera's pictures in, a volume inside, views, cloud and mesh out."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.time import Time
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from visualization_msgs.msg import Marker

from grasp_core.node_help import show_help
from grasp_core.ros_running import program
from grasp_fusion import ros_conversions as ros
from grasp_fusion.node_config import FusionNodeConfig
from grasp_fusion.render import render_views
from grasp_fusion.ros_inputs import Inputs
from grasp_fusion.surface import mesh, point_cloud
from grasp_fusion.volume import FusionError, TsdfVolume
from grasp_fusion.worker import Worker
from grasp_interfaces.srv import RenderViews


class FusionNode(Node):
    """Pictures are received, fused and shown in three threads of their own; the node's own callbacks are the services.

    Args:
        options: those of rclpy's Node, such as parameter_overrides.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("fusion_node", **options)
        self._config = FusionNodeConfig.from_mapping(ros.declare(self, FusionNodeConfig), "parameter")
        c = self._config
        self._volume = TsdfVolume(c)
        ready_s = self._volume.warm_up()
        self.get_logger().info(f"{np.prod(c.shape) / 1e6:.2f} M voxels; kernels ready in {ready_s:.1f} s")
        self._lost = 0
        self._worker = Worker(self._fuse, c.queue_length, self._refused)
        self._shower: Worker[Callable[[], None]] = Worker(lambda show: show(), 2, self._not_shown)
        self._inputs = Inputs(self, c, self._worker.submit)
        self._cloud = self.create_publisher(PointCloud2, "~/cloud", 1)
        self._mesh = self.create_publisher(Marker, "~/mesh", 1)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        for rate_hz, show in ((c.cloud_rate_hz, self._publish_cloud), (c.mesh_rate_hz, self._publish_mesh)):
            if rate_hz > 0.0:
                self.create_timer(1.0 / rate_hz, partial(self._shower.submit, show))
        self.create_timer(1.0, self._publish_diagnostics)
        self.create_service(RenderViews, "~/render_views", self._render_views)
        self.create_service(Trigger, "~/reset", self._reset)

    def _fuse(self, images: tuple[Image, ...]) -> None:
        self._volume.integrate(self._inputs.frame(images), self._config.camera)

    def _refused(self, error: ValueError) -> None:
        self.get_logger().warning(f"picture refused: {error}", throttle_duration_sec=2.0)

    def _not_shown(self, error: ValueError) -> None:
        self.get_logger().error(f"cloud or mesh could not be made: {error}", throttle_duration_sec=2.0)

    def _header(self) -> Header:
        stamp = Time(nanoseconds=self._volume.newest_ns or 0).to_msg()
        return Header(stamp=stamp, frame_id=self._config.base_frame)

    def _publish_cloud(self) -> None:
        if self._cloud.get_subscription_count() and self._volume.frames:
            self._cloud.publish(ros.cloud_message(point_cloud(self._volume), self._header()))

    def _publish_mesh(self) -> None:
        if self._mesh.get_subscription_count() and self._volume.frames:
            found = mesh(self._volume, self._config.mesh_step_voxels)
            self._mesh.publish(ros.mesh_message(found, self._header()))

    def _publish_diagnostics(self) -> None:
        state, unmatched = self._worker.state, self._inputs.unmatched
        lost = state.dropped + state.refused + unmatched
        newly_lost, self._lost = lost - self._lost, lost
        header = Header(stamp=self.get_clock().now().to_msg())
        failed = self._worker.failure is not None
        message = ros.diagnostics_message(self._config.camera, state, unmatched, newly_lost, failed, header)
        self._diagnostics.publish(message)

    def _render_views(self, request: RenderViews.Request, response: RenderViews.Response) -> RenderViews.Response:
        c, base = self._config, self._config.base_frame
        wanted_ns, frame_id = ros.stamp_ns(request.header.stamp), request.header.frame_id or base
        try:
            if wanted_ns and not self._volume.wait_for(wanted_ns, c.render_timeout_s):
                raise FusionError(f"no picture as new as {wanted_ns} ns was fused within {c.render_timeout_s} s")
            is_base = frame_id == base
            T = np.eye(4) if is_base else self._inputs.lookup(frame_id, Time(), c.render_timeout_s)
            poses = np.reshape([T @ ros.pose_of(pose) for pose in request.poses], (-1, 4, 4))
            camera, normals = ros.intrinsics_of(request.camera), request.want_normals
            started = time.perf_counter()
            views = render_views(self._volume, poses, camera, want_normals=normals, normals_frame="base")
            response.render_time = time.perf_counter() - started
            return ros.fill_response(response, views, T, Header(stamp=self._header().stamp, frame_id=frame_id))
        except ValueError as error:
            response.message = str(error)
            return response

    def _reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = True, f"forgot {self._volume.frames} pictures"
        self._volume.reset()
        return response

    def destroy_node(self) -> None:
        """End the threads before the node."""
        try:
            self._inputs.close()
            self._worker.close()
            self._shower.close()
        finally:
            super().destroy_node()


def main(args: list[str] | None = None) -> None:
    """Run the node until it is told to stop."""
    if show_help(FusionNodeConfig, "ros2 run grasp_fusion fusion_node", args):
        return
    with program("fusion_node", (ValueError, ParameterException), args) as running:
        node = FusionNode()
        try:
            running.spin(node)
        finally:
            node.destroy_node()


if __name__ == "__main__":
    main()
