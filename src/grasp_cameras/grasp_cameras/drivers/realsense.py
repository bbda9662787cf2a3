# SPDX-License-Identifier: Apache-2.0
"""Intel RealSense cameras and their recordings, through pyrealsense2.

D400 class cameras (D415) run live. SR300 class cameras were dropped from the SDK in 2.55: with a newer one play their
recordings, or install an SDK of 2.50. Recordings end in .bag, and in .db3 from SDK 2.58 on.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from grasp_cameras.driver import (
    CameraError,
    Capabilities,
    Clock,
    EndOfRecordingError,
    RawFrame,
    ReadTimeoutError,
    import_sdk,
)
from grasp_core.camera import FrameError, Intrinsics
from grasp_core.config import Config
from grasp_core.geometry import transform

_LOG = logging.getLogger(__name__)
Size = tuple[Annotated[int, Field(ge=8, le=4096)], Annotated[int, Field(ge=8, le=4096)]]


class RealSenseOptions(Config):
    """Which RealSense and how it streams."""

    serial: str = ""
    """Serial number; empty takes the first camera."""
    file: str = ""
    """A recording to play instead of a camera."""
    loop: bool = True
    """Start a recording anew at its end."""
    real_time: bool = True
    """Play a recording at its own speed rather than as fast as frames are read."""
    record: str = ""
    """Also write everything to this file (.bag, or .db3 from SDK 2.58 on)."""
    color: bool = True
    depth: bool = True
    color_size: Size = (640, 480)
    """Width and height of colour."""
    depth_size: Size = (640, 480)
    """Width and height of depth."""
    rate_hz: Annotated[int, Field(ge=1, le=300)] = 30
    align: bool = True
    """Have the SDK register depth to colour."""
    preset: str = ""
    """Visual preset of a D400 ("High Accuracy", "High Density", ...); empty leaves it."""

    @model_validator(mode="after")
    def _streams(self) -> Self:
        if not (self.color or self.depth):
            raise ValueError("color and depth are both off; one is needed")
        if self.file and (self.record or self.preset or self.serial):
            raise ValueError("a recording (file) takes no record, preset or serial")
        return self


class RealSense:
    """One RealSense camera, a recording, or a device made by the caller.

    Args:
        options: see there.
        device: an SDK device to read instead of looking for one; a ``software_device`` streams without hardware.
    """

    Options: ClassVar[type[Config]] = RealSenseOptions

    def __init__(self, options: RealSenseOptions, device: Any = None) -> None:
        self._rs = import_sdk("pyrealsense2", "RealSense", "install the wheel pyrealsense2")
        self._options = options
        self._device = device
        self._source: _Pipeline | _Sensors | None = None
        self._align = self._rs.align(self._rs.stream.color) if options.align else None

    @property
    def capabilities(self) -> Capabilities:
        """Colour and depth as chosen; aligned where the SDK registers."""
        o = self._options
        live = not o.file
        return Capabilities(o.color, o.depth, o.align and o.color, live, rate_hz=float(o.rate_hz) if live else None)

    def open(self) -> None:
        """Start streaming."""
        self.close()
        source = _Sensors(self._rs, self._device) if self._device is not None else _Pipeline(self._rs, self._options)
        source.start()
        self._source = source

    def close(self) -> None:
        """Stop streaming."""
        if self._source is not None:
            self._source.stop()
            self._source = None

    def read(self, timeout_s: float) -> RawFrame:
        """The next set of frames; colour or depth that did not arrive is none."""
        if self._source is None:
            raise CameraError("the RealSense camera is not open")
        frames = self._source.wait(timeout_s)
        color, depth = frames.get_color_frame(), frames.get_depth_frame()
        color = color if color and self._options.color else None
        depth = depth if depth and self._options.depth else None
        first = color or depth
        if not first:
            raise FrameError("the RealSense sent a set of frames without colour and depth")
        domain = first.get_frame_timestamp_domain()
        live_system = not self._options.file and domain != self._rs.timestamp_domain.hardware_clock
        values: dict[str, Any] = {
            # A recording's stamps are of the past, on whatever clock: they are mapped like a device's.
            "clock": Clock.SYSTEM if live_system else Clock.DEVICE,
            "stamp_ns": round(first.get_timestamp() * 1e6),
            "sequence": int(first.get_frame_number()),
        }
        if color:
            values |= {"rgb": self._rgb(color), "color_intrinsics": self._intrinsics(color)}
        if depth:
            values |= {
                "depth": _pixels(depth),
                "depth_intrinsics": self._intrinsics(depth),
                "depth_scale_m": float(depth.get_units()),
            }
        if color and depth:
            extrinsics = depth.profile.get_extrinsics_to(color.profile)
            R = np.array(extrinsics.rotation).reshape(3, 3, order="F")  # the SDK stores columns
            values["T_color_depth"] = transform(extrinsics.translation, R)
            if self._align is not None:
                values["aligned_depth"] = _pixels(self._align.process(frames).get_depth_frame())
        return RawFrame(**values)

    def _rgb(self, frame: Any) -> np.ndarray:
        kind = frame.profile.format()
        image = _pixels(frame)
        if kind == self._rs.format.rgb8:
            return image
        if kind == self._rs.format.bgr8:
            return np.ascontiguousarray(image[..., ::-1])
        raise FrameError(f"RealSense colour comes as {kind}; rgb8 or bgr8 is expected")

    def _intrinsics(self, frame: Any) -> Intrinsics:
        i = frame.profile.as_video_stream_profile().get_intrinsics()
        models = (self._rs.distortion.brown_conrady, self._rs.distortion.modified_brown_conrady)
        coefficients = tuple(float(c) for c in i.coeffs)
        if any(coefficients) and i.model not in models:
            # The inverse model cannot be said in plumb_bob; D400 cameras report it with zeros, others not.
            _LOG.warning("RealSense distortion %s has no equal in ROS and is left out; calibrate the camera", i.model)
            coefficients = ()
        distortion = coefficients if any(coefficients) else ()
        return Intrinsics(i.width, i.height, i.fx, i.fy, i.ppx, i.ppy, distortion)


class _Pipeline:
    """A camera that is plugged in, or a recording."""

    def __init__(self, rs: Any, options: RealSenseOptions) -> None:
        self._rs, self._options = rs, options
        self._context = rs.context()
        self._pipeline: Any = None
        self._last_ns = 0

    def start(self) -> None:
        rs, o = self._rs, self._options
        config = rs.config()
        if o.file:
            if not Path(o.file).is_file():
                raise CameraError(f"the recording {o.file} does not exist")
            config.enable_device_from_file(o.file, o.loop)
        else:
            if not self._present():  # the SDK itself would look for fifteen seconds
                missing = f"{self._what()} is not connected. {self._found()}" if o.serial else self._found()
                raise CameraError(missing)
            if o.serial:
                config.enable_device(o.serial)
            if o.color:
                config.enable_stream(rs.stream.color, *o.color_size, rs.format.rgb8, o.rate_hz)
            if o.depth:
                config.enable_stream(rs.stream.depth, *o.depth_size, rs.format.z16, o.rate_hz)
            if o.record:
                config.enable_record_to_file(o.record)
        pipeline = rs.pipeline(self._context)
        try:
            profile = pipeline.start(config)
        except RuntimeError as error:
            raise CameraError(f"{self._what()} does not start: {error}. {self._found()}") from error
        self._pipeline = pipeline
        device = profile.get_device()
        if o.file:
            device.as_playback().set_real_time(o.real_time)
        if o.preset:
            self._set_preset(device, o.preset)

    def wait(self, timeout_s: float) -> Any:
        try:
            return self._pipeline.wait_for_frames(max(1, int(timeout_s * 1000)))
        except RuntimeError as error:
            if self._options.file:
                # Silence alone is no end: a busy machine may be slow to read the file.
                if not self._options.loop and self._has_stopped():
                    raise EndOfRecordingError(f"the recording {self._options.file} is over") from error
            elif not self._present():
                raise CameraError(f"{self._what()} was unplugged") from error
            raise ReadTimeoutError(f"no frame of {self._what()} in {timeout_s:g} s") from error

    def _has_stopped(self) -> bool:
        playback = self._pipeline.get_active_profile().get_device().as_playback()
        return bool(playback.current_status() == self._rs.playback_status.stopped)

    def stop(self) -> None:
        if self._pipeline is None:
            return
        try:
            self._pipeline.stop()
        except RuntimeError as error:
            _LOG.debug("stopping %s: %s", self._what(), error)  # it is gone already
        self._pipeline = None

    def _what(self) -> str:
        o = self._options
        return f"the recording {o.file}" if o.file else f"RealSense {o.serial}" if o.serial else "the RealSense"

    def _serials(self) -> list[str]:
        return [d.get_info(self._rs.camera_info.serial_number) for d in self._context.query_devices()]

    def _present(self) -> bool:
        serials = self._serials()
        return self._options.serial in serials if self._options.serial else bool(serials)

    def _found(self) -> str:
        if self._options.file:
            return "SDK 2.58 and newer play .bag and .db3, older ones only .bag"
        serials = self._serials()
        return f"Connected: {', '.join(serials)}" if serials else "no RealSense is connected"

    def _set_preset(self, device: Any, preset: str) -> None:
        sensor = device.first_depth_sensor()
        option = self._rs.option.visual_preset
        if not sensor.supports(option):
            raise CameraError(f"{self._what()} has no presets")
        low, high = sensor.get_option_range(option).min, sensor.get_option_range(option).max
        known = {sensor.get_option_value_description(option, float(i)): i for i in range(int(low), int(high) + 1)}
        if preset not in known:
            raise CameraError(f"{self._what()} has no preset {preset!r}; it has {', '.join(map(str, known))}")
        sensor.set_option(option, float(known[preset]))


class _Sensors:
    """A device made by the caller: its sensors are paired by the SDK's syncer."""

    def __init__(self, rs: Any, device: Any) -> None:
        self._rs, self._device = rs, device
        self._open: list[Any] = []

    def start(self) -> None:
        self._syncer = self._rs.syncer()
        for sensor in self._device.query_sensors():
            profiles = sensor.get_stream_profiles()
            if profiles:
                sensor.open(profiles[0])
                sensor.start(self._syncer)
                self._open.append(sensor)
        if not self._open:
            raise CameraError("the RealSense device offers no stream")

    def wait(self, timeout_s: float) -> Any:
        end = time.monotonic() + timeout_s
        wanted = len(self._open)
        while (left := end - time.monotonic()) > 0.0:
            try:
                frames = self._syncer.wait_for_frames(max(1, int(left * 1000)))
            except RuntimeError as error:
                raise ReadTimeoutError(f"no frame of the RealSense device in {timeout_s:g} s") from error
            if len(frames) == wanted:  # the syncer's first set may hold one stream alone
                return frames
        raise ReadTimeoutError(f"no complete set of frames of the RealSense device in {timeout_s:g} s")

    def stop(self) -> None:
        for sensor in self._open:
            sensor.stop()
            sensor.close()
        self._open.clear()


def _pixels(frame: Any) -> np.ndarray:
    # The SDK reuses its buffer once the frame is released.
    return np.array(np.asanyarray(frame.get_data()))
