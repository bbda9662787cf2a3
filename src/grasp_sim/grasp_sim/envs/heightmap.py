# SPDX-License-Identifier: Apache-2.0
"""A gravity-aligned orthographic view of the workspace, for rewards and primitives (push_grasp, section IV-A)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grasp_core.camera import CameraFrame
from grasp_core.cell_config import BoxRegion
from grasp_core.geometry import Array

CELL_M = 0.002
# Change detection: cells whose height changed by this much (m), and how many make a change (push_grasp's code).
LEAST_CHANGE_M, MOST_CHANGE_M, CHANGED_CELLS = 0.01, 0.30, 300


def heightmap(frame: CameraFrame, box: BoxRegion, support_z_m: float, cell_m: float = CELL_M) -> NDArray[np.float32]:
    """Height above the support, float32 [rows, columns] of ``cell_m``; rows along y, columns along x; 0: unseen."""
    points = frame.points_base().reshape(-1, 3)
    points = points[np.isfinite(points).all(axis=1)]
    low, high = np.array(box.min_m[:2]), np.array(box.max_m[:2])
    columns, rows = np.round((high - low) / cell_m).astype(int)
    cells = np.floor((points[:, :2] - low) / cell_m).astype(int)
    inside = (cells >= 0).all(axis=1) & (cells[:, 0] < columns) & (cells[:, 1] < rows)
    out = np.zeros((rows, columns), dtype=np.float32)
    heights = np.maximum(points[inside, 2] - support_z_m, 0.0).astype(np.float32)
    np.maximum.at(out, (cells[inside, 1], cells[inside, 0]), heights)
    return out


def surface_at(frame: CameraFrame, xy: Array, radius_m: float, support_z_m: float) -> float:
    """Height of the highest seen point within ``radius_m`` of a place, base frame; the support's where none is seen."""
    points = frame.points_base().reshape(-1, 3)
    near = np.square(points[:, :2] - xy).sum(axis=1) <= radius_m**2
    heights = points[near, 2]
    heights = heights[np.isfinite(heights)]
    return float(heights.max()) if heights.size else support_z_m


def changed(before: NDArray[np.float32], after: NDArray[np.float32]) -> bool:
    """Whether a push changed the scene."""
    difference = np.abs(after - before)
    return int(((difference >= LEAST_CHANGE_M) & (difference <= MOST_CHANGE_M)).sum()) > CHANGED_CELLS
