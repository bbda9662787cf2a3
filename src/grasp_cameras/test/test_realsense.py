# SPDX-License-Identifier: Apache-2.0
"""The RealSense driver on the SDK's software device, and on a recording of it."""

from __future__ import annotations

import sys
from contextlib import suppress

import numpy as np
import pytest

from grasp_cameras.driver import CameraError, Clock, EndOfRecordingError, ReadTimeoutError, SdkMissingError
from grasp_cameras.drivers.realsense import RealSense, RealSenseOptions
from grasp_core.config import ConfigError

rs = pytest.importorskip("pyrealsense2")

WIDTH, HEIGHT = 64, 48
BASELINE_M = 0.015


class Device:
    """A software device with colour and depth, 15 mm apart; depth unit 0.125 mm as an SR300's."""

    def __init__(self) -> None:
        self.device = rs.software_device()
        self.device.register_info(rs.camera_info.serial_number, "42")
        self.device.register_info(rs.camera_info.name, "Software")
        self._profiles, self.sensors = {}, {}
        for name, kind, form, size in (("Depth", "depth", "z16", 2), ("Color", "color", "rgb8", 3)):
            self.sensors[kind] = self.device.add_sensor(name)
            stream = rs.video_stream()
            stream.type, stream.fmt = getattr(rs.stream, kind), getattr(rs.format, form)
            stream.index, stream.uid, stream.fps, stream.bpp = 0, len(self._profiles), 30, size
            stream.width, stream.height = WIDTH, HEIGHT
            camera = rs.intrinsics()
            camera.width, camera.height, camera.fx, camera.fy, camera.ppx, camera.ppy = (
                WIDTH,
                HEIGHT,
                60.0,
                61.0,
                31.0,
                23.0,
            )
            camera.model, camera.coeffs = (
                rs.distortion.brown_conrady,
                [0.1, 0.0, 0.0, 0.0, 0.0] if kind == "color" else [0.0] * 5,
            )
            stream.intrinsics = camera
            self._profiles[kind] = self.sensors[kind].add_video_stream(stream)
        self.sensors["depth"].add_read_only_option(rs.option.depth_units, 0.000125)
        extrinsics = rs.extrinsics()
        turned = [0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0]  # columns: a quarter turn about z
        extrinsics.rotation, extrinsics.translation = turned, [BASELINE_M, 0.0, 0.0]
        self._profiles["depth"].register_extrinsics_to(self._profiles["color"], extrinsics)

    def feed(self, kind: str, pixels: np.ndarray, number: int, recorder=None) -> None:
        frame = rs.software_video_frame()
        frame.pixels, frame.bpp, frame.stride = (
            pixels,
            2 if kind == "depth" else 3,
            WIDTH * (2 if kind == "depth" else 3),
        )
        frame.timestamp, frame.domain, frame.frame_number = 33.0 * number, rs.timestamp_domain.hardware_clock, number
        frame.profile = self._profiles[kind].as_video_stream_profile()
        if kind == "depth":
            frame.depth_units = 0.000125
        self.sensors[kind].on_video_frame(frame)

    def pair(self, number: int) -> None:
        self.feed("depth", np.full((HEIGHT, WIDTH), 4000 + number, np.uint16), number)
        color = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        color[..., 0], color[..., 2] = 200, number
        self.feed("color", color, number)


def read_one(driver: RealSense, device: Device, start: int) -> tuple:
    """The syncer gives the first sets incomplete: feed until one is whole."""
    for number in range(start, start + 5):
        device.pair(number)
        try:
            return driver.read(0.2), number
        except ReadTimeoutError:
            continue
    raise AssertionError("no complete set of frames")


def test_software_device_gives_aligned_colour_and_depth_with_units_intrinsics_and_stamp():
    device = Device()
    driver = RealSense(RealSenseOptions(), device.device)
    assert driver.capabilities.aligned
    assert driver.capabilities.live
    driver.open()
    try:
        frame, number = read_one(driver, device, 1)
    finally:
        driver.close()
    assert frame.stamp_ns == pytest.approx(33e6 * number)
    assert (frame.clock, frame.sequence) == (Clock.DEVICE, number)
    assert frame.rgb.shape == (HEIGHT, WIDTH, 3)
    assert frame.rgb[0, 0].tolist() == [200, 0, number]
    assert frame.depth_metres()[5, 5] == pytest.approx((4000 + number) * 0.000125)
    assert frame.aligned_depth.shape == (HEIGHT, WIDTH)
    assert frame.color_intrinsics.distortion[0] == pytest.approx(0.1)
    assert (frame.depth_intrinsics.fx, frame.depth_intrinsics.fy) == (60.0, 61.0)
    assert frame.depth_intrinsics.distortion == ()
    assert frame.T_color_depth[:3, 3] == pytest.approx([BASELINE_M, 0.0, 0.0])
    assert frame.T_color_depth[:3, 0] == pytest.approx([0.0, 1.0, 0.0])  # the first stored column


def test_silence_is_a_timeout_and_the_next_frame_works():
    device = Device()
    driver = RealSense(RealSenseOptions(), device.device)
    driver.open()
    try:
        with pytest.raises(ReadTimeoutError, match=r"0\.05 s"):
            driver.read(0.05)
        frame, _ = read_one(driver, device, 1)
        assert frame.depth is not None
    finally:
        driver.close()


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """Ten frames written by the SDK's recorder."""
    device = Device()
    version = tuple(int(v) for v in getattr(rs, "__version__", "2.50").split(".")[:2])
    path = tmp_path_factory.mktemp("recording") / ("frames.db3" if version >= (2, 58) else "frames.bag")
    recorder = rs.recorder(str(path), device.device)
    syncer = rs.syncer()
    sensors = recorder.query_sensors()
    for sensor in sensors:
        sensor.open(sensor.get_stream_profiles()[0])
        sensor.start(syncer)
    for number in range(1, 11):
        device.pair(number)
    for sensor in sensors:
        sensor.stop()
        sensor.close()
    del recorder
    return path


def test_a_recording_plays_to_its_end(recording):
    driver = RealSense(RealSenseOptions(file=str(recording), loop=False, real_time=False, align=False))
    assert not driver.capabilities.live
    driver.open()
    seen = []

    def read_to_the_end() -> None:
        for _ in range(50):
            with suppress(ReadTimeoutError):  # a busy machine
                seen.append(driver.read(1.0))

    try:
        with pytest.raises(EndOfRecordingError, match="is over"):
            read_to_the_end()
    finally:
        driver.close()
    depths = [round(float(f.depth_metres()[3, 3]) / 0.000125) - 4000 for f in seen if f.depth is not None]
    assert len(depths) >= 5
    assert set(depths) <= set(range(1, 11))
    assert all(f.clock is Clock.DEVICE for f in seen)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"serial": "999"}, "RealSense 999 is not connected"), ({"file": "/nowhere.bag"}, "does not exist")],
)
def test_what_is_not_there_is_refused_in_a_sentence(options, message):
    with pytest.raises(CameraError, match=message):
        RealSense(RealSenseOptions(**options)).open()


def test_contradicting_options_are_refused():
    with pytest.raises(ConfigError, match="takes no record"):
        RealSenseOptions.from_mapping({"file": "a.bag", "record": "b.bag"})


def test_without_the_sdk_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyrealsense2", None)
    with pytest.raises(SdkMissingError, match=r"needs the Python package pyrealsense2.*install the wheel"):
        RealSense(RealSenseOptions())
