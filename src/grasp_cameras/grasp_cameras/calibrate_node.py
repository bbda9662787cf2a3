# SPDX-License-Identifier: Apache-2.0
"""Guided hand-eye calibration: move the robot, call ``~/capture``, and again; ``~/solve``; ``~/save``."""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from std_srvs.srv import Trigger
from tf2_ros import Buffer, TransformException, TransformListener

from grasp_cameras import ros_conversions as ros
from grasp_cameras.calibration.session import CalibrationSession
from grasp_cameras.calibration_file import CameraCalibration
from grasp_cameras.image_codec import decode_color, stamp_ns
from grasp_cameras.parameters import CalibrateNodeParameters
from grasp_core.config import ConfigError
from grasp_core.node_help import show_help
from grasp_core.ros_running import program


class CalibrateNode(Node):
    """Looks up the tool's pose at each image's stamp and hands both to a ``CalibrationSession``."""

    def __init__(self, **node_arguments: Any) -> None:
        super().__init__("calibrate", **node_arguments)
        self._settings = p = ros.declared_parameters(self, CalibrateNodeParameters)
        self._result: CameraCalibration | None = None
        self._session: CalibrationSession | None = None
        self._news = threading.Condition()
        self._image: Image | None = None
        self._info: CameraInfo | None = None
        self._buffer = Buffer(node=self)
        self._listener = TransformListener(self._buffer, self)
        topic = p.image_topic or f"{p.camera_name}/color/image_raw"
        info_topic = f"{topic.rsplit('/', 1)[0]}/camera_info"
        incoming, services = ReentrantCallbackGroup(), MutuallyExclusiveCallbackGroup()
        self.create_subscription(Image, topic, self._on_image, qos_profile_sensor_data, callback_group=incoming)
        self.create_subscription(
            CameraInfo, info_topic, self._on_info, qos_profile_sensor_data, callback_group=incoming
        )
        steps = {"capture": self._capture, "undo": self._undo, "solve": self._solve, "save": self._save}
        for name, step in steps.items():
            self.create_service(Trigger, f"~/{name}", self._answer(step), callback_group=services)
        me = self.get_fully_qualified_name()
        self.get_logger().info(
            f"Show the board to {topic}, hold the robot still, call {me}/capture (std_srvs/srv/Trigger). "
            f"Turn the tool about two axes and move it between captures; then the same with {me}/solve and {me}/save."
        )

    def _on_image(self, message: Image) -> None:
        with self._news:
            self._image = message
            self._news.notify_all()

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message

    def _answer(self, step: Any) -> Any:
        def callback(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            try:
                response.message, response.success = step(), True
            except (ValueError, RuntimeError, OSError, TransformException) as error:
                response.message, response.success = str(error), False
            # One line each: rclpy ties a severity to the place of a call.
            if response.success:
                self.get_logger().info(response.message)
            else:
                self.get_logger().error(response.message)
            return response

        return callback

    def _capture(self) -> str:
        p = self._settings
        # Newer than what is there already, by the camera's own stamps: its clock need not be this node's.
        after_ns, end_s = stamp_ns(self._image.header.stamp) if self._image else -1, time.monotonic() + p.timeout_s
        why_not = f"no new image in {p.timeout_s:g} s; is the camera publishing?"
        # A motion may just be ending: pictures are waited for until one shows the tool at rest.
        while True:
            with self._news:
                left_s = end_s - time.monotonic()
                image = self._news.wait_for(partial(self._newer, after_ns), left_s) if left_s > 0.0 else None
            if image is None:
                raise RuntimeError(why_not)
            after_ns = stamp_ns(image.header.stamp)
            try:
                T_base_tool = ros.pose_at_rest(self._buffer, p.base_frame, p.tool_frame, after_ns, p.timeout_s)
                break
            except ros.NotAtRestError as error:
                why_not = str(error)
        intrinsics = None if self._info is None else ros.intrinsics_of(self._info)
        if self._session is None:
            self._session = CalibrationSession(p.session(image.header.frame_id))
        return self._session.capture(decode_color(image), intrinsics, T_base_tool)

    def _newer(self, after_ns: int) -> Image | None:
        return self._image if self._image and stamp_ns(self._image.header.stamp) > after_ns else None

    def _undo(self) -> str:
        return self._started().undo()

    def _solve(self) -> str:
        self._result = self._started().solve()
        return f"{self._started().hand_eye}\n{self._result.pose}"

    def _save(self) -> str:
        if self._result is None:
            raise RuntimeError("nothing is solved yet; call ~/solve first")
        path = Path(self._settings.output).expanduser().resolve()
        self._result.save(path)
        return f"written to {path}; name it as `calibration:` of the camera in the cell's file"

    def _started(self) -> CalibrationSession:
        if self._session is None:
            raise RuntimeError("nothing is captured yet; call ~/capture first")
        return self._session


def main(args: list[str] | None = None) -> None:
    """Run the node until it is interrupted."""
    if show_help(CalibrateNodeParameters, "ros2 run grasp_cameras calibrate_node", args):
        return
    with program("calibrate_node", (ConfigError, ParameterException), args) as running:
        running.spin(CalibrateNode(), threads=4)


if __name__ == "__main__":
    main()
