# SPDX-License-Identifier: Apache-2.0
"""The stream: states, reconnection, stamps; after every kind of bad input the next good frame works."""

from __future__ import annotations

import queue
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_cameras.calibration_file import CameraCalibration, MountConfig
from grasp_cameras.clock import ClockMapper
from grasp_cameras.driver import (
    CameraError,
    Capabilities,
    Clock,
    EndOfRecordingError,
    RawFrame,
    ReadTimeoutError,
)
from grasp_cameras.image_codec import decode_color, decode_depth
from grasp_cameras.registration import register_depth
from grasp_cameras.settings import StreamSettings
from grasp_cameras.stream import CameraStream, StreamState
from grasp_core.camera import FrameError, Intrinsics
from grasp_core.config import Config
from grasp_core.geometry import transform
from grasp_core.ports import Camera, StateError

CAMERA = Intrinsics(8, 6, 10.0, 10.0, 3.5, 2.5)
FAST = StreamSettings(
    read_timeout_s=0.02, silent_after_s=0.05, reopen_after_s=0.2, retry_first_s=0.01, retry_longest_s=0.02
)
PATIENCE_S = 10.0


def good(value: int = 1, **changes) -> RawFrame:
    rgb = np.full((6, 8, 3), value, np.uint8)
    depth = np.full((6, 8), 1000, np.uint16)
    values = {
        "stamp_ns": time.time_ns(),
        "rgb": rgb,
        "depth": depth,
        "aligned_depth": depth,
        "color_intrinsics": CAMERA,
        "depth_intrinsics": CAMERA,
    }
    return RawFrame(**{**values, **changes})


class Scripted:
    """Does what the test puts into its queue: returns a frame, raises an error, calls a function."""

    Options = Config
    capabilities = Capabilities(True, True, True, True, rate_hz=30.0)

    def __init__(self) -> None:
        self.script: queue.Queue = queue.Queue()
        self.opened = self.closed = 0
        self.refuse = ""

    def open(self) -> None:
        if self.refuse:
            raise CameraError(self.refuse)
        self.opened += 1

    def close(self) -> None:
        self.closed += 1

    def read(self, timeout_s: float) -> RawFrame:
        try:
            step = self.script.get(timeout=timeout_s)
        except queue.Empty:
            raise ReadTimeoutError(f"no frame in {timeout_s} s") from None
        if isinstance(step, Exception):
            raise step
        return step() if callable(step) else step


def until(condition) -> None:
    """Wait for something that the stream's thread brings about."""
    end = time.monotonic() + PATIENCE_S
    tick = threading.Event()
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        tick.wait(0.002)


@pytest.fixture
def driver():
    return Scripted()


@pytest.fixture
def stream(driver):
    with CameraStream("wrist", driver, FAST) as running:
        yield running


def test_it_is_the_camera_port(driver, stream):
    assert isinstance(stream, Camera)
    driver.script.put(good(7))
    picture = stream.frame(PATIENCE_S)
    assert picture.rgb[0, 0, 0] == 7
    assert picture.depth_m[0, 0] == 1.0
    report = stream.report()
    assert (report.state, report.frames, report.drops) == (StreamState.CONNECTED, 1, 0)
    assert report.age_s < PATIENCE_S


def test_asking_for_a_fresh_frame_waits_for_one(driver, stream):
    old = good(1, stamp_ns=time.time_ns() - 5_000_000_000)
    driver.script.put(old)
    until(lambda: stream.report().frames == 1)
    threading.Timer(0.02, lambda: driver.script.put(good(2))).start()
    assert stream.frame(2.0).rgb[0, 0, 0] == 2
    assert stream.raw(100.0).rgb[0, 0, 0] == 2


def test_a_silent_camera_says_so_and_goes_on(driver, stream):
    driver.script.put(good())
    until(lambda: stream.report().state is StreamState.CONNECTED)
    until(lambda: stream.report().state is StreamState.SILENT)
    with pytest.raises(StateError, match=r"camera wrist sent its newest frame .* at most 0.001 s was asked.*silent"):
        stream.frame(0.001)
    # Silent for long: closed and opened again.
    until(lambda: driver.opened >= 2)
    driver.script.put(good(3))
    until(lambda: stream.report().frames == 2)
    assert stream.frame(PATIENCE_S).rgb[0, 0, 0] == 3


def test_unplugged_and_back(driver, stream):
    driver.script.put(good(1))
    until(lambda: stream.report().frames == 1)
    driver.refuse = "no such device"
    driver.script.put(CameraError("it was unplugged"))
    until(lambda: stream.report().state is StreamState.DISCONNECTED and stream.report().reason == "no such device")
    with pytest.raises(StateError, match="disconnected: no such device"):
        stream.frame(0.0)
    driver.refuse = ""
    driver.script.put(good(9))
    until(lambda: stream.report().frames == 2)
    assert stream.frame(PATIENCE_S).rgb[0, 0, 0] == 9
    report = stream.report()
    assert report.connects == 2
    assert report.last_error == "no such device"


def test_a_vendor_error_of_any_type_is_survived(driver, stream):
    driver.script.put(ZeroDivisionError("inside a vendor's library"))
    until(lambda: driver.opened >= 2)
    driver.script.put(good(4))
    until(lambda: stream.report().frames == 1)
    assert stream.frame(PATIENCE_S).rgb[0, 0, 0] == 4


def test_a_hanging_driver_shows_as_silent(driver, stream):
    release = threading.Event()
    driver.script.put(good())
    until(lambda: stream.report().frames == 1)
    driver.script.put(lambda: (release.wait(PATIENCE_S), good())[1])
    until(lambda: stream.report().state is StreamState.SILENT)
    assert "no frame for" in stream.report().reason
    release.set()
    until(lambda: stream.report().frames == 2)


def image(encoding="rgb8", height=6, width=8, step=None, data=None):
    from types import SimpleNamespace

    size = {"rgb8": 3, "16UC1": 2, "32FC1": 4}.get(encoding, 1)
    data = bytes(height * width * size) if data is None else data
    step = width * size if step is None else step
    return SimpleNamespace(height=height, width=width, encoding=encoding, is_bigendian=0, step=step, data=data)


NOT_RIGID = np.diag([1.0, 1.0, 2.0, 1.0])
BAD = {
    "wrong encoding": (lambda: good(rgb=decode_color(image("jpeg2000"))), "encoding 'jpeg2000'; known are rgb8"),
    "colour as depth": (lambda: good(depth=decode_depth(image("rgb8"))), "depth image has encoding 'rgb8'"),
    "zero-size image": (lambda: good(rgb=decode_color(image(height=0))), "8 x 0 pixels is empty"),
    "zero-size array": (lambda: good(rgb=np.zeros((0, 0, 3), np.uint8), color_intrinsics=None), "rgb is empty"),
    "cut-off data": (
        lambda: good(rgb=decode_color(image(data=b"123"))),
        "needs rows of 24 bytes; it has step 24 and 3",
    ),
    "non-rigid pose": (lambda: good(T_base_camera=NOT_RIGID), "T_base_camera: the rotation is off orthonormal"),
    "pose of NaN": (lambda: good(T_base_camera=np.full((4, 4), np.nan)), "T_base_camera contains NaN"),
    "size against camera_info": (
        lambda: good(rgb=np.zeros((5, 8, 3), np.uint8)),
        r"rgb is \(5, 8\), its camera \(6, 8\)",
    ),
    "neither colour nor depth": (lambda: RawFrame(stamp_ns=1), "neither colour nor depth"),
    "depth of doubles": (lambda: good(depth=np.ones((6, 8))), "depth is float64"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_clear_error_and_the_next_frame_works(driver, stream, name):
    make, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        make()
    driver.script.put(good(1))
    driver.script.put(make)
    until(lambda: stream.report().bad_frames == 1)
    report = stream.report()
    assert report.state is StreamState.CONNECTED
    assert report.last_error
    driver.script.put(good(2))
    until(lambda: stream.report().frames == 2)
    assert stream.frame(PATIENCE_S).rgb[0, 0, 0] == 2
    assert driver.opened == 1


def test_invalid_depth_becomes_nan_and_nothing_else():
    depth = np.full((6, 8), 0.5, np.float32)
    depth[0, :4] = np.nan, np.inf, -np.inf, -1.0
    picture = good(depth=depth, aligned_depth=depth).to_camera_frame()
    assert np.isnan(picture.depth_m[0, :4]).all()
    assert (picture.depth_m[1:] == 0.5).all()


def test_missing_camera_info_is_said_and_a_calibration_cures_it(driver):
    blind = {"color_intrinsics": None, "depth_intrinsics": None}
    with CameraStream("wrist", driver, FAST) as stream:
        driver.script.put(good(**blind))
        with pytest.raises(StateError, match="no intrinsics: give it a calibration file"):
            stream.frame(PATIENCE_S)
        assert not stream.report().calibrated
    mount = MountConfig.of(transform((1.0, 2.0, 3.0)), "base_link", "wrist_optical")
    calibration = CameraCalibration(
        camera="wrist", width=8, height=6, fx=11.0, fy=12.0, cx=3.0, cy=2.0, mount="fixed", pose=mount
    )
    with CameraStream("wrist", driver, FAST, calibration=calibration) as stream:
        driver.script.put(good(**blind))
        picture = stream.frame(PATIENCE_S)
        assert (picture.intrinsics.fx, picture.intrinsics.fy) == (11.0, 12.0)
        assert picture.T_base_camera[:3, 3].tolist() == [1.0, 2.0, 3.0]
        other = np.zeros((3, 4, 3), np.uint8)
        driver.script.put(RawFrame(stamp_ns=time.time_ns(), rgb=other))
        until(lambda: stream.report().bad_frames == 1)
        assert "is for 8 x 6 pixels, the frame has 4 x 3" in stream.report().last_error


def test_pose_of_a_moving_camera_is_asked_at_the_stamp(driver):
    asked = []

    def pose(stamp_ns: int):
        asked.append(stamp_ns)
        return transform((0.0, 0.0, 9.0))

    frame = good()
    with CameraStream("wrist", driver, FAST, pose=pose) as stream:
        driver.script.put(frame)
        assert stream.frame(PATIENCE_S).T_base_camera[2, 3] == 9.0
    assert asked == [frame.stamp_ns]


def test_a_frame_without_depth_is_marked(driver, stream):
    driver.script.put(good(depth=None, aligned_depth=None, depth_intrinsics=None))
    assert stream.frame(PATIENCE_S).depth_m is None
    assert not stream.report().has_depth


def test_a_failing_listener_does_not_end_the_stream(driver):
    def listener(frame: RawFrame) -> None:
        raise errors.pop()

    errors = [RuntimeError("no context"), FrameError("cannot publish this")]

    with CameraStream("wrist", driver, FAST, on_frame=listener) as stream:
        driver.script.put(good())
        driver.script.put(good())
        until(lambda: stream.report().frames == 2)
        until(lambda: stream.report().bad_frames == 2)
        assert stream.report().last_error == "its listener failed: no context"
        assert stream.report().state is StreamState.CONNECTED


def test_drops_are_counted_by_number_and_by_gap(driver, stream):
    now = time.time_ns()
    for number, ms in ((1, 0), (2, 33), (6, 166)):
        driver.script.put(good(sequence=number, stamp_ns=now + ms * 1_000_000))
    until(lambda: stream.report().frames == 3)
    assert stream.report().drops == 3
    for ms in (200, 333):  # 30 Hz: three lost
        driver.script.put(good(stamp_ns=now + ms * 1_000_000))
    until(lambda: stream.report().frames == 5)
    assert stream.report().drops == 3 + 3


def test_the_end_of_a_recording_is_no_fault(driver, stream):
    driver.script.put(good())
    driver.script.put(EndOfRecordingError("all was shown"))
    until(lambda: stream.report().state is StreamState.ENDED)
    with pytest.raises(StateError, match="ended: all was shown"):
        stream.frame(0.0)


def test_stamps_of_a_device_clock_are_mapped_to_system_time(driver, stream):
    driver.script.put(lambda: good(stamp_ns=12_345, clock=Clock.DEVICE))
    before = time.time_ns()
    picture = stream.frame(PATIENCE_S)
    assert before - 1_000_000_000 < picture.stamp_ns <= time.time_ns()


@settings(deadline=None)
@given(
    offset=st.integers(-(10**15), 10**15),
    delays=st.lists(st.integers(1_000_000, 100_000_000), min_size=2, max_size=60),
)
def test_mapped_stamps_are_never_in_the_future_and_late_by_the_smallest_delay_at_most(offset, delays):
    mapper = ClockMapper()
    for i, delay in enumerate(delays):
        taken = i * 33_000_000  # true system time of capture
        mapped = mapper.to_system(taken - offset, taken + delay)
        assert taken <= mapped <= taken + delay
        assert mapped - taken == min(delays[: i + 1])


def test_a_device_clock_that_jumps_back_starts_the_estimate_anew():
    mapper = ClockMapper()
    assert mapper.to_system(1_000_000_000, 5_000_000_000) == 5_000_000_000
    assert mapper.to_system(0, 6_000_000_000) == 6_000_000_000
    assert mapper.to_system(9_000_000_000, 6_100_000_000) == 6_100_000_000


def test_depth_is_registered_to_a_shifted_and_finer_camera():
    source = Intrinsics(40, 30, 40.0, 40.0, 19.5, 14.5)
    target = Intrinsics(80, 60, 80.0, 80.0, 39.5, 29.5)
    depth = np.full((30, 40), 2.0, np.float32)
    depth[10:20, 15:25] = 1.0  # a box in front
    out = register_depth(depth, source, target, transform((0.1, 0.0, 0.0)))
    # 0.1 m to the right: 8 pixels at 1 m, 4 at 2 m.
    assert out[30, 40 + 8] == 1.0
    assert out[5, 60] == 2.0
    assert np.isnan(out[30, 0:3]).all()
    inside = out[2:-2, 6:-2]
    assert np.isfinite(inside[:15]).all()  # no holes where one surface is seen
