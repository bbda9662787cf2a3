# SPDX-License-Identifier: Apache-2.0
"""Image messages to NumPy arrays and back, without touching single pixels."""

from __future__ import annotations

import sys
from array import array

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from cv_bridge import encodings
from cv_bridge.encodings import CvBridgeError

PASSTHROUGH = "passthrough"
COMPRESSED_FORMATS = (
    *("bmp", "dib", "jpeg", "jpg", "jpe", "jp2", "png", "pbm", "pgm", "ppm", "sr", "ras", "tiff", "tif"),
)


def _message_data(image: np.ndarray) -> array:
    """The one copy on the way out: rosidl takes an array of bytes as it is, anything else element by element."""
    data = array("B")
    data.frombytes(np.ascontiguousarray(image).reshape(-1).view(np.uint8).data)
    return data


class CvBridge:
    """Converter between messages and arrays; one object serves all threads."""

    def __init__(self) -> None:
        self.numpy_type_to_cvtype = {**encodings.DEPTH_BY_DTYPE, **encodings.DTYPE_BY_DEPTH}
        self.cvtype_to_name = {
            encodings.parse(f"{depth}C{channels}").cv_type: f"{depth}C{channels}"
            for depth in encodings.DTYPE_BY_DEPTH
            for channels in (1, 2, 3, 4)
        }

    # ---- what a type is called

    def dtype_with_channels_to_cvtype2(self, dtype: np.dtype, n_channels: int) -> str:
        """OpenCV's name of a pixel: uint8 and 3 give 8UC3."""
        name = np.dtype(dtype).name
        if name not in encodings.DEPTH_BY_DTYPE:
            raise CvBridgeError(
                f"pixels of type {name} are not supported; known are {', '.join(encodings.DEPTH_BY_DTYPE)}"
            )
        return f"{encodings.DEPTH_BY_DTYPE[name]}C{n_channels}"

    def cvtype2_to_dtype_with_channels(self, cvtype: int) -> tuple[str, int]:
        """NumPy's name and the number of channels of an OpenCV type number."""
        if cvtype not in self.cvtype_to_name:
            raise CvBridgeError(f"{cvtype} is no OpenCV type of one to four channels")
        return self.encoding_to_dtype_with_channels(self.cvtype_to_name[cvtype])

    def encoding_to_cvtype2(self, encoding: str) -> int:
        """OpenCV's type number of an encoding."""
        return encodings.parse(encoding).cv_type

    def encoding_to_dtype_with_channels(self, encoding: str) -> tuple[str, int]:
        """NumPy's name and the number of channels of an encoding."""
        layout = encodings.parse(encoding)
        return layout.dtype.name, layout.channels

    # ---- raw images

    def imgmsg_to_cv2(self, img_msg: Image, desired_encoding: str = PASSTHROUGH) -> np.ndarray:
        """The picture of a message.

        Args:
            img_msg: rows may be padded (``step``) and numbers may be big-endian.
            desired_encoding: what to convert to; ``passthrough`` leaves it as it is.

        Returns:
            [H, W] for one channel, else [H, W, C], in this machine's byte order. With ``passthrough`` it is a view of
            the message's memory if rows are not padded and bytes not swapped: copy it before you write on it.

        Raises:
            CvBridgeError: unknown encoding, too little data, or no such conversion.
        """
        layout = encodings.parse(img_msg.encoding)
        image = self._view(img_msg, layout)
        if desired_encoding == PASSTHROUGH:
            return image
        return encodings.convert(image, layout, encodings.parse(desired_encoding))

    def _view(self, message: Image, layout: encodings.Encoding) -> np.ndarray:
        pixel_bytes = layout.dtype.itemsize * layout.channels
        row_bytes = pixel_bytes * message.width
        what = f"image of encoding '{message.encoding}' and size {message.width}x{message.height}"
        if message.step < row_bytes:
            raise CvBridgeError(f"{what}: a row needs {row_bytes} bytes, but step says {message.step}")
        needed = message.step * (message.height - 1) + row_bytes if message.height else 0
        if len(message.data) < needed:
            raise CvBridgeError(
                f"{what}: {needed} bytes expected (rows of {message.step} bytes), "
                f"but the message holds {len(message.data)}"
            )
        dtype = layout.dtype.newbyteorder(">" if message.is_bigendian else "<")
        shape: tuple[int, ...] = (message.height, message.width)
        strides: tuple[int, ...] = (message.step, pixel_bytes)
        if layout.channels > 1:
            shape, strides = (*shape, layout.channels), (*strides, layout.dtype.itemsize)
        image = np.ndarray(shape, dtype, buffer=message.data, strides=strides)
        if dtype.isnative:
            return np.ascontiguousarray(image).view(layout.dtype)
        return image.astype(layout.dtype)

    def cv2_to_imgmsg(self, cvim: np.ndarray, encoding: str = PASSTHROUGH, header: Header | None = None) -> Image:
        """A message with the picture.

        Args:
            cvim: [H, W] or [H, W, C].
            encoding: what the pixels are; it must fit type and channels. ``passthrough`` names them after the numbers
                (8UC3), which receivers cannot show in colour.
            header: stamp and frame of the message.

        Raises:
            CvBridgeError: the encoding does not fit the array, or one of them is not known.
            TypeError: ``cvim`` is no array.
        """
        found = encodings.of_array(self._checked(cvim))
        if encoding != PASSTHROUGH:
            wanted = encodings.parse(encoding)
            if (wanted.depth, wanted.channels) != (found.depth, found.channels):
                raise CvBridgeError(
                    f"encoding '{encoding}' needs {wanted.depth}C{wanted.channels}, but the array of shape "
                    f"{cvim.shape} and type {cvim.dtype.name} is {found.name}"
                )
        message = Image(height=cvim.shape[0], width=cvim.shape[1])
        if header is not None:
            message.header = header
        message.encoding = found.name if encoding == PASSTHROUGH else encoding
        message.is_bigendian = int((sys.byteorder == "big") == cvim.dtype.isnative and cvim.dtype.itemsize > 1)
        message.step = cvim.shape[1] * found.channels * cvim.dtype.itemsize
        message.data = _message_data(cvim)
        return message

    # ---- compressed images

    def compressed_imgmsg_to_cv2(
        self, cmprs_img_msg: CompressedImage, desired_encoding: str = PASSTHROUGH
    ) -> np.ndarray:
        """The picture of a compressed message, as OpenCV decodes it (colours are bgr) or in ``desired_encoding``.

        Raises:
            CvBridgeError: the data cannot be decoded, or there is no such conversion.
        """
        if "compressedDepth" in cmprs_img_msg.format:
            raise CvBridgeError(
                f"format '{cmprs_img_msg.format}' has a header of its own, which neither this stand-in nor upstream's "
                "cv_bridge reads; publish the depth image uncompressed or as png"
            )
        data = np.frombuffer(cmprs_img_msg.data, np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
        if image is None:
            raise CvBridgeError(
                f"compressed image of format '{cmprs_img_msg.format}': "
                f"its {data.size} bytes are no picture that OpenCV reads"
            )
        if desired_encoding == PASSTHROUGH:
            return image
        found = encodings.of_array(image)
        colour = {1: "mono", 3: "bgr", 4: "bgra"}.get(found.channels)
        if colour is not None and found.depth in ("8U", "16U"):
            found = encodings.parse(colour + found.depth[:-1])
        return encodings.convert(image, found, encodings.parse(desired_encoding))

    def cv2_to_compressed_imgmsg(self, cvim: np.ndarray, dst_format: str = "jpg") -> CompressedImage:
        """A compressed message with the picture (colours are bgr).

        Raises:
            CvBridgeError: the format is not known or cannot hold this type of pixel.
            TypeError: ``cvim`` is no array.
        """
        if dst_format not in COMPRESSED_FORMATS:
            raise CvBridgeError(f"unknown format '{dst_format}'; known are {', '.join(COMPRESSED_FORMATS)}")
        what = (
            f"cannot write an array of shape {self._checked(cvim).shape} and type {cvim.dtype.name} as '{dst_format}'"
        )
        try:
            written, data = cv2.imencode(f".{dst_format}", cvim)
        except cv2.error as error:
            raise CvBridgeError(f"{what}: {error}") from error
        if not written:
            raise CvBridgeError(what)
        return CompressedImage(format=dst_format, data=_message_data(data))

    @staticmethod
    def _checked(cvim: np.ndarray) -> np.ndarray:
        if not isinstance(cvim, np.ndarray):
            raise TypeError(f"a NumPy array is wanted, not {type(cvim).__name__}")
        return cvim
