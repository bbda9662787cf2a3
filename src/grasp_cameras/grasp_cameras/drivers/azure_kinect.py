# SPDX-License-Identifier: Apache-2.0
"""Azure Kinect DK through pyk4a (Microsoft's Sensor SDK behind it). Not run on hardware: tested against a stand-in.

Depth modes and ranges: Azure Kinect DK hardware specification. Depth is uint16 millimetres.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from grasp_cameras.driver import CameraError, Capabilities, Clock, RawFrame, ReadTimeoutError, import_sdk
from grasp_core.camera import FrameError, Intrinsics
from grasp_core.config import Config
from grasp_core.geometry import Array, transform

_COLOR_SIZES = {
    "RES_720P": (1280, 720),
    "RES_1080P": (1920, 1080),
    "RES_1440P": (2560, 1440),
    "RES_1536P": (2048, 1536),
    "RES_2160P": (3840, 2160),
    "RES_3072P": (4096, 3072),
}
_DEPTH_SIZES = {
    "NFOV_UNBINNED": (640, 576),
    "NFOV_2X2BINNED": (320, 288),
    "WFOV_2X2BINNED": (512, 512),
    "WFOV_UNBINNED": (1024, 1024),
}


class AzureKinectOptions(Config):
    """Which Azure Kinect and its modes, named as in the Sensor SDK."""

    serial: str = ""
    """Serial number; empty takes the first device."""
    color_resolution: Literal["RES_720P", "RES_1080P", "RES_1440P", "RES_1536P", "RES_2160P", "RES_3072P"] = "RES_720P"
    depth_mode: Literal["NFOV_UNBINNED", "NFOV_2X2BINNED", "WFOV_2X2BINNED", "WFOV_UNBINNED"] = "NFOV_UNBINNED"
    rate_hz: Literal[5, 15, 30] = 30
    align: bool = True
    """Have the SDK register depth to colour."""


class AzureKinect:
    """One Azure Kinect."""

    Options: ClassVar[type[Config]] = AzureKinectOptions

    def __init__(self, options: AzureKinectOptions) -> None:
        self._sdk = import_sdk("pyk4a", "Azure Kinect", "install Microsoft's Azure Kinect Sensor SDK 1.4 and pyk4a")
        self._options = options
        self._device: Any = None
        self._color: Intrinsics | None = None
        self._depth: Intrinsics | None = None
        self._T_color_depth: Array | None = None

    @property
    def capabilities(self) -> Capabilities:
        """Colour and depth."""
        return Capabilities(True, True, self._options.align, True, rate_hz=float(self._options.rate_hz))

    def open(self) -> None:
        """Open the device, start its cameras and read its calibration."""
        self.close()
        sdk, o = self._sdk, self._options
        if o.depth_mode == "WFOV_UNBINNED" and o.rate_hz == 30:
            raise CameraError("an Azure Kinect in depth mode WFOV_UNBINNED reaches 15 Hz; set rate_hz to 15 or 5")
        config = sdk.Config(
            color_resolution=getattr(sdk.ColorResolution, o.color_resolution),
            color_format=sdk.ImageFormat.COLOR_BGRA32,
            depth_mode=getattr(sdk.DepthMode, o.depth_mode),
            camera_fps=getattr(sdk.FPS, f"FPS_{o.rate_hz}"),
            synchronized_images_only=True,
        )
        device = self._find(config)
        try:
            device.start()
        except sdk.K4AException as error:
            raise CameraError(
                f"the Azure Kinect does not start: {error!r}; is it plugged into USB 3 and its power?"
            ) from error
        self._device = device
        types, calibration = sdk.CalibrationType, device.calibration
        self._color = _intrinsics(calibration, types.COLOR, _COLOR_SIZES[o.color_resolution])
        self._depth = _intrinsics(calibration, types.DEPTH, _DEPTH_SIZES[o.depth_mode])
        # The SDK maps points in millimetres; a metre along each axis and the origin give the whole transform.
        ends = np.array(
            [
                calibration.convert_3d_to_3d(tuple(p), types.DEPTH, types.COLOR)
                for p in ((0.0, 0.0, 0.0), (1000.0, 0.0, 0.0), (0.0, 1000.0, 0.0), (0.0, 0.0, 1000.0))
            ]
        )
        self._T_color_depth = transform(ends[0] * 1e-3, ((ends[1:] - ends[0]) * 1e-3).T)

    def _find(self, config: Any) -> Any:
        sdk, wanted = self._sdk, self._options.serial
        if not wanted:
            return sdk.PyK4A(config, device_id=0)
        serials = []
        for number in range(sdk.connected_device_count()):
            device = sdk.PyK4A(config, device_id=number)
            try:
                device.open()
                serials.append(device.serial)
                device.close()
            except sdk.K4AException:
                serials.append(f"(number {number} cannot be opened)")
                continue
            if serials[-1] == wanted:
                return sdk.PyK4A(config, device_id=number)
        raise CameraError(f"no Azure Kinect {wanted}; connected: {', '.join(serials) or 'none'}")

    def close(self) -> None:
        """Stop the cameras."""
        if self._device is not None:
            device, self._device = self._device, None
            device.stop()

    def read(self, timeout_s: float) -> RawFrame:
        """The next capture; stamps are the device's."""
        if self._device is None:
            raise CameraError("the Azure Kinect is not open")
        sdk = self._sdk
        try:
            capture = self._device.get_capture(timeout=max(1, int(timeout_s * 1000)))
            color, depth = capture.color, capture.depth
            aligned = capture.transformed_depth if self._options.align and color is not None else None
        except sdk.K4ATimeoutException as error:
            raise ReadTimeoutError(f"no frame of the Azure Kinect in {timeout_s:g} s") from error
        except sdk.K4AException as error:
            raise CameraError(f"the Azure Kinect is gone: {error!r}") from error
        if color is None and depth is None:
            raise FrameError("the Azure Kinect sent a capture without colour and depth")
        stamp_us = capture.color_timestamp_usec if color is not None else capture.depth_timestamp_usec
        return RawFrame(
            stamp_ns=int(stamp_us) * 1000,
            clock=Clock.DEVICE,
            rgb=None if color is None else np.ascontiguousarray(color[..., 2::-1]),
            depth=depth,
            color_intrinsics=self._color if color is not None else None,
            depth_intrinsics=self._depth if depth is not None else None,
            T_color_depth=self._T_color_depth,
            aligned_depth=aligned,
        )


def _intrinsics(calibration: Any, camera: Any, size: tuple[int, int]) -> Intrinsics:
    K = calibration.get_camera_matrix(camera)
    distortion = tuple(float(v) for v in np.ravel(calibration.get_distortion_coefficients(camera)))
    return Intrinsics.from_matrix(K, *size, distortion[:8])
