# SPDX-License-Identifier: Apache-2.0
"""Any USB video class camera, video file or network stream that OpenCV opens. Colour only.

Such a camera does not know its own lens: without ``fov_y`` or a calibration file its frames carry no intrinsics.
"""

from __future__ import annotations

import sys
import time
from typing import Annotated, ClassVar

import cv2
import numpy as np
from pydantic import Field

from grasp_cameras.driver import CameraError, Capabilities, Clock, EndOfRecordingError, RawFrame
from grasp_cameras.pacing import Pacer
from grasp_core.camera import Intrinsics
from grasp_core.config import Config


class UvcOptions(Config):
    """Which video source, and the format asked of it."""

    device: int | str = 0
    """Number of the camera, its path (/dev/video0), a video file or a URL."""
    width: Annotated[int, Field(ge=8, le=8192)] = 640
    height: Annotated[int, Field(ge=8, le=8192)] = 480
    rate_hz: Annotated[float, Field(gt=0.0, le=300.0)] = 30.0
    fourcc: Annotated[str, Field(pattern="^(.{4})?$")] = ""
    """Pixel format on the wire ("MJPG", "YUYV"); empty leaves the camera's own."""
    fov_y: Annotated[float, Field(gt=0.0, lt=3.0)] | None = None
    """Nominal vertical field of view, rad, from the data sheet; stands in for a calibration."""
    loop: bool = True
    """Start a video file anew at its end."""


class Uvc:
    """A camera behind ``cv2.VideoCapture``."""

    Options: ClassVar[type[Config]] = UvcOptions

    def __init__(self, options: UvcOptions) -> None:
        self._options = options
        self._capture: cv2.VideoCapture | None = None
        self._pacer = Pacer()
        self._is_file = False
        self._size = (0, 0)

    @property
    def capabilities(self) -> Capabilities:
        """Colour only."""
        return Capabilities(True, False, False, not self._is_file, rate_hz=self._options.rate_hz)

    def open(self) -> None:
        """Open the source and ask for the format."""
        self.close()
        o = self._options
        local = isinstance(o.device, int) or o.device.startswith("/dev/")
        backend = cv2.CAP_V4L2 if local and sys.platform == "linux" else cv2.CAP_ANY
        # Why it fails is told below, once; OpenCV would print lines of its own at every try.
        told = cv2.getLogLevel()
        cv2.setLogLevel(0)
        try:
            capture = cv2.VideoCapture(o.device, backend)
        finally:
            cv2.setLogLevel(told)
        if not capture.isOpened():
            capture.release()
            raise CameraError(f"the video source {o.device!r} cannot be opened; is it connected, and not in use?")
        # Only files have a length; V4L2 says -1, streams 0.
        self._is_file = not local and capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0
        if local:
            if o.fourcc:
                capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*o.fourcc))
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, o.width)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, o.height)
            capture.set(cv2.CAP_PROP_FPS, o.rate_hz)
            capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self._capture = capture
        self._size = (int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        if local and self._size != (o.width, o.height):
            self.close()
            raise CameraError(
                f"the camera {o.device!r} gives {self._size[0]} x {self._size[1]} pixels instead of {o.width} x "
                f"{o.height}; set width and height to a size that it has"
            )
        self._pacer.restart()

    def close(self) -> None:
        """Release the source."""
        self._pacer.close()
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def read(self, timeout_s: float) -> RawFrame:
        """The next picture. OpenCV itself bounds the wait for a camera (10 s), not ``timeout_s``."""
        capture = self._capture
        if capture is None:
            raise CameraError(f"the video source {self._options.device!r} is not open")
        ok, image = capture.read()
        if not ok and self._is_file:
            if not self._options.loop:
                raise EndOfRecordingError(f"the video {self._options.device} is over")
            capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            self._pacer.restart()
            ok, image = capture.read()
        if not ok or image is None:
            raise CameraError(f"the video source {self._options.device!r} gives no picture: unplugged, or broken")
        # V4L2: capture time on the monotonic clock. Files: position in the film. Others report nothing.
        position_ns = round(capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
        if self._is_file:
            self._pacer.wait(position_ns, max(timeout_s, 1.0 / self._options.rate_hz))
        known = self._is_file or position_ns > 0
        height, width = image.shape[:2]
        fov_y = self._options.fov_y
        conversion = cv2.COLOR_BGR2RGB if image.ndim == 3 else cv2.COLOR_GRAY2RGB
        return RawFrame(
            stamp_ns=position_ns if known else time.time_ns(),
            clock=Clock.DEVICE if known else Clock.SYSTEM,
            rgb=np.asarray(cv2.cvtColor(image, conversion), dtype=np.uint8),
            color_intrinsics=None if fov_y is None else Intrinsics.from_fov(width, height, fov_y),
        )
