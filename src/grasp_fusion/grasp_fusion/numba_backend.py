# SPDX-License-Identifier: Apache-2.0
"""Voxels in main memory, worked on by all CPU cores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from grasp_core.camera import Intrinsics
from grasp_core.geometry import Array
from grasp_fusion import integrate_kernels, raycast_kernels
from grasp_fusion.config import TsdfConfig
from grasp_fusion.jit import CORES, threads
from grasp_fusion.volume import RawViews


class NumbaBackend:
    """The CPU back end; ``config.threads`` bounds its cores. See grasp_fusion.volume.Backend."""

    def __init__(self, config: TsdfConfig) -> None:
        self._config = config
        shape = config.shape
        self._tsdf = np.full(shape, np.nan, dtype=np.float32)
        self._weight = np.zeros(shape if config.mode == "mean" else (1, 1, 1), dtype=np.uint16)
        self._colour = np.zeros((*(shape if config.colour else (2, 2, 2)), 4), dtype=np.uint16)
        self._blocks = np.zeros([(n - 1 >> raycast_kernels.BLOCK_BITS) + 1 for n in shape], dtype=np.uint16)
        self._blocks_are_current = False
        self._threads = min(config.threads or CORES, CORES)
        self._pixels = np.zeros((self._threads, shape[2]), dtype=np.int32)
        self._taken = np.zeros(1, dtype=np.int64)
        self._no_rgb = np.zeros((1, 3), dtype=np.uint8)

    def integrate(
        self, depth_m: NDArray[np.float32], rgb: NDArray[np.uint8] | None, A: Array, camera: Intrinsics
    ) -> None:
        """Fuse a depth image."""
        c = self._config
        lens = (float(camera.fx), float(camera.fy), float(camera.cx), float(camera.cy))
        pinhole = (int(camera.width), int(camera.height), *lens)
        with threads(self._threads):
            integrate_kernels.integrate(
                self._tsdf, self._weight, self._colour,
                depth_m.reshape(-1), self._no_rgb if rgb is None else rgb.reshape(-1, 3), A, pinhole,
                c.min_depth_m, c.max_depth_m, c.truncation, c.alpha, c.max_weight, c.mode == "mean", rgb is not None,
                self._pixels, self._taken,
            )  # fmt: skip
        self._blocks_are_current = False

    def render(
        self, origins: Array, bases: Array, R: Array, camera: Intrinsics, near: float, far: float, want_normals: bool
    ) -> RawViews:
        """Cast the rays of N views."""
        shape = (len(origins), camera.height, camera.width)
        has_colour = self._config.colour
        rgb = np.empty((*shape, 3) if has_colour else (1, 1, 1, 3), dtype=np.uint8)
        depth = np.empty(shape, dtype=np.float32)
        normals = np.empty((*shape, 3) if want_normals else (1, 1, 1, 3), dtype=np.float32)
        status = np.empty(shape, dtype=np.uint8)
        pinhole = (float(camera.fx), float(camera.fy), float(camera.cx), float(camera.cy))
        with threads(self._threads):
            if not self._blocks_are_current:
                raycast_kernels.fill_blocks(self._tsdf, self._blocks)
                raycast_kernels.add_reach(self._blocks)
                self._blocks_are_current = True
            raycast_kernels.render(
                self._tsdf, self._colour, self._blocks, origins, bases, R, pinhole, near, far,
                self._config.truncation / self._config.voxel_m, has_colour, want_normals,
                rgb, depth, normals, status, self._threads, self._taken,
            )  # fmt: skip
        return RawViews(rgb if has_colour else None, depth, normals if want_normals else None, status)

    def reset(self) -> None:
        """Forget everything."""
        self._tsdf.fill(np.nan)
        self._weight.fill(0)
        self._colour.fill(0)
        self._blocks_are_current = False

    def tsdf(self) -> NDArray[np.float32]:
        """The distances themselves."""
        return self._tsdf

    def colour(self) -> NDArray[np.uint16] | None:
        """The colours themselves, or none."""
        return self._colour if self._config.colour else None
