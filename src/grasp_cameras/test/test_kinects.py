# SPDX-License-Identifier: Apache-2.0
"""Kinect v2 and Azure Kinect against stand-ins of their SDKs, with the call signatures of pylibfreenect2 and pyk4a."""

from __future__ import annotations

import sys
import types
from enum import IntEnum

import numpy as np
import pytest

from grasp_cameras.driver import CameraError, ReadTimeoutError, SdkMissingError
from grasp_cameras.drivers.azure_kinect import AzureKinect, AzureKinectOptions
from grasp_cameras.drivers.kinect_v2 import KinectV2, KinectV2Options
from grasp_core.geometry import transform


class FakeFreenect(types.ModuleType):
    """pylibfreenect2 as its Cython source declares it; ``frames`` are waiting, ``serials`` are plugged in."""

    def __init__(self) -> None:
        super().__init__("pylibfreenect2")
        fake = self
        self.serials, self.frames, self.log = [b"100", b"200"], [], []

        class FrameType(IntEnum):
            Color, Ir, Depth = 1, 2, 4

        class Frame:
            def __init__(self, width=None, height=None, bytes_per_pixel=None, frame_type=-1, numpy_array=None):
                self.width, self.height, self.owned = width, height, width is not None
                self.pixels, self.timestamp, self.sequence = numpy_array, 0, 0
                if self.owned and numpy_array is None:
                    self.pixels = np.zeros((height, width), np.float32)

            def asarray(self, dtype=None):
                assert dtype in (np.uint8, np.float32)
                assert self.pixels.dtype == dtype, "the memory would be misread"
                return self.pixels

        class Registration:
            def __init__(self, ir, color):
                assert (ir.fx, color.fx) == (365.0, 1081.0)

            def apply(
                self, rgb, depth, undistorted, registered, enable_filter=True, bigdepth=None, color_depth_map=None
            ):
                assert (rgb.width, rgb.height, depth.width, depth.height) == (1920, 1080, 512, 424)
                assert (undistorted.width, undistorted.height) == (registered.width, registered.height) == (512, 424)
                assert (bigdepth.width, bigdepth.height) == (1920, 1082)
                assert undistorted.owned
                assert registered.owned
                assert bigdepth.owned
                undistorted.pixels[:] = depth.pixels
                bigdepth.pixels[1:-1] = depth.pixels[0, 0]
                bigdepth.pixels[[0, -1]] = np.inf

            def undistortDepth(self, depth, undistorted):
                undistorted.pixels[:] = depth.pixels

        class Listener:
            def __init__(self, frame_types):
                assert frame_types == FrameType.Color | FrameType.Depth

            def hasNewFrame(self):
                return bool(fake.frames)

            def waitForNewFrame(self, frame_map=None):
                return fake.frames.pop(0)

            def release(self, frames):
                fake.log.append("release")

        class Device:
            def __init__(self, serial):
                fake.log.append(("open", serial))

            def setColorFrameListener(self, listener): ...
            def setIrAndDepthFrameListener(self, listener): ...
            def start(self):
                fake.log.append("start")

            def stop(self):
                fake.log.append("stop")

            def close(self):
                fake.log.append("close")

            def getIrCameraParams(self):
                assert fake.log[-1] == "start", "parameters are known once the device streams"
                return types.SimpleNamespace(fx=365.0, fy=365.0, cx=254.0, cy=205.0)

            def getColorCameraParams(self):
                return types.SimpleNamespace(fx=1081.0, fy=1081.0, cx=959.5, cy=539.5)

        class Freenect2:
            def enumerateDevices(self):
                return len(fake.serials)

            def getDeviceSerialNumber(self, index):
                return fake.serials[index]

            def openDevice(self, name, pipeline=None):
                assert isinstance(name, bytes)
                return Device(name)

        self.FrameType, self.Frame, self.Registration, self.Freenect2 = FrameType, Frame, Registration, Freenect2
        self.SyncMultiFrameListener, self.CpuPacketPipeline = Listener, lambda: None

    def take(self, timestamp: int, depth_mm: float) -> None:
        color, depth = self.Frame(), self.Frame()
        color.width, color.height, depth.width, depth.height = 1920, 1080, 512, 424
        color.pixels = np.full((1080, 1920, 4), (1, 2, 3, 255), np.uint8)
        depth.pixels = np.full((424, 512), depth_mm, np.float32)
        color.timestamp, color.sequence = timestamp, timestamp // 333
        self.frames.append({"color": color, "depth": depth})


@pytest.fixture
def freenect(monkeypatch):
    fake = FakeFreenect()
    monkeypatch.setitem(sys.modules, "pylibfreenect2", fake)
    return fake


def test_kinect_v2_gives_colour_depth_and_registered_depth(freenect):
    driver = KinectV2(KinectV2Options(serial="200", pipeline="cpu"))
    driver.open()
    freenect.take(3330, 1500.0)
    frame = driver.read(0.1)
    assert frame.stamp_ns == 333_000_000
    assert frame.rgb[0, 0].tolist() == [3, 2, 1]
    assert frame.depth.shape == (424, 512)
    assert frame.depth_metres()[9, 9] == pytest.approx(1.5)
    assert frame.aligned_depth.shape == (1080, 1920)
    assert np.isfinite(frame.aligned_depth).all()  # the blank rows are cut off
    assert frame.to_camera_frame().depth_m[5, 5] == pytest.approx(1.5)
    with pytest.raises(ReadTimeoutError):
        driver.read(0.01)
    freenect.serials = []
    with pytest.raises(CameraError, match="unplugged"):
        driver.read(0.01)
    driver.close()
    assert freenect.log == [("open", b"200"), "start", "release", "stop", "close"]


def test_kinect_v2_refusals(freenect):
    with pytest.raises(CameraError, match="no Kinect v2 300; connected: 100, 200"):
        KinectV2(KinectV2Options(serial="300", pipeline="cpu")).open()
    with pytest.raises(CameraError, match="built without OpenGLPacketPipeline"):
        KinectV2(KinectV2Options()).open()


T_COLOR_DEPTH = transform((-0.032, -0.002, 0.004), np.array([[1.0, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]]))


class FakeK4A(types.ModuleType):
    """pyk4a 1.5; ``captures`` are waiting, ``broken`` makes the device fail."""

    def __init__(self) -> None:
        super().__init__("pyk4a")
        fake = self
        self.captures, self.log, self.broken = [], [], False

        class K4AException(Exception): ...

        class K4ATimeoutException(K4AException): ...

        def names(**values):
            return types.SimpleNamespace(**values)

        class Calibration:
            def get_camera_matrix(self, camera):
                f = 600.0 if camera == 1 else 500.0
                return np.array([[f, 0.0, 320.0], [0.0, f, 288.0], [0.0, 0.0, 1.0]])

            def get_distortion_coefficients(self, camera):
                return np.arange(8) * 0.01

            def convert_3d_to_3d(self, source_point_3d, source_camera, target_camera=None):
                assert (source_camera, target_camera) == (0, 1)
                point = T_COLOR_DEPTH[:3, :3] @ np.array(source_point_3d) + 1e3 * T_COLOR_DEPTH[:3, 3]
                return tuple(point)

        class PyK4A:
            def __init__(self, config=None, device_id=0, thread_safe=True):
                self.config, self.device_id, self.calibration = config, device_id, Calibration()

            def open(self):
                self.serial = f"k{self.device_id}"

            def close(self): ...

            def start(self):
                if fake.broken:
                    raise K4AException
                fake.log.append(("start", self.device_id, self.config))

            def stop(self):
                fake.log.append("stop")

            def get_capture(self, timeout=-1):
                if fake.broken:
                    raise K4AException
                if not fake.captures:
                    raise K4ATimeoutException
                return fake.captures.pop(0)

        self.K4AException, self.K4ATimeoutException, self.PyK4A = K4AException, K4ATimeoutException, PyK4A
        self.Config = lambda **values: values
        self.ImageFormat = names(COLOR_MJPG=0, COLOR_BGRA32=3)
        self.ColorResolution = names(RES_720P=1, RES_1080P=2)
        self.DepthMode = names(NFOV_2X2BINNED=1, NFOV_UNBINNED=2, WFOV_UNBINNED=4)
        self.FPS = names(FPS_5=0, FPS_15=1, FPS_30=2)
        self.CalibrationType = IntEnum("CalibrationType", {"DEPTH": 0, "COLOR": 1})
        self.connected_device_count = lambda: 2

    def take(self, color: bool = True) -> None:
        self.captures.append(
            types.SimpleNamespace(
                color=np.full((720, 1280, 4), (1, 2, 3, 0), np.uint8) if color else None,
                depth=np.full((576, 640), 900, np.uint16),
                transformed_depth=np.full((720, 1280), 901, np.uint16),
                color_timestamp_usec=5000,
                depth_timestamp_usec=5100,
            )
        )


@pytest.fixture
def k4a(monkeypatch):
    fake = FakeK4A()
    monkeypatch.setitem(sys.modules, "pyk4a", fake)
    return fake


def test_azure_kinect_gives_aligned_frames_with_the_devices_calibration(k4a):
    driver = AzureKinect(AzureKinectOptions(serial="k1"))
    driver.open()
    k4a.take()
    k4a.take(color=False)
    frame, lone = driver.read(0.1), driver.read(0.1)
    assert frame.stamp_ns == 5_000_000
    assert frame.rgb[0, 0].tolist() == [3, 2, 1]
    assert frame.to_camera_frame().depth_m[0, 0] == pytest.approx(0.901)
    assert frame.color_intrinsics.distortion == pytest.approx(np.arange(8) * 0.01)
    assert frame.depth_intrinsics.fx == 500.0
    assert pytest.approx(T_COLOR_DEPTH) == frame.T_color_depth
    assert lone.rgb is None
    assert lone.aligned_depth is None
    assert lone.stamp_ns == 5_100_000
    with pytest.raises(ReadTimeoutError):
        driver.read(0.01)
    k4a.broken = True
    with pytest.raises(CameraError, match="is gone"):
        driver.read(0.01)
    driver.close()
    assert k4a.log[0][1] == 1
    assert k4a.log[0][2]["synchronized_images_only"]
    assert k4a.log[-1] == "stop"


def test_azure_kinect_refusals(k4a):
    with pytest.raises(CameraError, match="no Azure Kinect k9; connected: k0, k1"):
        AzureKinect(AzureKinectOptions(serial="k9")).open()
    with pytest.raises(CameraError, match="reaches 15 Hz"):
        AzureKinect(AzureKinectOptions(depth_mode="WFOV_UNBINNED")).open()
    k4a.broken = True
    with pytest.raises(CameraError, match="does not start"):
        AzureKinect(AzureKinectOptions()).open()


@pytest.mark.parametrize(("driver", "module"), [(KinectV2, "pylibfreenect2"), (AzureKinect, "pyk4a")])
def test_without_the_sdk_a_sentence_says_what_to_install(driver, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SdkMissingError, match=f"needs the Python package {module}"):
        driver(driver.Options())
