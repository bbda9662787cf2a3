# SPDX-License-Identifier: Apache-2.0
"""From the bytes of ROS image messages to arrays, without ROS: recordings and nodes read them alike."""

from __future__ import annotations

import sys
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from grasp_core.camera import FrameError, Intrinsics, Rgb

# Encoding: (element type, channels, conversion to RGB or none).
COLOR_ENCODINGS: dict[str, tuple[str, int, int | None]] = {
    "rgb8": ("u1", 3, None),
    "bgr8": ("u1", 3, cv2.COLOR_BGR2RGB),
    "rgba8": ("u1", 4, cv2.COLOR_RGBA2RGB),
    "bgra8": ("u1", 4, cv2.COLOR_BGRA2RGB),
    "8UC3": ("u1", 3, cv2.COLOR_BGR2RGB),  # cv_bridge's convention for unnamed channels
    "mono8": ("u1", 1, cv2.COLOR_GRAY2RGB),
    "8UC1": ("u1", 1, cv2.COLOR_GRAY2RGB),
    "yuv422_yuy2": ("u1", 2, cv2.COLOR_YUV2RGB_YUY2),
    "bayer_rggb8": ("u1", 1, cv2.COLOR_BayerRGGB2RGB),
    "bayer_bggr8": ("u1", 1, cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg8": ("u1", 1, cv2.COLOR_BayerGBRG2RGB),
    "bayer_grbg8": ("u1", 1, cv2.COLOR_BayerGRBG2RGB),
}
DEPTH_ENCODINGS: dict[str, tuple[str, int, int | None]] = {
    "16UC1": ("u2", 1, None),
    "mono16": ("u2", 1, None),
    "32FC1": ("f4", 1, None),
}


def decode_color(message: Any) -> Rgb:
    """RGB uint8 [H, W, 3] of a sensor_msgs/Image, or of any object with its fields.

    Raises:
        FrameError: another encoding, an empty image, or too few bytes.
    """
    image = _pixels(message, COLOR_ENCODINGS, "colour")
    conversion = COLOR_ENCODINGS[message.encoding][2]
    return image if conversion is None else np.asarray(cv2.cvtColor(image, conversion), dtype=np.uint8)


def decode_depth(message: Any) -> NDArray[Any]:
    """Depth [H, W] of a sensor_msgs/Image: uint16 (millimetres) or float32 (metres), REP 118.

    Raises:
        FrameError: another encoding, an empty image, or too few bytes.
    """
    return _pixels(message, DEPTH_ENCODINGS, "depth")


def decode_compressed(message: Any) -> Rgb:
    """RGB uint8 [H, W, 3] of a sensor_msgs/CompressedImage.

    Raises:
        FrameError: the bytes are no picture.
    """
    data = np.frombuffer(memoryview(message.data), dtype=np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise FrameError(f"a compressed image of {data.size} bytes, format {message.format!r}, cannot be decoded")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def decode_intrinsics(message: Any) -> Intrinsics | None:
    """The camera of a sensor_msgs/CameraInfo; none where it says that it is not calibrated (K[0] is 0).

    Raises:
        FrameError: values that no camera has.
    """
    k = list(message.k)
    if k[0] == 0.0:
        return None
    distortion = tuple(float(v) for v in message.d)
    if message.distortion_model not in ("", "plumb_bob", "rational_polynomial"):
        raise FrameError(f"distortion model {message.distortion_model!r}; known are plumb_bob and rational_polynomial")
    if not any(distortion):
        distortion = ()
    return Intrinsics(int(message.width), int(message.height), k[0], k[4], k[2], k[5], distortion)


def stamp_ns(stamp: Any) -> int:
    """Nanoseconds of a builtin_interfaces/Time or any object with its fields."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def _pixels(message: Any, encodings: dict[str, tuple[str, int, int | None]], kind: str) -> NDArray[Any]:
    height, width, encoding = int(message.height), int(message.width), message.encoding
    if encoding not in encodings:
        raise FrameError(f"a {kind} image has encoding {encoding!r}; known are {', '.join(encodings)}")
    if height == 0 or width == 0:
        raise FrameError(f"a {kind} image of {width} x {height} pixels is empty")
    code, channels, _ = encodings[encoding]
    dtype = np.dtype(code).newbyteorder(">" if message.is_bigendian else "<")
    row = width * channels * dtype.itemsize
    step = int(message.step) or row
    data = np.frombuffer(memoryview(message.data), dtype=np.uint8)
    if step < row or data.size < height * step:
        raise FrameError(
            f"a {width} x {height} {encoding} image needs rows of {row} bytes; it has step {step} and {data.size} bytes"
        )
    rows = data[: height * step].reshape(height, step)[:, :row]
    image = np.ascontiguousarray(rows).view(dtype).reshape((height, width) if channels == 1 else (height, width, -1))
    native = (dtype.byteorder in "=|") or (dtype.byteorder == ("<" if sys.byteorder == "little" else ">"))
    return image if native else image.astype(dtype.newbyteorder("="))
