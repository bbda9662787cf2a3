# SPDX-License-Identifier: Apache-2.0
"""The pinhole camera and one picture taken with it.

Camera frames are optical frames (REP-103): z forward, x right, y down. Pixel (0, 0) is the centre of the upper left
pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from grasp_core.geometry import Array, apply, check_rigid

Rgb = NDArray[np.uint8]
Depth = NDArray[np.float32]


class FrameError(ValueError):
    """A picture or its description cannot be used; the message says which part and why."""


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera: image size in pixels, focal lengths and principal point in pixels.

    Distortion follows OpenCV's order (k1, k2, p1, p2, k3, ...), ROS' ``plumb_bob`` for five values; empty means none.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise FrameError(f"image size {self.width} x {self.height} is empty")
        for name in ("fx", "fy"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0.0):
                raise FrameError(f"{name} is {getattr(self, name)}; a focal length is positive")
        if not np.isfinite([self.cx, self.cy, *self.distortion]).all():
            raise FrameError("the principal point or the distortion is not finite")
        if len(self.distortion) not in (0, 4, 5, 8, 12, 14):
            raise FrameError(f"{len(self.distortion)} distortion values; OpenCV knows 0, 4, 5, 8, 12 or 14")

    @classmethod
    def from_fov(cls, width: int, height: int, fov_y: float) -> Intrinsics:
        """Square pixels, centred principal point, vertical field of view ``fov_y`` in radians."""
        f = 0.5 * height / np.tan(0.5 * fov_y)
        return cls(width, height, f, f, 0.5 * (width - 1), 0.5 * (height - 1))

    @classmethod
    def from_matrix(cls, K: ArrayLike, width: int, height: int, distortion: tuple[float, ...] = ()) -> Intrinsics:
        """From a camera matrix K [3, 3] in pixels."""
        M = np.asarray(K, dtype=np.float64)
        if M.shape != (3, 3):
            raise FrameError(f"K has shape {M.shape}; it is [3, 3]")
        return cls(width, height, M[0, 0], M[1, 1], M[0, 2], M[1, 2], distortion)

    @property
    def K(self) -> Array:
        """Camera matrix [3, 3], pixels."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    @property
    def fov_y(self) -> float:
        """Vertical field of view, radians, over the whole height of the image."""
        upper = np.arctan((self.cy + 0.5) / self.fy)
        return float(upper + np.arctan((self.height - 0.5 - self.cy) / self.fy))

    def scaled(self, width: int, height: int) -> Intrinsics:
        """The same camera with the image resized to ``width`` x ``height``."""
        sx, sy = width / self.width, height / self.height
        cx, cy = (self.cx + 0.5) * sx - 0.5, (self.cy + 0.5) * sy - 0.5
        return Intrinsics(width, height, self.fx * sx, self.fy * sy, cx, cy, self.distortion)

    def cropped(self, left: int, top: int, width: int, height: int) -> Intrinsics:
        """The same camera with the image cut to the window at (left, top)."""
        return Intrinsics(width, height, self.fx, self.fy, self.cx - left, self.cy - top, self.distortion)

    def project(self, points_camera: ArrayLike) -> Array:
        """Pixels u, v [..., 2] of points [..., 3] in the optical frame, without distortion; NaN behind the camera."""
        p = np.asarray(points_camera, dtype=np.float64)
        z = np.where(p[..., 2] > 0.0, p[..., 2], np.nan)
        return np.stack([self.fx * p[..., 0] / z + self.cx, self.fy * p[..., 1] / z + self.cy], axis=-1)

    def deproject(self, depth_m: ArrayLike) -> Array:
        """Points [H, W, 3] in the optical frame of a depth image [H, W]; NaN depth gives NaN points."""
        d = np.asarray(depth_m, dtype=np.float64)
        if d.shape != (self.height, self.width):
            raise FrameError(f"depth has shape {d.shape}, the camera {self.height} x {self.width}")
        u, v = np.meshgrid(np.arange(self.width), np.arange(self.height))
        return np.stack([(u - self.cx) / self.fx * d, (v - self.cy) / self.fy * d, d], axis=-1)


@dataclass(frozen=True)
class CameraFrame:
    """One picture: colour and depth seen from the same optical frame at the same moment.

    Attributes:
        intrinsics: the camera of both images.
        T_base_camera: pose of the optical frame in the robot's base frame [4, 4].
        stamp_ns: time of capture, nanoseconds.
        rgb: uint8 [H, W, 3] or none where the camera has no colour.
        depth_m: float32 [H, W] along the optical axis, NaN where invalid, or none where the camera has no depth.
    """

    intrinsics: Intrinsics
    T_base_camera: Array
    stamp_ns: int
    rgb: Rgb | None = field(default=None, repr=False)
    depth_m: Depth | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_rigid(self.T_base_camera, "T_base_camera")
        size = (self.intrinsics.height, self.intrinsics.width)
        if self.rgb is not None and (self.rgb.shape != (*size, 3) or self.rgb.dtype != np.uint8):
            raise FrameError(f"rgb is {self.rgb.dtype} {self.rgb.shape}; expected uint8 {(*size, 3)}")
        if self.depth_m is not None and (self.depth_m.shape != size or self.depth_m.dtype != np.float32):
            raise FrameError(f"depth_m is {self.depth_m.dtype} {self.depth_m.shape}; expected float32 {size}")

    @property
    def K(self) -> Array:
        """Camera matrix [3, 3], pixels."""
        return self.intrinsics.K

    def points_base(self) -> Array:
        """Points [H, W, 3] of the depth image in the base frame; NaN where invalid.

        Raises:
            FrameError: the frame has no depth.
        """
        if self.depth_m is None:
            raise FrameError("this frame carries no depth")
        return apply(self.T_base_camera, self.intrinsics.deproject(self.depth_m))


def depth_to_metres(raw: NDArray[np.generic], scale_m: float = 0.001, invalid: tuple[int, ...] = (0, 65535)) -> Depth:
    """Depth image in metres, NaN where invalid, from a camera's raw image.

    Integer images are multiplied by ``scale_m`` and ``invalid`` raw values become NaN; float images are already metres
    (REP-118), their zero, negative and infinite values become NaN.

    Raises:
        FrameError: the image is not two-dimensional or of another type.
    """
    if raw.ndim != 2:
        raise FrameError(f"a depth image is [H, W]; this one is {raw.shape}")
    if np.issubdtype(raw.dtype, np.integer):
        depth = raw.astype(np.float32) * np.float32(scale_m)
        depth[np.isin(raw, invalid)] = np.nan
        return depth
    if np.issubdtype(raw.dtype, np.floating):
        depth = raw.astype(np.float32)
        depth[~(np.isfinite(depth) & (depth > 0.0))] = np.nan
        return depth
    raise FrameError(f"a depth image of {raw.dtype} is not understood; give integers or metres as float")
