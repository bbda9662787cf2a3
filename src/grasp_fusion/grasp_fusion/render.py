# SPDX-License-Identifier: Apache-2.0
"""Pictures of the volume from where no camera stood: colour, depth, surface normals and what is not known."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grasp_core.camera import Intrinsics
from grasp_core.geometry import Array, check_rigid
from grasp_fusion.volume import TsdfVolume

# More views than this in one call are a mistake in an array's shape.
MAX_VIEWS = 4096


class ViewStatus(IntEnum):
    """What the ray of a pixel met."""

    SURFACE = 0
    """The front of a surface: depth, colour and normal are valid. Unobserved space may lie before it."""
    FREE = 1
    """It left the volume, or reached ``far_m``, through space that was all seen to be free."""
    UNOBSERVED = 2
    """No surface was met, but space that no camera has seen, or the back of a surface (occluded)."""
    OUTSIDE = 3
    """It does not cross the volume between ``near_m`` and ``far_m``."""


@dataclass(frozen=True)
class Views:
    """N rendered views.

    Attributes:
        depth_m: float32 [N, H, W], metres along the optical axis; NaN where status is not SURFACE.
        status: uint8 [N, H, W], values of ViewStatus.
        rgb: uint8 [N, H, W, 3], black where there is no surface; none for a volume without colour.
        normals: float32 [N, H, W, 3], unit vectors out of the surface; NaN without a surface, or none if not wanted.
    """

    depth_m: NDArray[np.float32]
    status: NDArray[np.uint8]
    rgb: NDArray[np.uint8] | None
    normals: NDArray[np.float32] | None

    def __len__(self) -> int:
        return len(self.depth_m)


def render_views(
    volume: TsdfVolume,
    T_base_cameras: ArrayLike,
    intrinsics: Intrinsics,
    *,
    near_m: float = 0.02,
    far_m: float = 4.0,
    want_normals: bool = True,
    normals_frame: Literal["camera", "base"] = "camera",
) -> Views:
    """Render N views of the volume in one call.

    Args:
        volume: what to look at.
        T_base_cameras: poses of the optical frames in the base frame [N, 4, 4].
        intrinsics: the camera of every view; its distortion must be zero.
        near_m: surfaces nearer than this along the optical axis are looked through.
        far_m: surfaces farther than this are not seen.
        want_normals: make normals, about a tenth of the time.
        normals_frame: frame of the normals: each view's camera, or the base.

    Raises:
        NotRigidError: a pose is no rigid transform.
        ValueError: the poses are not [N, 4, 4], too many, the range is empty, or the camera has distortion.
    """
    T = np.asarray(T_base_cameras, dtype=np.float64)
    if T.ndim != 3 or T.shape[1:] != (4, 4):
        raise ValueError(f"T_base_cameras has shape {T.shape}; N poses are [N, 4, 4]")
    if len(T) > MAX_VIEWS:
        raise ValueError(f"{len(T)} views in one call; at most {MAX_VIEWS}")
    if not 0.0 < near_m < far_m < np.inf:
        raise ValueError(f"near_m {near_m} and far_m {far_m} must be 0 < near < far")
    if any(intrinsics.distortion):
        raise ValueError("a view is rendered by a pinhole camera; give intrinsics without distortion")
    if normals_frame not in ("camera", "base"):
        raise ValueError(f"normals_frame is {normals_frame!r}; it is 'camera' or 'base'")
    for n in np.flatnonzero(~_surely_rigid(T)):
        check_rigid(T[n], f"T_base_cameras[{n}]")
    R = np.swapaxes(T[:, :3, :3], 1, 2) if normals_frame == "camera" else np.broadcast_to(np.eye(3), (len(T), 3, 3))
    raw = volume.render(T, intrinsics, float(near_m), float(far_m), R, want_normals)
    return Views(raw.depth_m, raw.status, raw.rgb, raw.normals)


def _surely_rigid(T: Array) -> NDArray[np.bool_]:
    """Which of the poses [N, 4, 4] are rigid beyond doubt; the others are looked at one by one, which takes longer."""
    R = T[:, :3, :3]
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity compare as false
        off = np.abs(R @ R.swapaxes(1, 2) - np.eye(3)).max(axis=(1, 2))
        is_turned = (off < 1e-9) & (np.linalg.det(R) > 0.0)
    return is_turned & np.isfinite(T).all(axis=(1, 2)) & (T[:, 3] == (0.0, 0.0, 0.0, 1.0)).all(axis=1)
