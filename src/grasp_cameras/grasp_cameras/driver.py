# SPDX-License-Identifier: Apache-2.0
"""What every camera driver offers, and what it hands over.

A driver is a class with an ``Options`` configuration, registered in the entry point group ``grasp.cameras``. It talks
to one device or recording and knows nothing of reconnecting, rates or ROS: ``CameraStream`` does that.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import ModuleType
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from grasp_cameras.registration import register_depth
from grasp_core import registry
from grasp_core.camera import CameraFrame, FrameError, Intrinsics, Rgb, depth_to_metres
from grasp_core.config import Config, ConfigError
from grasp_core.geometry import Array, check_rigid

GROUP = "grasp.cameras"


class CameraError(RuntimeError):
    """The device or recording cannot be opened or read; the message says what happened and what to do."""


class SdkMissingError(CameraError):
    """The vendor's Python package is not installed."""


class ReadTimeoutError(CameraError):
    """No frame within the time-out; the device may still come back."""


class EndOfRecordingError(CameraError):
    """A recording is over and is not to be repeated."""


class Clock(StrEnum):
    """Whose time a frame's stamp is."""

    SYSTEM = "system"
    DEVICE = "device"


@dataclass(frozen=True)
class Capabilities:
    """What a driver delivers, known before it is opened.

    Attributes:
        color, depth: whether frames can carry them.
        aligned: whether depth comes registered to the colour camera's pixels.
        live: a device, as opposed to a recording.
        pose: whether frames can carry the camera's pose.
        rate_hz: the rate it is set to, or none where only the device knows.
    """

    color: bool
    depth: bool
    aligned: bool
    live: bool
    pose: bool = False
    rate_hz: float | None = None


@dataclass(frozen=True)
class RawFrame:
    """One picture as the sensor gave it. What the sensor did not give is none; nothing is invented.

    Attributes:
        stamp_ns: time of capture on ``clock``, nanoseconds.
        clock: whose time that is.
        rgb: uint8 [H, W, 3].
        depth: uint16 in units of ``depth_scale_m``, or float32 in metres [h, w], in the depth camera's own pixels.
        depth_scale_m: metres a unit of an integer depth image.
        color_intrinsics, depth_intrinsics: none where the driver does not know them.
        T_color_depth: maps the depth camera's coordinates into the colour camera's; none where unknown.
        aligned_depth: as ``depth`` but in the colour camera's pixels [H, W]; the same array where the sensor has only
            one optical frame.
        T_base_camera: pose of the colour camera (of the depth camera without colour) where the source knows it.
        sequence: the device's frame number, to count what was lost.
    """

    stamp_ns: int
    clock: Clock = Clock.SYSTEM
    rgb: Rgb | None = field(default=None, repr=False)
    depth: NDArray[Any] | None = field(default=None, repr=False)
    depth_scale_m: float = 0.001
    color_intrinsics: Intrinsics | None = None
    depth_intrinsics: Intrinsics | None = None
    T_color_depth: Array | None = None
    aligned_depth: NDArray[Any] | None = field(default=None, repr=False)
    T_base_camera: Array | None = None
    sequence: int | None = None

    def __post_init__(self) -> None:
        if self.rgb is None and self.depth is None:
            raise FrameError("the frame carries neither colour nor depth")
        if self.rgb is not None and (self.rgb.ndim != 3 or self.rgb.shape[2] != 3 or self.rgb.dtype != np.uint8):
            raise FrameError(f"rgb is {self.rgb.dtype} {self.rgb.shape}; expected uint8 [H, W, 3]")
        for name in ("depth", "aligned_depth"):
            image = getattr(self, name)
            if image is not None and (image.ndim != 2 or image.dtype not in (np.uint16, np.float32)):
                raise FrameError(f"{name} is {image.dtype} {image.shape}; expected uint16 or float32 [H, W]")
        for name, image, camera in (
            ("rgb", self.rgb, self.color_intrinsics),
            ("depth", self.depth, self.depth_intrinsics),
            ("aligned_depth", self.aligned_depth, self.color_intrinsics),
        ):
            if image is None:
                continue
            if image.size == 0:
                raise FrameError(f"{name} is empty: {image.shape}")
            if camera is not None and image.shape[:2] != (camera.height, camera.width):
                raise FrameError(
                    f"{name} is {image.shape[:2]}, its camera {(camera.height, camera.width)} (rows, columns)"
                )
        if not self.depth_scale_m > 0.0:
            raise FrameError(f"depth_scale_m is {self.depth_scale_m}; it is positive")
        for name in ("T_color_depth", "T_base_camera"):
            if getattr(self, name) is not None:
                check_rigid(getattr(self, name), name)

    def at(self, stamp_ns: int) -> RawFrame:
        """The same frame with its stamp on the system's clock."""
        return replace(self, stamp_ns=stamp_ns, clock=Clock.SYSTEM)

    def depth_metres(self, aligned: bool = False) -> NDArray[np.float32] | None:
        """Depth (or depth in the colour camera's pixels) in metres, NaN where invalid; none where there is none."""
        image = self.aligned_depth if aligned else self.depth
        return None if image is None else depth_to_metres(image, self.depth_scale_m)

    def registered_depth(self) -> NDArray[np.float32] | None:
        """Depth in the colour camera's pixels, metres, from the sensor or computed; none where there is none.

        Raises:
            FrameError: it would have to be computed and the cameras' relation is not known.
        """
        if self.depth is None or self.aligned_depth is not None:
            return self.depth_metres(aligned=True)
        if self.color_intrinsics is None or self.depth_intrinsics is None or self.T_color_depth is None:
            raise FrameError("depth cannot be registered to colour: the source gives no calibration of the two cameras")
        return register_depth(
            depth_to_metres(self.depth, self.depth_scale_m),
            self.depth_intrinsics,
            self.color_intrinsics,
            self.T_color_depth,
        )

    def to_camera_frame(self, T_base_camera: Array | None = None) -> CameraFrame:
        """Colour and registered depth of one optical frame; the pose given, else the source's, else the identity.

        Raises:
            FrameError: the camera is not calibrated, or colour and depth cannot be brought together.
        """
        pose = T_base_camera if T_base_camera is not None else self.T_base_camera
        pose = np.eye(4) if pose is None else pose
        camera = self.depth_intrinsics if self.rgb is None else self.color_intrinsics
        if camera is None:
            raise FrameError("the camera has no intrinsics: give it a calibration file")
        depth = self.depth_metres() if self.rgb is None else self.registered_depth()
        return CameraFrame(camera, pose, self.stamp_ns, self.rgb, depth)


@runtime_checkable
class CameraDriver(Protocol):
    """One device or recording.

    ``open``, ``read`` and ``close`` are called from one thread. After any error ``close`` is called and ``open`` again.
    """

    Options: ClassVar[type[Config]]

    @property
    def capabilities(self) -> Capabilities:
        """What it delivers; readable before ``open``."""
        ...

    def open(self) -> None:
        """Connect and start.

        Raises:
            CameraError: it is not there, or refuses the settings.
        """
        ...

    def read(self, timeout_s: float) -> RawFrame:
        """The next frame; waits for it.

        Raises:
            ReadTimeoutError: none came in time.
            EndOfRecordingError: there will be none.
            CameraError: the device is gone.
            FrameError: this frame is unusable; the next may be fine.
        """
        ...

    def close(self) -> None:
        """Stop and release; safe when not open."""
        ...


def make_driver(name: str, options: Mapping[str, Any] | None = None) -> CameraDriver:
    """Make the named driver with its options.

    Raises:
        UnknownNameError: no such driver; the message lists those that there are.
        ConfigError: it refuses an option.
        SdkMissingError: its vendor package is not installed.
    """
    cls = registry.load(GROUP, name)
    if not (isinstance(getattr(cls, "Options", None), type) and issubclass(cls.Options, Config)):
        raise ConfigError(f"camera driver {name!r} ({cls!r}) has no class attribute Options derived from Config")
    driver = cls(cls.Options.from_mapping(dict(options or {}), f"options of camera driver {name}"))
    if not isinstance(driver, CameraDriver):
        missing = [m for m in ("capabilities", "open", "read", "close") if not hasattr(driver, m)]
        raise ConfigError(f"camera driver {name!r} ({cls!r}) lacks {', '.join(missing)}")
    return driver


def import_sdk(module: str, camera: str, install: str) -> ModuleType:
    """Import a vendor's package, or say in a sentence what is missing and how to get it.

    Raises:
        SdkMissingError: it is not installed, or its shared libraries are not.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SdkMissingError(f"the {camera} camera needs the Python package {module} ({error}); {install}") from error
