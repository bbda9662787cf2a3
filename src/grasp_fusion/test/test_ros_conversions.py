# SPDX-License-Identifier: Apache-2.0
"""What messages become, and which are refused in a sentence."""

import array
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("tf2_ros", reason="tf2_ros is not built; run the tests through ./ws test")
pytest.importorskip("grasp_interfaces.srv", reason="grasp_interfaces is not built; run the tests through ./ws test")

from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from grasp_core.camera import FrameError, Intrinsics
from grasp_fusion import ros_conversions as ros

CAMERA = Intrinsics(4, 3, 5.0, 5.0, 1.5, 1.0)


def image(pixels: np.ndarray, encoding: str, **values: object) -> Image:
    message = ros.image_messages(pixels[None], encoding, Header(frame_id="optical"))[0]
    for name, value in values.items():
        setattr(message, name, value)
    return message


def info(camera: Intrinsics = CAMERA, model: str = "plumb_bob") -> CameraInfo:
    message = CameraInfo(width=camera.width, height=camera.height, distortion_model=model, d=camera.distortion)
    message.k = camera.K.ravel()
    return message


def test_a_picture_comes_back_as_it_was_sent():
    depth = np.linspace(0.5, 2.0, 12, dtype=np.float32).reshape(3, 4)
    depth[0, 0] = np.nan
    rgb = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    frame = ros.frame_of(image(depth, "32FC1"), image(rgb, "rgb8"), info(), np.eye(4))
    np.testing.assert_array_equal(frame.depth_m, depth)
    np.testing.assert_array_equal(frame.rgb, rgb)
    assert frame.intrinsics == CAMERA


@pytest.mark.parametrize(("encoding", "channels"), [("bgr8", 3), ("rgba8", 4), ("bgra8", 4), ("mono8", 1)])
def test_colour_in_any_8_bit_encoding(encoding, channels):
    colour = (10, 20, 30, 255)
    stored = [colour["rgba".index(c)] for c in encoding[:channels]] if channels > 1 else [7]
    rgb = ros.rgb_of(image(np.broadcast_to(np.array(stored, np.uint8), (3, 4, channels)).copy(), encoding))
    assert rgb.shape == (3, 4, 3)
    assert rgb[1, 2].tolist() == ([10, 20, 30] if channels > 1 else [7, 7, 7])


def test_millimetres_of_either_byte_order_and_padded_rows():
    millimetres = np.array([[1000, 0, 65535, 1500]] * 3, np.uint16)
    wanted = np.array([[1.0, np.nan, np.nan, 1.5]] * 3, np.float32)
    np.testing.assert_allclose(ros.depth_of(image(millimetres, "16UC1")), wanted)
    np.testing.assert_allclose(ros.depth_of(image(millimetres.byteswap(), "16UC1", is_bigendian=1)), wanted)
    padded = np.zeros((3, 6), np.uint16)
    padded[:, :4] = millimetres
    np.testing.assert_allclose(ros.depth_of(image(padded, "16UC1", width=4)), wanted)


DEPTH = np.ones((3, 4), np.float32)
LENS = replace(CAMERA, distortion=(0.1, 0.0, 0.0, 0.0))
REFUSED = {
    "another encoding": (lambda: ros.depth_of(image(DEPTH, "64FC1")), "encoding '64FC1'; understood are 16UC1"),
    "a colour in an encoding for depth": (lambda: ros.rgb_of(image(DEPTH, "32FC1")), "understood are rgb8"),
    "no pixels": (lambda: ros.depth_of(image(DEPTH, "32FC1", width=0)), r"empty \(0 x 3\)"),
    "too few bytes": (lambda: ros.depth_of(image(DEPTH, "32FC1", data=array.array("B", b"12"))), "too few"),
    "rows too short": (lambda: ros.depth_of(image(DEPTH, "32FC1", step=3)), "too few"),
    "no calibration": (lambda: ros.intrinsics_of(CameraInfo(width=4, height=3)), "not calibrated"),
    "a fisheye lens": (lambda: ros.intrinsics_of(info(LENS, "equidistant")), "model .equidistant.; understood"),
    "another size": (
        lambda: ros.frame_of(image(DEPTH, "32FC1"), None, info(CAMERA.scaled(8, 6)), np.eye(4)),
        "4 x 3, camera_info says 8 x 6",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_understood_is_refused(name):
    convert, sentence = REFUSED[name]
    with pytest.raises(FrameError, match=sentence):
        convert()


def test_a_lens_without_distortion_may_have_any_model():
    assert ros.intrinsics_of(info(model="equidistant")) == CAMERA
    assert ros.intrinsics_of(info(LENS)).distortion == (0.1, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("value", ["5.0", "abc"])
def test_a_wrong_parameter_ends_the_node_with_a_sentence(value):
    command = [sys.executable, "-m", "grasp_fusion.fusion_node", "--ros-args", "-p", f"voxel_m:={value}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2, ended.stderr
    assert "voxel_m" in ended.stderr
    assert "Traceback" not in ended.stderr
