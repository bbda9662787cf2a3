# SPDX-License-Identifier: Apache-2.0
"""Pictures and corners of a board that a camera would see, to try the calibration without one."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from grasp_cameras.calibration.board import Board, BoardConfig, Detection
from grasp_cameras.registration import project
from grasp_core.camera import Intrinsics
from grasp_core.geometry import Array, apply


def view_corners(
    board: BoardConfig,
    intrinsics: Intrinsics,
    T_camera_board: Array,
    noise_px: float,
    generator: np.random.Generator,
    least_corners: int = 6,
) -> Detection | None:
    """The corners inside the picture with Gaussian noise on their pixels; none where too few are."""
    points = apply(T_camera_board, board.corners_m)
    # Seen from behind, or nearly from the side, markers cannot be read.
    faces = T_camera_board[:3, 2] @ (points.mean(axis=0) / np.linalg.norm(points.mean(axis=0)))
    if (points[:, 2] <= 0.01).any() or faces < np.cos(np.deg2rad(70.0)):
        return None
    pixels = project(points, intrinsics)
    inside = np.all((pixels > 4.0) & (pixels < np.array([intrinsics.width, intrinsics.height]) - 5.0), axis=1)
    if inside.sum() < least_corners:
        return None
    ids = np.flatnonzero(inside)
    noisy = pixels[inside] + generator.normal(0.0, noise_px, (len(ids), 2))
    return Detection(ids, noisy, board.corners_m[ids], (intrinsics.width, intrinsics.height))


def render_board(
    board: Board, intrinsics: Intrinsics, T_camera_board: Array, background: int = 90
) -> NDArray[np.uint8]:
    """RGB picture [H, W, 3] of the board, by the homography of its plane; the lens' distortion is left out."""
    per_square = 60
    pattern = board.draw(per_square)
    c = board.config
    # One square of white paper around the pattern, as on a print.
    paper = np.pad(pattern, per_square, constant_values=255)
    scale = c.square_m / per_square
    # Texel (0, 0) is the centre of the corner pixel of the paper.
    shift = (0.5 - per_square) * scale
    plane_texel = np.array([[scale, 0.0, shift], [0.0, scale, shift], [0.0, 0.0, 1.0]])
    H = (
        intrinsics.K
        @ np.stack([T_camera_board[:3, 0], T_camera_board[:3, 1], T_camera_board[:3, 3]], axis=1)
        @ plane_texel
    )
    # Rendered twice as large and averaged down: a single sample a pixel would alias the edges.
    double = np.array([[2.0, 0.0, 0.5], [0.0, 2.0, 0.5], [0.0, 0.0, 1.0]])
    size = (2 * intrinsics.width, 2 * intrinsics.height)
    large = cv2.warpPerspective(
        paper, double @ H, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(background,)
    )
    grey = cv2.resize(large, (intrinsics.width, intrinsics.height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
