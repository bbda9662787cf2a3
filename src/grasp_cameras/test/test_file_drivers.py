# SPDX-License-Identifier: Apache-2.0
"""Drivers that play recordings: a folder, an MCAP bag, a film; and the simulated camera."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from grasp_cameras.driver import CameraError, Clock, EndOfRecordingError, ReadTimeoutError, make_driver
from grasp_cameras.drivers.folder import Folder, FolderOptions
from grasp_cameras.drivers.mcap import Mcap, McapOptions
from grasp_cameras.drivers.simulated import Simulated, SimulatedOptions
from grasp_cameras.drivers.uvc import Uvc, UvcOptions
from grasp_core.camera import CameraFrame, FrameError, Intrinsics
from grasp_core.config import ConfigError
from grasp_core.registry import UnknownNameError


def read_all(driver, most: int = 50) -> list:
    driver.open()
    frames = []
    try:
        while len(frames) < most:
            frames.append(driver.read(1.0))
    except EndOfRecordingError:
        return frames
    finally:
        driver.close()
    return frames


def test_seven_scenes_folder(seven_scenes):
    frames = read_all(Folder(FolderOptions(path=str(seven_scenes), loop=False, real_time=False, rate_hz=10.0)))
    assert [f.stamp_ns for f in frames] == [0, 100_000_000, 200_000_000, 300_000_000]
    assert frames[2].rgb[0, 0].tolist() == [200, 20, 20]
    picture = frames[2].to_camera_frame()
    assert picture.depth_m[5, 5] == pytest.approx(0.502)
    assert np.isnan(picture.depth_m[0, :2]).all()
    assert picture.T_base_camera[0, 3] == pytest.approx(0.2)
    assert picture.intrinsics == Intrinsics(64, 48, 60.0, 60.0, 31.5, 23.5)


def test_folder_repeats_and_keeps_its_rate(seven_scenes):
    driver = Folder(FolderOptions(path=str(seven_scenes), rate_hz=200.0))
    assert len(read_all(driver, most=9)) == 9
    slow = Folder(FolderOptions(path=str(seven_scenes), rate_hz=0.1))
    slow.open()
    slow.read(0.1)
    with pytest.raises(ReadTimeoutError):
        slow.read(0.01)
    slow.close()


def test_subfolders_with_depth_in_metres(tmp_path):
    for kind in ("color", "depth"):
        (tmp_path / kind).mkdir()
    cv2.imwrite(str(tmp_path / "color" / "a.png"), np.zeros((6, 8, 3), np.uint8))
    np.save(tmp_path / "depth" / "a.npy", np.full((6, 8), 0.7))
    cv2.imwrite(str(tmp_path / "color" / "b.png"), np.zeros((6, 8, 3), np.uint8))
    frames = read_all(Folder(FolderOptions(path=str(tmp_path), loop=False, real_time=False)))
    assert frames[0].depth_metres()[0, 0] == pytest.approx(0.7)
    # b has no depth: marked, not invented.
    assert frames[1].depth is None
    assert frames[1].aligned_depth is None


def test_folder_without_frames_or_missing_is_refused(tmp_path):
    with pytest.raises(CameraError, match="holds no frames"):
        Folder(FolderOptions(path=str(tmp_path))).open()
    with pytest.raises(CameraError, match="does not exist"):
        Folder(FolderOptions(path=str(tmp_path / "none"))).open()


def test_real_sequence_and_real_frame(shared_data):
    frames = read_all(Folder(FolderOptions(path=str(shared_data / "rgbd_sequence"), real_time=False)), most=3)
    picture = frames[0].to_camera_frame()
    assert picture.intrinsics.fx == 585.0
    assert 0.5 < np.nanmedian(picture.depth_m) < 5.0
    (single,) = read_all(Folder(FolderOptions(path=str(shared_data / "tabletop_frame"), loop=False, real_time=False)))
    assert single.to_camera_frame().depth_m.shape == (720, 1280)


def write_bag(path: Path, *, with_info: bool = True, broken_encoding_at: int = -1, depth_every: int = 1) -> None:
    """Ten frames as a ROS 2 recorder writes them."""
    from mcap_ros2.writer import Writer

    header = "std_msgs/Header header\n"
    types = (
        "================================================================================\n"
        "MSG: std_msgs/Header\nbuiltin_interfaces/Time stamp\nstring frame_id\n"
        "================================================================================\n"
        "MSG: builtin_interfaces/Time\nint32 sec\nuint32 nanosec\n"
    )
    fields = ("uint32 height", "uint32 width", "string encoding", "uint8 is_bigendian", "uint32 step", "uint8[] data")
    image = header + "\n".join(fields) + "\n" + types
    fields = ("uint32 height", "uint32 width", "string distortion_model", "float64[] d", "float64[9] k")
    info = header + "\n".join((*fields, "float64[9] r", "float64[12] p")) + "\n" + types
    with path.open("wb") as stream:
        writer = Writer(stream)
        image_schema = writer.register_msgdef("sensor_msgs/msg/Image", image)
        info_schema = writer.register_msgdef("sensor_msgs/msg/CameraInfo", info)
        for i in range(10):
            ns = 5_000_000_000 + i * 33_000_000
            head = {"stamp": {"sec": ns // 10**9, "nanosec": ns % 10**9}, "frame_id": "color_optical_frame"}
            size = {"height": 4, "width": 6}
            k = [50.0, 0.0, 2.5, 0.0, 50.0, 1.5, 0.0, 0.0, 1.0]
            fields = {"distortion_model": "plumb_bob", "d": [0.0] * 5, "k": k, "r": [0.0] * 9, "p": [0.0] * 12}
            for topic in ("/cam/color", "/cam/aligned_depth_to_color"):
                if with_info:
                    message = {"header": head, **size, **fields}
                    writer.write_message(f"{topic}/camera_info", info_schema, message, log_time=ns, publish_time=ns)
            encoding = "yuv_strange" if i == broken_encoding_at else "bgr8"
            color = np.full((4, 6, 3), (i, 0, 250), np.uint8).tobytes()
            message = {"header": head, **size, "encoding": encoding, "is_bigendian": 0, "step": 18, "data": color}
            writer.write_message("/cam/color/image_raw", image_schema, message, log_time=ns, publish_time=ns)
            if i % depth_every == 0:
                depth = np.full((4, 6), 600 + i, np.uint16).tobytes()
                message = {"header": head, **size, "encoding": "16UC1", "is_bigendian": 0, "step": 12, "data": depth}
                topic = "/cam/aligned_depth_to_color/image_raw"
                writer.write_message(topic, image_schema, message, log_time=ns, publish_time=ns)
        writer.finish()


def test_mcap_pairs_colour_and_depth(tmp_path):
    write_bag(tmp_path / "bag.mcap", depth_every=2)
    frames = read_all(Mcap(McapOptions(path=str(tmp_path), loop=False, real_time=False)))
    assert len(frames) == 10
    assert [f.depth is not None for f in frames] == [True, False] * 5
    assert frames[4].rgb[0, 0].tolist() == [250, 0, 4]
    assert frames[4].stamp_ns == 5_132_000_000
    assert frames[4].clock is Clock.DEVICE
    assert frames[4].to_camera_frame().depth_m[0, 0] == pytest.approx(0.604)
    assert frames[4].color_intrinsics.fx == 50.0


def test_mcap_without_camera_info_gives_uncalibrated_frames(tmp_path, caplog):
    write_bag(tmp_path / "bag.mcap", with_info=False)
    frames = read_all(Mcap(McapOptions(path=str(tmp_path / "bag.mcap"), loop=False, real_time=False)))
    assert frames[0].color_intrinsics is None
    assert "has no /cam/color/camera_info" in caplog.text
    with pytest.raises(FrameError, match="no intrinsics"):
        frames[0].to_camera_frame()


def test_mcap_wrong_encoding_costs_one_frame(tmp_path):
    write_bag(tmp_path / "bag.mcap", broken_encoding_at=3)
    driver = Mcap(McapOptions(path=str(tmp_path / "bag.mcap"), loop=True, real_time=False))
    driver.open()
    for _ in range(3):
        driver.read(1.0)
    with pytest.raises(FrameError, match="encoding 'yuv_strange'; known are rgb8"):
        driver.read(1.0)
    assert driver.read(1.0).rgb[0, 0, 2] == 4
    assert [driver.read(1.0).rgb[0, 0, 2] for _ in range(7)][-1] == 1  # started over
    driver.close()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("a.mcap", b"no bag at all", "no readable MCAP"), ("a.mcap", None, "does not exist")],
)
def test_mcap_refuses_what_is_none(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CameraError, match=message):
        Mcap(McapOptions(path=str(tmp_path / name))).open()


def test_mcap_refuses_an_unknown_topic(tmp_path):
    write_bag(tmp_path / "bag.mcap")
    with pytest.raises(
        CameraError, match=r"no color topic /other; image topics are /cam/aligned.*, /cam/color/image_raw"
    ):
        Mcap(McapOptions(path=str(tmp_path / "bag.mcap"), color="/other")).open()


def test_uvc_plays_a_film(tmp_path):
    path = str(tmp_path / "film.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 50.0, (64, 48))
    assert writer.isOpened()
    for i in range(6):
        writer.write(np.full((48, 64, 3), (0, 0, 40 * i), np.uint8))
    writer.release()
    frames = read_all(Uvc(UvcOptions(device=path, rate_hz=50.0, loop=False, fov_y=1.0)))
    assert len(frames) == 6
    assert abs(int(frames[5].rgb[20, 20, 0]) - 200) < 12
    assert frames[5].depth is None
    assert frames[5].color_intrinsics == Intrinsics.from_fov(64, 48, 1.0)
    stamps = np.diff([f.stamp_ns for f in frames])
    assert stamps == pytest.approx(20e6, abs=1e6)
    assert len(read_all(Uvc(UvcOptions(device=path, rate_hz=50.0)), most=8)) == 8


class FakeVideo:
    """A V4L2 camera: pictures, their capture time in ms, and the size that it really gives."""

    size = (64, 48)

    def __init__(self, device, backend) -> None:
        assert (device, backend) == (2, cv2.CAP_V4L2)
        self.asked, self.count, self.released = {}, 0, False

    def isOpened(self) -> bool:
        return True

    def set(self, prop, value) -> bool:
        self.asked[prop] = value
        return True

    def get(self, prop) -> float:
        width, height = self.size
        known = {cv2.CAP_PROP_FRAME_WIDTH: width, cv2.CAP_PROP_FRAME_HEIGHT: height}
        return known.get(prop, 1000.0 + 33.0 * self.count if prop == cv2.CAP_PROP_POS_MSEC else -1.0)

    def read(self):
        self.count += 1
        return (False, None) if self.count == 3 else (True, np.full((48, 64, 3), (1, 2, 3), np.uint8))

    def release(self) -> None:
        self.released = True


def test_uvc_camera_is_set_up_stamped_by_its_driver_and_reported_when_pulled_out(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", FakeVideo)
    driver = Uvc(UvcOptions(device=2, width=64, height=48, rate_hz=15.0, fourcc="MJPG"))
    assert driver.capabilities.live
    driver.open()
    asked = driver._capture.asked
    assert asked[cv2.CAP_PROP_FPS] == 15.0
    assert asked[cv2.CAP_PROP_FOURCC] == cv2.VideoWriter.fourcc(*"MJPG")
    frames = [driver.read(0.1), driver.read(0.1)]
    assert [f.stamp_ns for f in frames] == [1_033_000_000, 1_066_000_000]
    assert frames[0].clock is Clock.DEVICE
    assert frames[0].rgb[0, 0].tolist() == [3, 2, 1]
    assert frames[0].color_intrinsics is None  # such a camera does not know its lens
    with pytest.raises(CameraError, match="unplugged"):
        driver.read(0.1)
    driver.close()
    with pytest.raises(CameraError, match="gives 64 x 48 pixels instead of 640 x 480"):
        Uvc(UvcOptions(device=2)).open()


def test_uvc_refuses_a_source_that_is_not_there():
    with pytest.raises(CameraError, match="'/dev/video99' cannot be opened"):
        Uvc(UvcOptions(device="/dev/video99")).open()


def test_simulated_camera_takes_pictures_from_a_function():
    camera = Intrinsics.from_fov(8, 6, 1.0)
    pictures = iter([CameraFrame(camera, np.eye(4), 7, depth_m=np.ones((6, 8), np.float32)), None])
    frames = read_all(Simulated.of(lambda: next(pictures), rate_hz=500.0))
    assert [f.stamp_ns for f in frames] == [7]
    assert frames[0].rgb is None
    assert frames[0].depth_metres()[0, 0] == 1.0
    with pytest.raises(CameraError, match="takes one source"):
        Simulated(SimulatedOptions())
    with pytest.raises(CameraError, match="'nowhere:make' cannot be made"):
        Simulated(SimulatedOptions(source="nowhere:make")).open()


def test_drivers_are_found_by_name(entry_points, seven_scenes):
    from grasp_core import registry

    expected = {"realsense", "kinect_v2", "azure_kinect", "uvc", "folder", "mcap", "simulated"}
    assert expected <= set(registry.names("grasp.cameras"))
    driver = make_driver("folder", {"path": str(seven_scenes)})
    assert driver.capabilities.rate_hz == 30.0
    with pytest.raises(UnknownNameError, match="Did you mean 'folder'"):
        make_driver("foldr")
    with pytest.raises(ConfigError, match="options of camera driver folder: there is no setting 'pth'"):
        make_driver("folder", {"path": ".", "pth": "."})


def test_camera_files_name_drivers_and_options_that_exist(entry_points):
    from grasp_cameras.settings import CameraSettings
    from grasp_core import registry, resources

    files = resources.names("config", "cameras")
    assert {"realsense_d415", "kinect_v2", "azure_kinect", "uvc", "folder", "mcap"} <= set(files)
    for name in files:
        settings = CameraSettings.load(name)
        registry.load("grasp.cameras", settings.driver).Options.from_mapping(settings.options, name)
