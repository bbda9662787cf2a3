# SPDX-License-Identifier: Apache-2.0
"""Where the camera is: on the hand or fixed beside the robot.

With X the camera's pose (in the tool's frame on the hand, in the base otherwise), Y the board's pose in the other of
the two, and M_i the robot (the inverse of the tool's pose on the hand, the pose itself otherwise), every view obeys
``T_camera_board_i = X^-1 M_i Y``. OpenCV's five closed forms give a first X; the one that explains the pictures best is
refined, with Y, on the reprojection error of all corners.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from grasp_cameras.calibration.board import Detection
from grasp_cameras.calibration.diversity import LEAST_POSES, Degeneracy, DegenerateError, Diversity
from grasp_cameras.calibration.intrinsics import board_pose
from grasp_cameras.calibration_file import Residuals
from grasp_cameras.registration import project
from grasp_core.camera import Intrinsics
from grasp_core.geometry import Array, check_rigid, difference, invert, transform

Mount = Literal["hand", "fixed"]
METHODS: Mapping[str, int] = {
    "tsai": cv2.CALIB_HAND_EYE_TSAI,
    "park": cv2.CALIB_HAND_EYE_PARK,
    "horaud": cv2.CALIB_HAND_EYE_HORAUD,
    "andreff": cv2.CALIB_HAND_EYE_ANDREFF,
    "daniilidis": cv2.CALIB_HAND_EYE_DANIILIDIS,
}
# Errors beyond this many pixels count linearly, so that one bad view does not bend the rest.
ROBUST_PX = 2.0


@dataclass(frozen=True)
class HandEyeView:
    """One picture of the board and the tool's pose ``T_base_tool`` [4, 4] when it was taken."""

    T_base_tool: Array
    detection: Detection

    def __post_init__(self) -> None:
        check_rigid(self.T_base_tool, "T_base_tool")


@dataclass(frozen=True)
class HandEyeResult:
    """A hand-eye calibration.

    Attributes:
        mount: on the hand or fixed.
        T_parent_camera: pose of the optical frame in the tool's frame (hand) or the base (fixed) [4, 4].
        T_carrier_board: pose of the board in the base (hand) or the tool's frame (fixed) [4, 4].
        method: the closed form that the refinement started from.
        method_px: reprojection error of each closed form, pixels RMS; infinite where it failed.
        view_px: reprojection error of each view after refinement [n].
        diversity: of the poses used.
        residuals: the summary that is written to file.
    """

    mount: Mount
    T_parent_camera: Array
    T_carrier_board: Array
    method: str
    method_px: Mapping[str, float]
    view_px: Array = field(repr=False)
    diversity: Diversity
    residuals: Residuals

    def __str__(self) -> str:
        r = self.residuals
        forms = ", ".join(f"{name} {px:.2f}" for name, px in self.method_px.items())
        return (
            f"{self.diversity}\n"
            f"closed forms, px: {forms}; refined from {self.method}\n"
            f"reprojection {r.reprojection_px:.3f} px (worst view {self.view_px.max():.2f}), "
            f"consistency {r.translation_mm:.2f} mm {r.rotation_deg:.3f} deg, "
            f"expected error {r.sigma_translation_mm:.2f} mm {r.sigma_rotation_deg:.3f} deg"
        )


def calibrate_hand_eye(
    views: Sequence[HandEyeView], intrinsics: Intrinsics, mount: Mount, least_poses: int = LEAST_POSES
) -> HandEyeResult:
    """Find where the camera is from views of the board at different robot poses.

    Raises:
        DegenerateError: the poses determine nothing; the reason says why.
        ValueError: a view has another size than the camera.
    """
    if not views:
        raise DegenerateError(
            Degeneracy.BOARD_NOT_SEEN, "no view shows the board; light, focus and the board's settings?"
        )
    for view in views:
        if view.detection.size != (intrinsics.width, intrinsics.height):
            raise ValueError(
                f"a view is {view.detection.size}, the camera {intrinsics.width, intrinsics.height} pixels"
            )
    diversity = Diversity.of([view.T_base_tool for view in views])
    diversity.check(least_poses)
    M = np.stack([invert(v.T_base_tool) if mount == "hand" else v.T_base_tool for v in views])
    T_camera_board = np.stack([board_pose(v.detection, intrinsics)[0] for v in views])
    problem = _Reprojection(M, [v.detection for v in views], intrinsics)

    candidates = {}
    method_px = {}
    for name, method in METHODS.items():
        X = _closed_form(M, T_camera_board, method)
        if X is None:
            method_px[name] = float("inf")
            continue
        candidates[name] = (X, _mean_pose(invert(M) @ X @ T_camera_board))
        method_px[name] = problem.rms(*candidates[name])
    if not candidates:
        raise DegenerateError(Degeneracy.SINGLE_AXIS, "no closed form has a solution; turn the tool about more axes")
    best = min(candidates, key=lambda name: method_px[name])
    X, Y, sigma_mm, sigma_deg = problem.refine(*candidates[best])

    errors = [difference(Y, Y_i) for Y_i in invert(M) @ X @ T_camera_board]
    scatter_m, scatter_rad = np.sqrt(np.mean(np.square(errors), axis=0))
    residuals = Residuals(
        reprojection_px=problem.rms(X, Y),
        translation_mm=float(scatter_m * 1e3),
        rotation_deg=float(np.rad2deg(scatter_rad)),
        sigma_translation_mm=sigma_mm,
        sigma_rotation_deg=sigma_deg,
    )
    return HandEyeResult(mount, X, Y, best, method_px, problem.view_rms(X, Y), diversity, residuals)


class _Reprojection:
    """The corners of all views as one least-squares problem in the twelve parameters of X and Y."""

    def __init__(self, M: Array, detections: Sequence[Detection], intrinsics: Intrinsics) -> None:
        self._counts = [len(d) for d in detections]
        self._M = np.repeat(M, self._counts, axis=0)
        self._points = np.concatenate([d.points_board for d in detections])
        self._pixels = np.concatenate([d.pixels for d in detections])
        self._intrinsics = intrinsics

    def errors(self, X: Array, Y: Array) -> Array:
        """Predicted minus seen pixels [n, 2]."""
        points = self._points @ Y[:3, :3].T + Y[:3, 3]
        points = np.einsum("nij,nj->ni", self._M[:, :3, :3], points) + self._M[:, :3, 3]
        points = (points - X[:3, 3]) @ X[:3, :3]
        # A wrong start may put the board behind the camera; the plane in front keeps the error finite and large.
        points[:, 2] = np.maximum(points[:, 2], 1e-3)
        return project(points, self._intrinsics) - self._pixels

    def rms(self, X: Array, Y: Array) -> float:
        """Root mean square distance in pixels."""
        return float(np.sqrt(np.mean(np.sum(self.errors(X, Y) ** 2, axis=1))))

    def view_rms(self, X: Array, Y: Array) -> Array:
        """The same for each view [views]."""
        squares = np.split(np.sum(self.errors(X, Y) ** 2, axis=1), np.cumsum(self._counts)[:-1])
        return np.array([np.sqrt(s.mean()) for s in squares])

    def refine(self, X: Array, Y: Array) -> tuple[Array, Array, float, float]:
        """Refined X and Y, and the expected error of X in millimetres and degrees."""

        def moved(p: Array) -> tuple[Array, Array]:
            return X @ _small(p[:6]), Y @ _small(p[6:])

        # lsmr: the default solver takes a singular value decomposition of a thousand rows in every step.
        fit = least_squares(
            lambda p: self.errors(*moved(p)).ravel(),
            np.zeros(12),
            loss="huber",
            f_scale=ROBUST_PX,
            x_scale="jac",
            tr_solver="lsmr",
            tr_options={"atol": 1e-12, "btol": 1e-12},
        )
        errors = self.errors(*moved(fit.x)).ravel()
        variance = float(errors @ errors) / max(1, errors.size - 12)
        covariance = np.linalg.pinv(fit.jac.T @ fit.jac) * variance
        sigma_rad, sigma_m = (np.sqrt(np.trace(covariance[s, s])) for s in (slice(0, 3), slice(3, 6)))
        return *moved(fit.x), float(sigma_m * 1e3), float(np.rad2deg(sigma_rad))


def _small(p: Array) -> Array:
    return transform(p[3:], Rotation.from_rotvec(p[:3]))


def _closed_form(M: Array, T_camera_board: Array, method: int) -> Array | None:
    carrier = invert(M)
    try:
        R, t = cv2.calibrateHandEye(
            list(carrier[:, :3, :3]),
            list(carrier[:, :3, 3]),
            list(T_camera_board[:, :3, :3]),
            list(T_camera_board[:, :3, 3]),
            method=method,
        )
    except cv2.error:
        return None
    if not (np.isfinite(R).all() and np.isfinite(t).all()) or abs(np.linalg.det(R) - 1.0) > 0.1:
        return None
    U, _, Vt = np.linalg.svd(R)
    return transform(t.ravel(), U @ Vt)


def _mean_pose(poses: Array) -> Array:
    return transform(np.median(poses[:, :3, 3], axis=0), Rotation.from_matrix(poses[:, :3, :3]).mean())
