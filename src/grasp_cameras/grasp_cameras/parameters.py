# SPDX-License-Identifier: Apache-2.0
"""The nodes' parameters as configurations: types, ranges and descriptions in one place, ROS only declares them."""

from __future__ import annotations

from typing import Annotated, Literal

import yaml
from pydantic import Field

from grasp_cameras.calibration.board import BoardConfig
from grasp_cameras.calibration.session import SessionConfig
from grasp_cameras.settings import CameraSettings
from grasp_core.config import Config, ConfigError


class CameraNodeParameters(Config):
    """Publishes one camera: colour, depth, camera_info, JPEG and a point cloud for who asks, health on /diagnostics."""

    camera_name: Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9_/]*$")] = "camera"
    """Name of the camera; topics and frames begin with it."""
    config: str = ""
    """Camera file: a name in config/cameras, or a path ending in .yaml."""
    driver: str = ""
    """Driver instead of the file's, by name."""
    options: str = ""
    """YAML mapping of driver options on top of the file's, as a string: -p "options:='{serial: 123}'"."""
    calibration: str = ""
    """Calibration file instead of the camera file's."""
    frame_id: str = ""
    """Optical frame of colour; default the calibration's, else <camera_name>_color_optical_frame."""
    depth_frame_id: str = ""
    """Optical frame of depth where it is another; default <camera_name>_depth_optical_frame."""
    depth_encoding: Literal["16UC1", "32FC1"] = "16UC1"
    """16UC1 (millimetres, 0 invalid) or 32FC1 (metres, NaN invalid)."""
    qos_reliability: Literal["best_effort", "reliable"] = "best_effort"
    """best_effort or reliable."""
    qos_depth: Annotated[int, Field(ge=1, le=5)] = 5
    """Images kept for a slow subscriber."""
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] = 90
    """Quality of the compressed images, percent."""
    publish_mount_tf: bool = True
    """Publish the calibration's camera pose on /tf_static; off where the URDF has it."""

    def settings(self) -> CameraSettings:
        """The camera's settings: the file's with these parameters on top.

        Raises:
            ConfigError: neither file nor driver is named, or the options are no mapping.
        """
        if not (self.config or self.driver):
            raise ConfigError("parameter config (a camera file) or driver (a driver's name) must be set")
        base = CameraSettings.load(self.config) if self.config else CameraSettings(driver=self.driver)
        try:
            options = yaml.safe_load(self.options or "{}")
        except yaml.YAMLError as error:
            raise ConfigError(f"parameter options is {self.options!r}: no YAML: {error}") from error
        if not isinstance(options, dict):
            raise ConfigError(f"parameter options is {self.options!r}; a YAML mapping is wanted")
        # Another driver has other options than the file's.
        kept = base.options if self.driver in ("", base.driver) else {}
        return base.with_values(
            driver=self.driver or base.driver,
            options={**kept, **options},
            calibration=self.calibration or base.calibration,
        )


class CalibrateNodeParameters(Config):
    """Guided calibration of a camera's place on a robot, and of its lens.

    Show it a ChArUco board from least_poses or more poses of the robot, turned about two axes, and call ~/capture
    (std_srvs/srv/Trigger) at each, ~/undo to forget the last; then ~/solve, which tells the residuals, and ~/save.
    """

    camera_name: str = "camera"
    """Name of the camera whose topics are read."""
    image_topic: str = ""
    """Colour images, camera_info beside them; default <camera_name>/color/image_raw."""
    mount: Literal["hand", "fixed"] = "hand"
    """hand: the camera moves with the tool. fixed: it stands still and the tool carries the board."""
    base_frame: str = "base_link"
    """The robot's base."""
    tool_frame: str = "tool0"
    """The tool's frame."""
    camera_frame: str = ""
    """The camera's optical frame; default that of the images."""
    output: str = "camera_calibration.yaml"
    """File that ~/save writes."""
    intrinsics: Literal["camera", "calibrate"] = "camera"
    """camera: keep the camera's own. calibrate: from the same pictures."""
    lens: Literal["plumb_bob", "rational_polynomial"] = "plumb_bob"
    """Distortion model of calibrated intrinsics."""
    least_poses: Annotated[int, Field(ge=3, le=200)] = 6
    """Fewest poses accepted."""
    timeout_s: Annotated[float, Field(ge=0.1, le=30.0)] = 2.0
    """Longest wait for an image, and for the robot's pose at its stamp."""
    board: BoardConfig = BoardConfig()
    """The board as printed."""

    def session(self, image_frame: str) -> SessionConfig:
        """What a session calibrates, with images of ``image_frame``."""
        return SessionConfig(
            camera=self.camera_name,
            mount=self.mount,
            parent_frame=self.tool_frame if self.mount == "hand" else self.base_frame,
            camera_frame=self.camera_frame or image_frame,
            board=self.board,
            intrinsics=self.intrinsics,
            lens=self.lens,
            least_poses=self.least_poses,
        )
