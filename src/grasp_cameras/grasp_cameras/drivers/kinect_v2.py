# SPDX-License-Identifier: Apache-2.0
"""Kinect v2 (Kinect for Xbox One) through pylibfreenect2. Not run on hardware: tested against a stand-in.

Depth is 512 x 424 float millimetres, colour 1920 x 1080; libfreenect2's registration gives depth without distortion and
depth in colour's pixels. Stamps count 0.1 ms of the device's clock.
"""

from __future__ import annotations

import threading
import time
from typing import Any, ClassVar, Literal

import numpy as np

from grasp_cameras.driver import CameraError, Capabilities, Clock, RawFrame, ReadTimeoutError, import_sdk
from grasp_core.camera import Intrinsics
from grasp_core.config import Config

_COLOR = (1920, 1080)
_DEPTH = (512, 424)
_TICK_NS = 100_000
_POLL_S = 0.002


class KinectV2Options(Config):
    """Which Kinect v2, and who decodes its depth."""

    serial: str = ""
    """Serial number; empty takes the first device."""
    pipeline: Literal["opengl", "opencl", "cpu"] = "opengl"
    """Where depth is decoded; cpu reaches about 15 frames a second."""
    align: bool = True
    """Also give depth in colour's pixels."""


class KinectV2:
    """One Kinect v2."""

    Options: ClassVar[type[Config]] = KinectV2Options

    def __init__(self, options: KinectV2Options) -> None:
        self._sdk = import_sdk("pylibfreenect2", "Kinect v2", "build libfreenect2 and install pylibfreenect2")
        self._options = options
        self._device: Any = None
        self._closed = threading.Event()

    @property
    def capabilities(self) -> Capabilities:
        """Colour and depth at 30 Hz."""
        return Capabilities(True, True, self._options.align, True, rate_hz=30.0)

    def open(self) -> None:
        """Open the device and start its streams."""
        self.close()
        sdk, o = self._sdk, self._options
        name = {"opengl": "OpenGLPacketPipeline", "opencl": "OpenCLPacketPipeline", "cpu": "CpuPacketPipeline"}[
            o.pipeline
        ]
        if not hasattr(sdk, name):
            raise CameraError(f"this pylibfreenect2 was built without {name}; set pipeline to another")
        self._freenect = sdk.Freenect2()
        count = self._freenect.enumerateDevices()
        # pylibfreenect2 gives bytes where the C++ library gives a string.
        serials = [_text(self._freenect.getDeviceSerialNumber(i)) for i in range(count)]
        if not serials or (o.serial and o.serial not in serials):
            raise CameraError(f"no Kinect v2 {o.serial}; connected: {', '.join(serials) or 'none'}".replace("  ", " "))
        serial = o.serial or serials[0]
        self._device = self._freenect.openDevice(serial.encode(), pipeline=getattr(sdk, name)())
        self._listener = sdk.SyncMultiFrameListener(sdk.FrameType.Color | sdk.FrameType.Depth)
        self._device.setColorFrameListener(self._listener)
        self._device.setIrAndDepthFrameListener(self._listener)
        self._device.start()
        # The parameters come from the device once it streams.
        ir, color = self._device.getIrCameraParams(), self._device.getColorCameraParams()
        self._registration = sdk.Registration(ir, color)
        self._undistorted = sdk.Frame(*_DEPTH, 4)
        self._registered = sdk.Frame(*_DEPTH, 4)
        self._big = sdk.Frame(_COLOR[0], _COLOR[1] + 2, 4)  # libfreenect2 adds a blank row above and below
        self._depth_camera = Intrinsics(*_DEPTH, ir.fx, ir.fy, ir.cx, ir.cy)
        self._color_camera = Intrinsics(*_COLOR, color.fx, color.fy, color.cx, color.cy)
        self._closed.clear()

    def close(self) -> None:
        """Stop and release the device."""
        self._closed.set()
        if self._device is not None:
            device, self._device = self._device, None
            device.stop()
            device.close()

    def read(self, timeout_s: float) -> RawFrame:
        """The next pair of pictures.

        The binding's own wait has no time-out and would hang for ever on a device that was unplugged, so it is asked
        every 2 ms whether there is a frame.
        """
        if self._device is None:
            raise CameraError("the Kinect v2 is not open")
        end = time.monotonic() + timeout_s
        while not self._listener.hasNewFrame():
            if time.monotonic() > end or self._closed.wait(_POLL_S):
                if self._freenect.enumerateDevices() == 0:
                    raise CameraError("the Kinect v2 was unplugged")
                raise ReadTimeoutError(f"no frame of the Kinect v2 in {timeout_s:g} s")
        frames = self._listener.waitForNewFrame()
        try:
            return self._convert(frames["color"], frames["depth"])
        finally:
            self._listener.release(frames)

    def _convert(self, color: Any, depth: Any) -> RawFrame:
        align = self._options.align
        if align:
            self._registration.apply(color, depth, self._undistorted, self._registered, bigdepth=self._big)
        else:
            self._registration.undistortDepth(depth, self._undistorted)
        # The frames' memory is the library's and is reused: copy. Colour is BGRX, depth float millimetres.
        metres = self._undistorted.asarray(np.float32) * np.float32(0.001)
        big = self._big.asarray(np.float32)[1:-1] * np.float32(0.001) if align else None
        return RawFrame(
            stamp_ns=int(color.timestamp) * _TICK_NS,
            clock=Clock.DEVICE,
            rgb=np.ascontiguousarray(color.asarray(np.uint8)[..., 2::-1]),
            depth=metres,
            color_intrinsics=self._color_camera,
            depth_intrinsics=self._depth_camera,
            aligned_depth=big,
            sequence=int(color.sequence),
        )


def _text(serial: bytes | str) -> str:
    return serial.decode() if isinstance(serial, bytes) else serial
