# SPDX-License-Identifier: Apache-2.0
"""The calibration file: what the calibration writes and the camera node, the cell and the fusion read."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
import yaml
from pydantic import Field, model_validator

from grasp_cameras.calibration.board import BoardConfig
from grasp_core.camera import FrameError, Intrinsics
from grasp_core.config import Config
from grasp_core.geometry import Array, quaternion_of, transform

if TYPE_CHECKING:
    from grasp_cameras.driver import RawFrame

NotNegative = Annotated[float, Field(ge=0.0)]
_HEAD = "# Written by the calibration of grasp_cameras. Metres, quaternions x y z w, pixels from the upper left.\n"


class MountConfig(Config):
    """Where the camera is: the pose of its optical frame in a parent frame."""

    parent_frame: str
    """The robot's base for a fixed camera, the tool's frame for one on the hand."""
    camera_frame: str
    """The camera's optical frame."""
    translation: tuple[float, float, float]
    """Metres."""
    rotation: tuple[float, float, float, float]
    """Quaternion x, y, z, w."""

    @model_validator(mode="after")
    def _unit(self) -> Self:
        norm = float(np.linalg.norm(self.rotation))
        if abs(norm - 1.0) > 1e-3:
            raise ValueError(
                f"the rotation {self.rotation} has length {norm:.4f}; a unit quaternion x, y, z, w is wanted"
            )
        return self

    def __str__(self) -> str:
        where, turned = (", ".join(f"{v:.4f}" for v in values) for values in (self.translation, self.rotation))
        return f"{self.camera_frame} in {self.parent_frame}: ({where}) m, quaternion x y z w ({turned})"

    @classmethod
    def of(cls, T_parent_camera: Array, parent_frame: str, camera_frame: str) -> Self:
        """From a transform [4, 4]."""
        return cls(
            parent_frame=parent_frame,
            camera_frame=camera_frame,
            translation=tuple(T_parent_camera[:3, 3].tolist()),
            rotation=tuple(quaternion_of(T_parent_camera).tolist()),
        )

    @property
    def T_parent_camera(self) -> Array:
        """The pose as a transform [4, 4]."""
        return transform(self.translation, self.rotation)


class Residuals(Config):
    """How well the calibration explains what was seen."""

    intrinsics_px: NotNegative | None = None
    """Reprojection error of the intrinsic calibration, RMS."""
    reprojection_px: NotNegative | None = None
    """Reprojection error through the robot's poses, RMS."""
    translation_mm: NotNegative | None = None
    """How far the board's pose, seen through the robot, scatters about its mean, RMS."""
    rotation_deg: NotNegative | None = None
    """The same for its orientation."""
    sigma_translation_mm: NotNegative | None = None
    """Expected error (one standard deviation) of the camera's position, from the residuals."""
    sigma_rotation_deg: NotNegative | None = None
    """The same for its orientation."""


class CameraCalibration(Config):
    """One camera's intrinsics, and its place where a hand-eye calibration was made."""

    camera: str
    """Name of the camera."""
    width: Annotated[int, Field(ge=1, le=8192)]
    height: Annotated[int, Field(ge=1, le=8192)]
    fx: Annotated[float, Field(gt=0.0)]
    fy: Annotated[float, Field(gt=0.0)]
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()
    """OpenCV's order k1 k2 p1 p2 k3 ...; 5 values are ROS' plumb_bob, 8 rational_polynomial."""
    mount: Literal["hand", "fixed"] | None = None
    """Whether the camera moves with the tool or stands still; none where only the intrinsics were calibrated."""
    pose: MountConfig | None = None
    residuals: Residuals = Residuals()
    date: str = ""
    """When it was made, ISO 8601."""
    poses: Annotated[int, Field(ge=0)] = 0
    """Number of robot poses used."""
    views: Annotated[int, Field(ge=0)] = 0
    """Number of pictures used for the intrinsics; 0 where they are the camera's own."""
    board: BoardConfig | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.mount is None) != (self.pose is None):
            raise ValueError("mount and pose belong together: give both or neither")
        if self.date:
            datetime.fromisoformat(self.date)
        try:
            _ = self.intrinsics
        except FrameError as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def intrinsics(self) -> Intrinsics:
        """The camera."""
        return Intrinsics(self.width, self.height, self.fx, self.fy, self.cx, self.cy, self.distortion)

    @property
    def T_parent_camera(self) -> Array:
        """Pose of the optical frame in ``pose.parent_frame`` [4, 4].

        Raises:
            ValueError: the file holds intrinsics only.
        """
        if self.pose is None:
            raise ValueError(f"the calibration of {self.camera} holds intrinsics only, no pose")
        return self.pose.T_parent_camera

    def apply(self, frame: RawFrame) -> RawFrame:
        """The frame with these intrinsics in place of the driver's (colour's, or depth's where there is no colour).

        Raises:
            FrameError: the frame has another size than was calibrated.
        """
        main = frame.depth if frame.rgb is None else frame.rgb
        size = main.shape[1::-1]  # type: ignore[union-attr]
        if size != (self.width, self.height):
            raise FrameError(
                f"the calibration of {self.camera} is for {self.width} x {self.height} pixels, "
                f"the frame has {size[0]} x {size[1]}"
            )
        if frame.rgb is None:
            return replace(frame, depth_intrinsics=self.intrinsics)
        if frame.aligned_depth is frame.depth:  # one optical frame, so one lens
            camera = self.intrinsics if frame.depth is not None else None
            return replace(frame, color_intrinsics=self.intrinsics, depth_intrinsics=camera)
        return replace(frame, color_intrinsics=self.intrinsics)

    def save(self, path: Path | str) -> None:
        """Write the YAML file; a file that is there is replaced only once the new one is complete."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = _HEAD + yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, default_flow_style=None)
        part = path.with_name(f".{path.name}.part")
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
