# SPDX-License-Identifier: Apache-2.0
"""What the encoding names of image messages mean, and how pixels get from one to another; no ROS in here."""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2
import numpy as np

GENERIC = re.compile(r"(8U|8S|16U|16S|32S|32F|64F)(?:C(\d+))?")
DTYPE_BY_DEPTH = {
    "8U": "uint8",
    "8S": "int8",
    "16U": "uint16",
    "16S": "int16",
    "32S": "int32",
    "32F": "float32",
    "64F": "float64",
}
DEPTH_BY_DTYPE = {dtype: depth for depth, dtype in DTYPE_BY_DEPTH.items()}
# OpenCV packs the number of channels into the type: CV_CN_MAX.
MAX_CHANNELS = 512

# A message's pattern begins at the first pixel, OpenCV's at the second pixel of the second row.
_BAYER = {"bayer_rggb": "BayerBG", "bayer_bggr": "BayerRG", "bayer_gbrg": "BayerGR", "bayer_grbg": "BayerGB"}
_YUV = {"yuv422": "UYVY", "uyvy": "UYVY", "yuv422_yuy2": "YUY2", "yuyv": "YUY2"}
_CHANNELS = {"mono": 1, "rgb": 3, "bgr": 3, "rgba": 4, "bgra": 4}
_REFUSED = ("nv12", "nv21", "nv24", "nv61", "nv16", "yuv420")


class CvBridgeError(TypeError):
    """An image cannot be converted; the text names its encoding and size and what was expected."""


@dataclass(frozen=True)
class Encoding:
    """The layout of a pixel.

    Attributes:
        name: as in the message.
        colour: rgb, bgr, rgba, bgra, mono, one of the bayer and yuv names, or empty for numbers without a colour.
        depth: OpenCV's name of the type of a channel, 8U for example.
        channels: how many.
    """

    name: str
    colour: str
    depth: str
    channels: int

    @property
    def dtype(self) -> np.dtype:
        """Type of a channel in this machine's byte order."""
        return np.dtype(DTYPE_BY_DEPTH[self.depth])

    @property
    def cv_type(self) -> int:
        """OpenCV's number for the layout (CV_8UC3 and so on)."""
        return getattr(cv2, f"CV_{self.depth}") + ((self.channels - 1) << 3)


def parse(name: str) -> Encoding:
    """The layout behind a name; CvBridgeError if it is not known."""
    if name in _YUV:
        return Encoding(name, name, "8U", 2)
    if match := re.fullmatch(r"(\w+?)(8|16)", name):
        colour, bits = match.groups()
        if colour in _CHANNELS or colour in _BAYER:
            return Encoding(name, colour, f"{bits}U", _CHANNELS.get(colour, 1))
    if match := GENERIC.fullmatch(name):
        channels = int(match[2] or 1)
        if 1 <= channels <= MAX_CHANNELS:
            return Encoding(name, "", match[1], channels)
    if name in _REFUSED:
        raise CvBridgeError(
            f"encoding '{name}' (planes instead of pixels) is not part of this stand-in, only of upstream"
        )
    raise CvBridgeError(
        f"unknown encoding '{name}'; known are rgb, bgr, rgba, bgra, mono and bayer_* with 8 or 16 bits, "
        f"{', '.join(_YUV)}, and numbers like 8UC3, 16UC1 or 32FC1"
    )


def of_array(image: np.ndarray) -> Encoding:
    """The layout of an array [H, W] or [H, W, C], named after its numbers (8UC3); else CvBridgeError."""
    if image.ndim not in (2, 3):
        raise CvBridgeError(f"an image has the shape [H, W] or [H, W, C], not {image.shape}")
    depth = DEPTH_BY_DTYPE.get(image.dtype.name)
    if depth is None:
        raise CvBridgeError(
            f"pixels of type {image.dtype.name} are not supported; known are {', '.join(DEPTH_BY_DTYPE)}"
        )
    return parse(f"{depth}C{1 if image.ndim == 2 else image.shape[2]}")


def convert(image: np.ndarray, before: Encoding, after: Encoding) -> np.ndarray:
    """The same picture in another encoding; the very same array if nothing is to be done.

    Between 8 and 16 bits values are scaled (255 becomes 65535); other changes of type keep the value.

    Raises:
        CvBridgeError: there is no such conversion, as upstream sees it: numbers do not become colours.
    """
    if before.colour != after.colour:
        if not before.colour or not after.colour:
            if after.colour:
                raise CvBridgeError(
                    f"'{before.name}' holds numbers without a colour, so it cannot become '{after.name}'; "
                    "ask for passthrough and scale the values as the picture needs"
                )
            if before.channels != after.channels:
                raise CvBridgeError(
                    f"'{before.name}' has {before.channels} channels and '{after.name}' has {after.channels}"
                )
        else:
            image = cv2.cvtColor(image, _colour_code(before, after))
    elif before.channels != after.channels:
        raise CvBridgeError(f"'{before.name}' has {before.channels} channels and '{after.name}' has {after.channels}")
    return _change_depth(image, before.depth, after.depth)


def _colour_code(before: Encoding, after: Encoding) -> int:
    """OpenCV's code for a change between two colour encodings."""
    if before.colour in _BAYER and after.colour in _CHANNELS:
        name = f"COLOR_{_BAYER[before.colour]}2{_cv_name(after.colour)}"
    elif before.colour in _YUV and after.colour in _CHANNELS:
        name = f"COLOR_YUV2{_cv_name(after.colour)}_{_YUV[before.colour]}"
    else:
        name = f"COLOR_{_cv_name(before.colour)}2{_cv_name(after.colour)}"
    code = getattr(cv2, name, None)
    if code is None:
        raise CvBridgeError(f"there is no conversion from '{before.name}' to '{after.name}'")
    return code


def _cv_name(colour: str) -> str:
    return "GRAY" if colour == "mono" else colour.upper()


def _change_depth(image: np.ndarray, before: str, after: str) -> np.ndarray:
    if before == after:
        return image
    if (before, after) == ("8U", "16U"):
        return image.astype(np.uint16) * np.uint16(257)
    if (before, after) == ("16U", "8U"):
        return np.rint(image * (255 / 65535)).astype(np.uint8)
    dtype = np.dtype(DTYPE_BY_DEPTH[after])
    if dtype.kind == "f":
        return image.astype(dtype)
    # Whole numbers saturate as OpenCV's do; what is not a number becomes zero.
    limits = np.iinfo(dtype)
    return np.clip(np.nan_to_num(np.rint(image)), limits.min, limits.max).astype(dtype)
