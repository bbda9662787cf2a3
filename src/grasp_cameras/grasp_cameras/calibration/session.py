# SPDX-License-Identifier: Apache-2.0
"""A calibration made one capture at a time, with advice; the guided node is a thin shell around it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from grasp_cameras.calibration.board import Board, BoardConfig
from grasp_cameras.calibration.diversity import LEAST_POSES, Degeneracy, DegenerateError, Diversity
from grasp_cameras.calibration.hand_eye import HandEyeResult, HandEyeView, Mount, calibrate_hand_eye
from grasp_cameras.calibration.intrinsics import IntrinsicsResult, board_pose, calibrate_intrinsics
from grasp_cameras.calibration_file import CameraCalibration, MountConfig, Residuals
from grasp_core.camera import Intrinsics
from grasp_core.config import Config
from grasp_core.geometry import Array, check_rigid, difference

# A capture nearer than this to an earlier one tells nothing new.
SAME_M, SAME_RAD = 0.005, np.deg2rad(1.5)
# A single view that fits worse than this has corners found wrongly, or intrinsics that are wrong.
WORST_VIEW_PX = 3.0


class SessionConfig(Config):
    """What is calibrated."""

    camera: str
    """Name of the camera."""
    mount: Literal["hand", "fixed"]
    """Whether the camera moves with the tool or stands still (then the tool carries the board)."""
    parent_frame: str
    """Frame that the camera's pose is given in: the tool's for hand, the base for fixed."""
    camera_frame: str
    """The camera's optical frame."""
    board: BoardConfig = BoardConfig()
    intrinsics: Literal["camera", "calibrate"] = "camera"
    """Keep the camera's own intrinsics, or calibrate them from the same pictures."""
    lens: Literal["plumb_bob", "rational_polynomial"] = "plumb_bob"
    """Distortion model of calibrated intrinsics."""
    least_poses: Annotated[int, Field(ge=3, le=200)] = LEAST_POSES
    """Fewest poses that are accepted."""


class CalibrationSession:
    """Collects captures, says what is still missing, solves."""

    def __init__(self, config: SessionConfig) -> None:
        self.config = config
        self._board = Board(config.board)
        self._views: list[HandEyeView] = []
        self._intrinsics: Intrinsics | None = None
        self._attempts = 0
        self.hand_eye: HandEyeResult | None = None
        self.lens: IntrinsicsResult | None = None

    def __len__(self) -> int:
        return len(self._views)

    def capture(self, image: NDArray[np.uint8], intrinsics: Intrinsics | None, T_base_tool: Array) -> str:
        """Add a picture (RGB or grey) and the tool's pose at its stamp; returns what was seen and what is missing.

        Raises:
            DegenerateError: the board is not seen, or the pose is one that was captured already.
            ValueError: the camera's intrinsics are missing or change, or the pose is no rigid transform.
        """
        self._attempts += 1
        check_rigid(T_base_tool, "T_base_tool")
        size = (image.shape[1], image.shape[0])
        if intrinsics is None and self.config.intrinsics == "camera":
            raise ValueError(
                f"camera {self.config.camera} gives no intrinsics (camera_info missing or empty); calibrate them"
            )
        if self._views and self._views[0].detection.size != size:
            raise ValueError(f"the picture is {size[0]} x {size[1]}, earlier ones were {self._views[0].detection.size}")
        if intrinsics is not None and self._intrinsics not in (None, intrinsics):
            raise ValueError("the camera's intrinsics changed since the first capture; start anew")
        detection = self._board.detect(image)
        if detection is None:
            raise DegenerateError(
                Degeneracy.BOARD_NOT_SEEN, "show more of the board; is it lit, in focus, and as configured?"
            )
        for number, view in enumerate(self._views, 1):
            metres, radians = difference(view.T_base_tool, T_base_tool)
            if metres < SAME_M and radians < SAME_RAD:
                raise DegenerateError(
                    Degeneracy.ONE_PLACE, f"the tool is where capture {number} was taken; move it first"
                )
        if intrinsics is not None and self.config.intrinsics == "camera":
            error_px = board_pose(detection, intrinsics)[1]
            if error_px > WORST_VIEW_PX:
                raise ValueError(
                    f"the board fits the camera's intrinsics only to {error_px:.1f} px (allowed {WORST_VIEW_PX:.0f}): "
                    "the board's lengths or the intrinsics are wrong"
                )
        self._intrinsics = intrinsics
        self._views.append(HandEyeView(T_base_tool, detection))
        return f"capture {len(self._views)}: {len(detection)} corners. {self.advice()}"

    def undo(self) -> str:
        """Take back the newest capture."""
        if self._views:
            self._views.pop()
        return self.advice()

    def advice(self) -> str:
        """How diverse the poses are so far, and what to do next."""
        diversity = Diversity.of([view.T_base_tool for view in self._views])
        problem = diversity.problem(self.config.least_poses)
        return f"{diversity}. " + ("Enough to solve; more improve it." if problem is None else f"Missing: {problem[1]}")

    def solve(self) -> CameraCalibration:
        """Calibrate from the captures.

        Raises:
            DegenerateError: by name.
        """
        config = self.config
        if not self._views:
            raise DegenerateError(Degeneracy.BOARD_NOT_SEEN, f"none of {self._attempts} captures shows the board")
        intrinsics = self._intrinsics
        if config.intrinsics == "calibrate":
            self.lens = calibrate_intrinsics([v.detection for v in self._views], config.lens)
            intrinsics = self.lens.intrinsics
        if intrinsics is None:
            raise ValueError(f"camera {config.camera} gives no intrinsics; set intrinsics to calibrate")
        mount: Mount = config.mount
        result = self.hand_eye = calibrate_hand_eye(self._views, intrinsics, mount, config.least_poses)
        lens_px = None if self.lens is None else self.lens.reprojection_px
        return CameraCalibration(
            camera=config.camera,
            width=intrinsics.width,
            height=intrinsics.height,
            fx=intrinsics.fx,
            fy=intrinsics.fy,
            cx=intrinsics.cx,
            cy=intrinsics.cy,
            distortion=intrinsics.distortion,
            mount=mount,
            pose=MountConfig.of(result.T_parent_camera, config.parent_frame, config.camera_frame),
            residuals=Residuals(**{**result.residuals.model_dump(), "intrinsics_px": lens_px}),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            poses=len(self._views),
            views=0 if self.lens is None else len(self.lens.view_px),
            board=config.board,
        )
