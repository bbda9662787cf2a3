# SPDX-License-Identifier: Apache-2.0
"""Removing lens distortion from pictures, with the maps made once a camera."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from grasp_core.camera import CameraFrame, Intrinsics


class Rectifier:
    """Turns distorted frames into frames of a pinhole camera with the same matrix; others pass unchanged."""

    def __init__(self) -> None:
        self._intrinsics: Intrinsics | None = None
        self._maps: tuple[Any, Any] | None = None

    def __call__(self, frame: CameraFrame) -> CameraFrame:
        """The rectified frame; depth is taken from the nearest pixel, NaN where the lens saw nothing."""
        c = frame.intrinsics
        if not any(c.distortion):
            return frame
        if c != self._intrinsics or self._maps is None:
            self._maps = cv2.initUndistortRectifyMap(
                c.K, np.array(c.distortion), np.eye(3), c.K, (c.width, c.height), cv2.CV_32FC1
            )
            self._intrinsics = c
        across, down = self._maps
        rgb, depth = frame.rgb, frame.depth_m
        if rgb is not None:
            rgb = cv2.remap(rgb, across, down, cv2.INTER_LINEAR)
        if depth is not None:
            depth = cv2.remap(depth, across, down, cv2.INTER_NEAREST, None, cv2.BORDER_CONSTANT, (float("nan"),))
        return replace(frame, intrinsics=replace(c, distortion=()), rgb=rgb, depth_m=depth)
