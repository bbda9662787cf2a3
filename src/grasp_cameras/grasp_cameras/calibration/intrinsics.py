# SPDX-License-Identifier: Apache-2.0
"""A camera's intrinsics from pictures of the board, and the board's pose in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from scipy.spatial import ConvexHull

from grasp_cameras.calibration.board import Detection
from grasp_cameras.calibration.diversity import LEAST_ROTATION_RAD, Degeneracy, DegenerateError, Diversity
from grasp_core.camera import Intrinsics
from grasp_core.geometry import Array, transform

LensModel = Literal["plumb_bob", "rational_polynomial"]
LEAST_VIEWS = 8
LEAST_CORNERS = 10
LEAST_COVERAGE = 0.3


@dataclass(frozen=True)
class IntrinsicsResult:
    """Calibrated intrinsics.

    Attributes:
        intrinsics: the camera.
        reprojection_px: RMS over all corners.
        view_px: RMS of each view used [n].
        sigma_f_px: expected error (one standard deviation) of the focal lengths.
        coverage: share of the image that the corners span together.
    """

    intrinsics: Intrinsics
    reprojection_px: float
    view_px: Array
    sigma_f_px: float
    coverage: float


def calibrate_intrinsics(detections: Sequence[Detection], model: LensModel = "plumb_bob") -> IntrinsicsResult:
    """Estimate focal lengths, principal point and distortion from views of the board.

    Raises:
        DegenerateError: too few views, the board never tilted, or only a small part of the image covered.
        ValueError: the views have different sizes.
    """
    views = [d for d in detections if len(d) >= LEAST_CORNERS]
    if len(views) < LEAST_VIEWS:
        raise DegenerateError(
            Degeneracy.TOO_FEW,
            f"{len(views)} views with at least {LEAST_CORNERS} corners, {LEAST_VIEWS} are needed; capture more",
        )
    size = views[0].size
    if any(view.size != size for view in views):
        raise ValueError(f"the views have different sizes: {sorted({view.size for view in views})}")
    coverage = ConvexHull(np.concatenate([v.pixels for v in views])).volume / (size[0] * size[1])
    if coverage < LEAST_COVERAGE:
        raise DegenerateError(
            Degeneracy.LOW_COVERAGE,
            f"the corners span {coverage:.0%} of the image of {LEAST_COVERAGE:.0%} needed; show the board at its edges",
        )
    flags = cv2.CALIB_RATIONAL_MODEL if model == "rational_polynomial" else 0
    objects = [v.points_board.astype(np.float32) for v in views]
    images = [v.pixels.astype(np.float32) for v in views]
    rms, K, distortion, rvecs, _, sigmas, _, view_px = cv2.calibrateCameraExtended(  # type: ignore[call-overload]
        objects, images, size, None, None, flags=flags
    )
    # Parallel views leave the focal length open (Zhang 2000).
    tilt = Diversity.of([transform(rotation=cv2.Rodrigues(r)[0]) for r in rvecs]).rotation_rad
    if tilt[1] < LEAST_ROTATION_RAD:
        raise DegenerateError(
            Degeneracy.NO_TILT,
            f"the board turns about one axis only ({np.rad2deg(tilt[1]):.1f} deg across); tilt it sideways and up",
        )
    count = 8 if model == "rational_polynomial" else 5
    intrinsics = Intrinsics.from_matrix(K, *size, tuple(float(v) for v in distortion.ravel()[:count]))
    sigma = float(np.hypot(sigmas[0, 0], sigmas[1, 0]) / np.sqrt(2.0))
    return IntrinsicsResult(intrinsics, float(rms), np.ravel(view_px).astype(np.float64), sigma, float(coverage))


def board_pose(detection: Detection, intrinsics: Intrinsics) -> tuple[Array, float]:
    """``T_camera_board`` [4, 4] of one view, and its reprojection error in pixels (RMS)."""
    distortion = np.array(intrinsics.distortion or (0.0,) * 5)
    # A plane has two poses that look alike; the generic solver gives both, the better first.
    _, rvecs, tvecs, _ = cv2.solvePnPGeneric(
        detection.points_board, detection.pixels, intrinsics.K, distortion, flags=cv2.SOLVEPNP_IPPE
    )
    rvec, tvec = cv2.solvePnPRefineLM(
        detection.points_board, detection.pixels, intrinsics.K, distortion, rvecs[0].copy(), tvecs[0].copy()
    )
    pixels, _ = cv2.projectPoints(detection.points_board, rvec, tvec, intrinsics.K, distortion)
    rms = float(np.sqrt(np.mean(np.sum((pixels.reshape(-1, 2) - detection.pixels) ** 2, axis=1))))
    return transform(tvec.ravel(), cv2.Rodrigues(rvec)[0]), rms
