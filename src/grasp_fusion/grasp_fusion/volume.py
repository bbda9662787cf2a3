# SPDX-License-Identifier: Apache-2.0
"""The truncated signed distance volume: what it refuses, and what every back end stores."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from grasp_core.camera import CameraFrame, Intrinsics
from grasp_core.geometry import Array, check_rigid, difference, invert
from grasp_fusion.config import TsdfConfig

# Two poses taken at the same moment may differ this much without a jump: noise of joints and of the calibration.
POSE_SLACK_M = 0.02
POSE_SLACK_RAD = 0.1


class FusionError(ValueError):
    """A frame was refused; the volume is as it was before."""


class InvalidFrameError(FusionError):
    """The frame lacks depth or colour, or its images are distorted."""


class StaleFrameError(FusionError):
    """The frame is older than the newest that was integrated."""


class PoseJumpError(FusionError):
    """The camera cannot have moved this far since its last frame."""


@dataclass(frozen=True)
class RawViews:
    """What a back end renders; see grasp_fusion.render.Views for the meaning."""

    rgb: NDArray[np.uint8] | None
    depth_m: NDArray[np.float32]
    normals: NDArray[np.float32] | None
    status: NDArray[np.uint8]


class Backend(Protocol):
    """Where the voxels are kept and worked on."""

    def integrate(
        self, depth_m: NDArray[np.float32], rgb: NDArray[np.uint8] | None, A: Array, camera: Intrinsics
    ) -> None:
        """Fuse a depth image [H, W]; ``A`` [3, 4] maps voxel indices into the camera's frame (m)."""

    def render(
        self, origins: Array, bases: Array, R: Array, camera: Intrinsics, near: float, far: float, want_normals: bool
    ) -> RawViews:
        """Cast rays; arguments as in ``raycast_kernels.render``."""

    def reset(self) -> None:
        """Forget everything."""

    def tsdf(self) -> NDArray[np.float32]:
        """Signed distance over truncation, float32 [X, Y, Z], NaN where unobserved. Read it, do not change it."""

    def colour(self) -> NDArray[np.uint16] | None:
        """Red, green, blue in 1/256 level and number of observations, uint16 [X, Y, Z, 4], or none."""


def make_backend(config: TsdfConfig) -> Backend:
    """The back end that the configuration names; torch is imported only if it is named."""
    if config.backend == "torch":
        from grasp_fusion.torch_backend import TorchBackend

        return TorchBackend(config)
    from grasp_fusion.numba_backend import NumbaBackend

    return NumbaBackend(config)


class TsdfVolume:
    """Voxels of signed distance and colour in the robot's base frame, fused from depth images.

    A voxel of a distance within the truncation around a surface holds that distance, one in seen free space holds +1,
    one that no camera has seen stays unobserved (NaN). Free space in front of surfaces is fused as well, so that what
    moved away disappears. Distances are projective: along the camera's optical axis. Any number of threads may use a
    volume; one at a time gets it.

    Source: Grasping in the Wild, section V-A (5 mm voxels, exponential moving average with alpha 0.8).
    """

    def __init__(self, config: TsdfConfig) -> None:
        self.config = config
        self._backend = make_backend(config)
        self._changed = threading.Condition()
        self._newest_ns: int | None = None
        self._last_pose: dict[str, tuple[int, Array]] = {}
        self._frames = 0

    @property
    def T_base_volume(self) -> Array:
        """Pose of the volume's frame: axes of the base, origin at the centre of voxel (0, 0, 0)."""
        T = np.eye(4)
        T[:3, 3] = np.asarray(self.config.origin_m) + 0.5 * self.config.voxel_m
        return T

    @property
    def frames(self) -> int:
        """Frames integrated since the last reset."""
        return self._frames

    @property
    def newest_ns(self) -> int | None:
        """Stamp of the newest frame integrated, or none."""
        return self._newest_ns

    def integrate(self, frame: CameraFrame, camera: str = "camera") -> None:
        """Fuse one frame, wholly or not at all.

        Args:
            frame: rectified depth (and colour), pose in the base frame, stamp.
            camera: name of the camera that took it, to tell a jump of one camera from a second camera.

        Raises:
            InvalidFrameError: no depth, no colour in a volume with colour, or lens distortion not removed.
            StaleFrameError: older than the newest frame integrated.
            PoseJumpError: farther from this camera's last pose than it can have moved since.
            NotRigidError: the pose is no rigid transform.
        """
        depth, rgb = self._images(frame)
        T_base_camera = check_rigid(frame.T_base_camera, "T_base_camera")
        T_camera_index = invert(T_base_camera) @ self._T_base_index()
        with self._changed:
            self._check_time_and_pose(frame.stamp_ns, T_base_camera, camera)
            self._backend.integrate(depth, rgb, np.ascontiguousarray(T_camera_index[:3]), frame.intrinsics)
            self._newest_ns = frame.stamp_ns
            self._last_pose[camera] = (frame.stamp_ns, T_base_camera.copy())
            self._frames += 1
            self._changed.notify_all()

    def wait_for(self, stamp_ns: int, timeout_s: float) -> bool:
        """Wait until a frame at least as new as ``stamp_ns`` is integrated; false when the time runs out."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._newest_ns is not None and self._newest_ns >= stamp_ns, timeout_s
            )

    def reset(self) -> None:
        """Forget all observations, stamps and poses."""
        with self._changed:
            self._backend.reset()
            self._newest_ns = None
            self._last_pose.clear()
            self._frames = 0

    def warm_up(self) -> float:
        """Compile what the first frame and the first view need, without touching the voxels; seconds it took."""
        started = time.perf_counter()
        small = self.config.with_values(size_m=(8 * self.config.voxel_m,) * 3)
        backend = make_backend(small)
        camera = Intrinsics.from_fov(8, 8, 1.0)
        rgb = np.zeros((8, 8, 3), np.uint8) if self.config.colour else None
        backend.integrate(np.ones((8, 8), np.float32), rgb, np.eye(3, 4), camera)
        one = np.eye(3)[None]
        backend.render(np.zeros((1, 3)), one, one, camera, 0.1, 1.0, True)
        return time.perf_counter() - started

    def render(
        self, T_base_cameras: Array, camera: Intrinsics, near: float, far: float, R: Array, want_normals: bool
    ) -> RawViews:
        """Cast the rays of N views; use ``grasp_fusion.render.render_views``, which checks its arguments."""
        T = np.asarray(T_base_cameras, dtype=np.float64)
        origins = (T[:, :3, 3] - self.T_base_volume[:3, 3]) / self.config.voxel_m
        bases = np.ascontiguousarray(T[:, :3, :3] / self.config.voxel_m)
        with self._changed:
            return self._backend.render(origins, bases, np.ascontiguousarray(R), camera, near, far, want_normals)

    def snapshot(self) -> tuple[NDArray[np.float32], NDArray[np.uint16] | None, int | None]:
        """Copies of distances and colours as the back ends store them (see Backend), and the number of CPU threads."""
        with self._changed:
            colour = self._backend.colour()
            return self._backend.tsdf().copy(), None if colour is None else colour.copy(), self.config.threads

    def tsdf(self) -> NDArray[np.float32]:
        """A copy of the signed distances over the truncation [X, Y, Z]; NaN where unobserved."""
        with self._changed:
            return np.array(self._backend.tsdf())

    def colours(self) -> NDArray[np.uint8] | None:
        """A copy of the colours, uint8 [X, Y, Z, 3], black where there is none; none for a volume without."""
        with self._changed:
            colour = self._backend.colour()
            return None if colour is None else ((colour[..., :3].astype(np.uint32) + 128) >> 8).astype(np.uint8)

    def _T_base_index(self) -> Array:
        T = self.T_base_volume
        T[:3, :3] *= self.config.voxel_m
        return T

    def _images(self, frame: CameraFrame) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None]:
        if frame.depth_m is None:
            raise InvalidFrameError("the frame carries no depth; a volume is fused from depth")
        if any(frame.intrinsics.distortion):
            raise InvalidFrameError("the images are distorted; rectify them first (grasp_fusion.rectify)")
        if not self.config.colour:
            return np.ascontiguousarray(frame.depth_m), None
        if frame.rgb is None:
            raise InvalidFrameError("the frame carries no colour, the volume keeps colours; make it with colour: false")
        return np.ascontiguousarray(frame.depth_m), np.ascontiguousarray(frame.rgb)

    def _check_time_and_pose(self, stamp_ns: int, T_base_camera: Array, camera: str) -> None:
        if self._newest_ns is not None and stamp_ns < self._newest_ns:
            late_ms = (self._newest_ns - stamp_ns) / 1e6
            raise StaleFrameError(
                f"the frame of {camera} is {late_ms:.1f} ms older than the newest integrated; reset the volume if time "
                f"was set back"
            )
        if camera not in self._last_pose:
            return
        last_ns, T_base_last = self._last_pose[camera]
        elapsed_s = (stamp_ns - last_ns) / 1e9
        moved_m, turned_rad = difference(T_base_last, T_base_camera)
        for amount, speed, slack, unit in (
            (moved_m, self.config.max_camera_speed_m_s, POSE_SLACK_M, "m"),
            (turned_rad, self.config.max_camera_turn_rad_s, POSE_SLACK_RAD, "rad"),
        ):
            if speed is not None and amount > slack + speed * elapsed_s:
                raise PoseJumpError(
                    f"the pose of {camera} jumped by {amount:.3f} {unit} in {1e3 * elapsed_s:.1f} ms; at most "
                    f"{slack + speed * elapsed_s:.3f} {unit} are possible at {speed} {unit}/s"
                )
