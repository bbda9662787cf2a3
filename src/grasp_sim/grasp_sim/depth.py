# SPDX-License-Identifier: Apache-2.0
"""From OpenGL's depth buffer to metres, and what a real depth camera does to them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from grasp_core.camera import Depth, Intrinsics
from grasp_core.cell_config import DepthNoise

# A neighbour this much farther (share of the distance) makes a pixel an edge.
EDGE_SHARE = 0.02


def metres_from_buffer(buffer: NDArray[np.float32], near_m: float, far_m: float) -> Depth:
    """Distance along the optical axis [H, W], float32 metres, from the non-linear buffer in [0, 1].

    z = far near / (far - (far - near) buffer). What lies at or beyond the far plane becomes NaN.
    """
    b = np.asarray(buffer, dtype=np.float64)
    z = (far_m * near_m / (far_m - (far_m - near_m) * b)).astype(np.float32)
    z[b >= 1.0 - 1e-9] = np.nan
    return z


def projection(intrinsics: Intrinsics, near_m: float, far_m: float) -> tuple[float, ...]:
    """OpenGL projection matrix (16 values, column by column) of a pinhole camera without distortion.

    OpenGL's image spans -0.5 to width - 0.5 in pixels whose centres are whole numbers.
    """
    k = intrinsics
    w, h = k.width, k.height
    matrix = np.zeros((4, 4))
    matrix[0, 0] = 2.0 * k.fx / w
    matrix[1, 1] = 2.0 * k.fy / h
    matrix[0, 2] = 1.0 - 2.0 * (k.cx + 0.5) / w
    matrix[1, 2] = 2.0 * (k.cy + 0.5) / h - 1.0
    matrix[2, 2] = -(far_m + near_m) / (far_m - near_m)
    matrix[2, 3] = -2.0 * far_m * near_m / (far_m - near_m)
    matrix[3, 2] = -1.0
    return tuple(matrix.T.ravel().tolist())


def add_noise(depth_m: Depth, noise: DepthNoise, rng: np.random.Generator) -> Depth:
    """A copy as a real camera would see it: noise that grows with the square of the distance, steps, edge drop-outs."""
    out = depth_m.copy()
    if noise.edge_dropout > 0.0:
        filled = np.nan_to_num(depth_m, nan=0.0)
        kernel = np.ones((3, 3), np.uint8)
        edge = cv2.dilate(filled, kernel) - cv2.erode(filled, kernel) > EDGE_SHARE * np.maximum(filled, 1e-3)
        out[edge & (rng.random(out.shape) < noise.edge_dropout)] = np.nan
    if noise.sigma_m > 0.0:
        out = out + (noise.sigma_m * rng.standard_normal(out.shape) * np.square(out)).astype(np.float32)
    if noise.quantisation_m > 0.0:
        out = (np.round(out / noise.quantisation_m) * noise.quantisation_m).astype(np.float32)
    return out.astype(np.float32)
