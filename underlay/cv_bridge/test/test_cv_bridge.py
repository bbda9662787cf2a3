# SPDX-License-Identifier: Apache-2.0
"""Arrays survive the way into a message and back; conversions have known answers."""

from __future__ import annotations

from array import array

import cv2
import cv_bridge
import numpy as np
import pytest
from cv_bridge import CvBridge, CvBridgeError
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

BRIDGE = CvBridge()
DTYPES = ["uint8", "int8", "uint16", "int16", "int32", "float32", "float64"]


def picture(dtype: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    data = np.random.default_rng(seed).bytes(int(np.prod(shape)) * np.dtype(dtype).itemsize)
    return np.frombuffer(data, dtype).reshape(shape)


@settings(deadline=None)
@given(
    st.sampled_from(DTYPES), st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.integers(0, 13), st.booleans()
)
def test_every_layout_survives_both_ways(dtype, height, width, channels, padding, is_bigendian):
    shape = (height, width) if channels == 1 else (height, width, channels)
    image = picture(dtype, shape)
    message = BRIDGE.cv2_to_imgmsg(image)
    assert isinstance(message.data, array)
    assert len(message.data) == message.step * height == image.nbytes
    assert BRIDGE.imgmsg_to_cv2(message).tobytes() == image.tobytes()

    wire = image.astype(image.dtype.newbyteorder(">")) if is_bigendian else image
    rows = wire.view(np.uint8).reshape(height, -1) if wire.flags.c_contiguous else None
    padded = np.hstack([rows, np.full((height, padding), 7, np.uint8)])
    message.data = array("B", padded.tobytes())
    message.step = padded.shape[1]
    message.is_bigendian = int(is_bigendian)
    back = BRIDGE.imgmsg_to_cv2(message)
    assert back.dtype == image.dtype
    assert back.shape == image.shape
    assert back.tobytes() == image.tobytes()


@pytest.mark.parametrize(
    ("encoding", "dtype", "channels"),
    [
        ("rgb8", "uint8", 3),
        ("bgr8", "uint8", 3),
        ("rgba8", "uint8", 4),
        ("bgra8", "uint8", 4),
        ("mono8", "uint8", 1),
        ("mono16", "uint16", 1),
        ("rgb16", "uint16", 3),
        ("16UC1", "uint16", 1),
        ("32FC1", "float32", 1),
        ("8UC1", "uint8", 1),
        ("8UC3", "uint8", 3),
        ("bayer_rggb8", "uint8", 1),
        ("bayer_grbg16", "uint16", 1),
        ("yuv422", "uint8", 2),
        ("yuv422_yuy2", "uint8", 2),
        ("yuyv", "uint8", 2),
        ("64F", "float64", 1),
    ],
)
def test_encodings_and_opencv_agree_on_the_type(encoding, dtype, channels):
    assert BRIDGE.encoding_to_dtype_with_channels(encoding) == (dtype, channels)
    name = BRIDGE.dtype_with_channels_to_cvtype2(np.dtype(dtype), channels)
    number = getattr(cv2, f"CV_{name}")
    assert BRIDGE.encoding_to_cvtype2(encoding) == number
    assert BRIDGE.cvtype2_to_dtype_with_channels(number) == (dtype, channels)
    assert BRIDGE.cvtype_to_name[number] == name


def test_passthrough_is_a_view_of_the_message():
    message = BRIDGE.cv2_to_imgmsg(picture("uint8", (4, 5, 3)), "rgb8")
    view = BRIDGE.imgmsg_to_cv2(message)
    message.data[0] = 255 - message.data[0]
    assert view[0, 0, 0] == message.data[0]


def test_slices_and_big_endian_arrays_go_out_right():
    image = picture("uint16", (6, 8))
    for odd in (image[::2, 1:5], image.T, image.astype(">u2")):
        message = BRIDGE.cv2_to_imgmsg(odd, "mono16")
        np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message), odd)


def test_colours_swap_and_scale():
    rgb = np.array([[[255, 0, 0], [1, 2, 3]]], np.uint8)
    message = BRIDGE.cv2_to_imgmsg(rgb, "rgb8", Header(frame_id="camera"))
    assert message.header.frame_id == "camera"
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message, "bgr8"), rgb[..., ::-1])
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message, "rgba8")[..., 3], 255)
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message, "8UC3"), rgb)
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message, "mono8"), [[76, 2]])
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message, "rgb16"), rgb.astype(np.uint16) * 257)
    deep = BRIDGE.cv2_to_imgmsg(np.array([[0, 65535, 128 * 257]], np.uint16), "mono16")
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(deep, "mono8"), [[0, 255, 128]])
    assert BRIDGE.imgmsg_to_cv2(deep, "bgr8").shape == (1, 3, 3)


def test_depth_in_metres_becomes_whole_numbers_without_wrapping():
    metres = np.array([[0.4, 1.6, np.nan, 1e6]], np.float32)
    message = BRIDGE.cv2_to_imgmsg(metres, "32FC1")
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message, "16UC1"), [[0, 2, 0, 65535]])


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits", [8, 16])
def test_bayer_patterns_give_the_colour_they_name(pattern, bits):
    top = 2**bits - 1
    plain = np.tile(np.array([top, top // 2, 0], np.uint16 if bits == 16 else np.uint8), (8, 8, 1))
    mosaic = np.empty((8, 8), plain.dtype)
    for index, letter in enumerate(pattern):
        mosaic[index // 2 :: 2, index % 2 :: 2] = plain[0, 0, "rgb".index(letter)]
    message = BRIDGE.cv2_to_imgmsg(mosaic, f"bayer_{pattern}{bits}")
    np.testing.assert_array_equal(BRIDGE.imgmsg_to_cv2(message, f"rgb{bits}"), plain)


@pytest.mark.parametrize(("encoding", "order"), [("yuv422", "uyvy"), ("uyvy", "uyvy"), ("yuv422_yuy2", "yuyv")])
def test_yuv_gives_the_colour_it_holds(encoding, order):
    red = {"y": 81, "u": 90, "v": 240}  # pure red in BT.601 video range
    row = np.array([red[letter] for letter in order] * 2, np.uint8).reshape(1, 4, 2)
    message = BRIDGE.cv2_to_imgmsg(np.repeat(row, 2, axis=0), encoding)
    np.testing.assert_allclose(BRIDGE.imgmsg_to_cv2(message, "rgb8")[0, 0].astype(int), [255, 0, 0], atol=3)


def test_compressed_images_survive():
    colour = cv2.GaussianBlur(picture("uint8", (32, 48, 3)), (9, 9), 4)
    png = BRIDGE.cv2_to_compressed_imgmsg(colour, "png")
    assert png.format == "png"
    np.testing.assert_array_equal(BRIDGE.compressed_imgmsg_to_cv2(png), colour)
    np.testing.assert_array_equal(BRIDGE.compressed_imgmsg_to_cv2(png, "rgb8"), colour[..., ::-1])
    jpg = BRIDGE.cv2_to_compressed_imgmsg(colour)
    assert np.abs(BRIDGE.compressed_imgmsg_to_cv2(jpg, "bgr8").astype(int) - colour).mean() < 3
    depth = picture("uint16", (5, 6))
    np.testing.assert_array_equal(
        BRIDGE.compressed_imgmsg_to_cv2(BRIDGE.cv2_to_compressed_imgmsg(depth, "png"), "mono16"), depth
    )


def image_message(**fields) -> Image:
    message = BRIDGE.cv2_to_imgmsg(np.zeros((2, 3, 3), np.uint8), "rgb8")
    for name, value in fields.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BRIDGE.imgmsg_to_cv2(image_message(height=4)), "'rgb8' and size 3x4: 36 bytes expected.*holds 18"),
        (lambda: BRIDGE.imgmsg_to_cv2(image_message(step=8)), "'rgb8' and size 3x2: a row needs 9 bytes.*step says 8"),
        (lambda: BRIDGE.imgmsg_to_cv2(image_message(encoding="rgb9")), "unknown encoding 'rgb9'"),
        (lambda: BRIDGE.imgmsg_to_cv2(image_message(encoding="nv12")), "'nv12'.*not part of this stand-in"),
        (lambda: BRIDGE.imgmsg_to_cv2(image_message(), "bayer_rggb8"), "no conversion from 'rgb8' to 'bayer_rggb8'"),
        (lambda: BRIDGE.imgmsg_to_cv2(image_message(), "8UC1"), "3 channels and '8UC1' has 1"),
        (lambda: BRIDGE.imgmsg_to_cv2(image_message(encoding="8UC3"), "mono8"), "numbers without a colour"),
        (lambda: BRIDGE.cv2_to_imgmsg(np.zeros((2, 3), np.float32), "rgb8"), r"needs 8UC3.*\(2, 3\).*float32 is 32FC1"),
        (lambda: BRIDGE.cv2_to_imgmsg(np.zeros((2, 3), np.int64)), "int64 are not supported"),
        (lambda: BRIDGE.cv2_to_imgmsg(np.zeros(3, np.uint8)), r"not \(3,\)"),
        (lambda: BRIDGE.cv2_to_compressed_imgmsg(np.zeros((2, 3), np.uint8), "gif2"), "unknown format 'gif2'"),
        (lambda: BRIDGE.cv2_to_compressed_imgmsg(np.zeros((2, 3, 7), np.uint8)), r"\(2, 3, 7\).*'jpg'"),
        (lambda: BRIDGE.compressed_imgmsg_to_cv2(CompressedImage(format="png", data=[1, 2])), "'png': its 2 bytes"),
        (lambda: BRIDGE.compressed_imgmsg_to_cv2(CompressedImage(format="png")), "its 0 bytes"),
        (
            lambda: BRIDGE.compressed_imgmsg_to_cv2(CompressedImage(format="16UC1; compressedDepth")),
            "header of its own",
        ),
    ],
)
def test_refusals_say_what_was_expected(call, message):
    with pytest.raises(CvBridgeError, match=message):
        call()


def test_other_refusals():
    with pytest.raises(TypeError, match="NumPy array is wanted, not list"):
        BRIDGE.cv2_to_imgmsg([[1, 2]])
    with pytest.raises(AttributeError, match="cvtColor2 is not part of this stand-in"):
        _ = cv_bridge.cvtColor2
