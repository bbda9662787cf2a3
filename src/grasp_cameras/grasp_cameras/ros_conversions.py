# SPDX-License-Identifier: Apache-2.0
"""Between frames and ROS messages. Pixels are handed over in one piece, never one by one."""

from __future__ import annotations

import array
import logging
import sys
from collections.abc import Iterable
from typing import Any, Literal, TypeVar, get_args, get_origin

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Transform, TransformStamped
from numpy.typing import NDArray
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time as RosTime
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField
from std_msgs.msg import Header
from tf2_ros import Buffer, TransformException

from grasp_cameras.image_codec import decode_intrinsics
from grasp_cameras.registration import undistorted_rays
from grasp_cameras.stream import StreamReport, StreamState
from grasp_core.camera import CameraFrame, FrameError, Intrinsics, Rgb, depth_to_metres
from grasp_core.config import Config
from grasp_core.geometry import Array, difference, quaternion_of, transform

ConfigType = TypeVar("ConfigType", bound=Config)

_BIG_ENDIAN = sys.byteorder == "big"
_POINT_BYTES = 16
# Below this share of the target rate a camera is worth a warning.
SLOW_SHARE = 0.8
# A tool that moves less than this in this time is at rest: over a picture's exposure it is then off by far less.
REST_S, REST_M, REST_RAD = 0.2, 0.001, np.deg2rad(0.2)


def time_message(stamp_ns: int) -> Time:
    """Nanoseconds as a message."""
    return Time(sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000)


def header(stamp_ns: int, frame_id: str) -> Header:
    """A header."""
    return Header(stamp=time_message(stamp_ns), frame_id=frame_id)


def buffer(values: NDArray[Any]) -> array.array[int]:
    """The bytes of an array in the type that rclpy takes without looking at each of them."""
    out: array.array[int] = array.array("B")
    out.frombytes(np.ascontiguousarray(values).data.cast("B"))
    return out


def image_message(pixels: NDArray[np.generic], encoding: str, head: Header) -> Image:
    """An Image of an array [H, W] or [H, W, C]."""
    height, width = pixels.shape[:2]
    return Image(
        header=head,
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=int(_BIG_ENDIAN),
        step=width * pixels.itemsize * (pixels.shape[2] if pixels.ndim == 3 else 1),
        data=buffer(pixels),
    )


def depth_message(depth: NDArray[Any], scale_m: float, encoding: str, head: Header) -> Image:
    """A depth Image as 16UC1 (millimetres, 0 invalid) or 32FC1 (metres, NaN invalid), REP 118.

    Args:
        depth: uint16 in units of ``scale_m``, or float32 metres [H, W]; taken as it is where it counts millimetres and
            these are wanted.
        scale_m: metres a unit of an integer ``depth``.
        encoding: 16UC1 or 32FC1.
        head: the header.
    """
    if encoding == "16UC1" and depth.dtype == np.uint16 and abs(scale_m - 0.001) < 1e-9:
        return image_message(depth, encoding, head)
    metres = depth_to_metres(depth, scale_m)
    if encoding == "32FC1":
        return image_message(metres, encoding, head)
    millimetres = np.rint(np.nan_to_num(metres, nan=0.0) * 1e3)
    millimetres[millimetres > 65535.0] = 0.0
    return image_message(millimetres.astype(np.uint16), encoding, head)


def camera_info_message(intrinsics: Intrinsics | None, width: int, height: int, head: Header) -> CameraInfo:
    """A CameraInfo; K is zero, as sensor_msgs asks, where the camera is not calibrated."""
    info = CameraInfo(header=head, width=width, height=height, distortion_model="plumb_bob")
    info.r = np.eye(3).ravel()
    if intrinsics is None:
        return info
    d = intrinsics.distortion
    info.distortion_model = "plumb_bob" if len(d) <= 5 else "rational_polynomial"
    info.d = [*d, *([0.0] * (5 - len(d)))]
    info.k = intrinsics.K.ravel()
    info.p = np.hstack([intrinsics.K, np.zeros((3, 1))]).ravel()
    return info


def intrinsics_of(info: CameraInfo) -> Intrinsics | None:
    """The camera of a CameraInfo; none where it is not calibrated."""
    return decode_intrinsics(info)


def compressed_message(rgb: Rgb, quality: int, head: Header) -> CompressedImage:
    """A JPEG of a colour image; quality 1 to 100."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise FrameError(f"a {rgb.shape[1]} x {rgb.shape[0]} image cannot be compressed")
    return CompressedImage(header=head, format="rgb8; jpeg compressed bgr8", data=buffer(data))


def cloud_message(frame: CameraFrame, head: Header) -> PointCloud2:
    """An organised cloud [H, W] of x, y, z (metres, NaN invalid) and, where there is colour, packed rgb.

    Raises:
        FrameError: the frame has no depth.
    """
    depth_m, rgb = frame.depth_m, frame.rgb
    if depth_m is None:
        raise FrameError("a frame without depth makes no cloud")
    height, width = depth_m.shape
    x, y = undistorted_rays(frame.intrinsics)
    # Written straight into the message's memory.
    data: array.array[int] = array.array("B", b"\0") * (height * width * _POINT_BYTES)
    points = np.frombuffer(data, dtype=np.float32).reshape(height, width, 4)
    np.multiply(x, depth_m, out=points[..., 0])
    np.multiply(y, depth_m, out=points[..., 1])
    points[..., 2] = depth_m
    if rgb is not None:
        # 0x00RRGGBB; the alpha that OpenCV adds would make a NaN of the float that viewers take it for.
        bgra = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGRA).view("<u4")[..., 0]
        np.bitwise_and(bgra, 0x00FFFFFF, out=points.view(np.uint32)[..., 3])
    names = ("x", "y", "z", "rgb") if rgb is not None else ("x", "y", "z")
    fields = [PointField(name=n, offset=4 * i, datatype=PointField.FLOAT32, count=1) for i, n in enumerate(names)]
    return PointCloud2(
        header=head,
        height=height,
        width=width,
        fields=fields,
        is_bigendian=_BIG_ENDIAN,
        point_step=_POINT_BYTES,
        row_step=_POINT_BYTES * width,
        data=data,
        is_dense=False,
    )


def transform_message(T_parent_child: Array, parent: str, child: str, stamp_ns: int) -> TransformStamped:
    """A transform between two frames."""
    message = TransformStamped(header=header(stamp_ns, parent), child_frame_id=child)
    t, q = message.transform.translation, message.transform.rotation
    t.x, t.y, t.z = T_parent_child[:3, 3].tolist()
    q.x, q.y, q.z, q.w = quaternion_of(T_parent_child).tolist()
    return message


def transform_of(message: Transform) -> Array:
    """The transform [4, 4] of a message."""
    t, q = message.translation, message.rotation
    return transform((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))


class NotAtRestError(ValueError):
    """The tool moved shortly before a picture was taken, or nobody knows whether it did."""


def pose_at_rest(buffer: Buffer, base: str, tool: str, stamp_ns: int, timeout_s: float) -> Array:
    """``T_base_tool`` [4, 4] at a time, waited for.

    Raises:
        NotAtRestError: the tool moved in the ``REST_S`` before, or its pose then is not known.
        TransformException: the pose is not known within the time-out.
    """

    def pose(at_ns: int, within_s: float) -> Array:
        found = buffer.lookup_transform(base, tool, RosTime(nanoseconds=at_ns), Duration(seconds=within_s))
        return transform_of(found.transform)

    now = pose(stamp_ns, timeout_s)
    try:
        before = pose(stamp_ns - int(REST_S * 1e9), 0.0)
    except TransformException as error:
        raise NotAtRestError(f"whether the tool is at rest is not known yet: {error}") from error
    metres, radians = difference(before, now)
    if metres > REST_M or radians > REST_RAD:
        raise NotAtRestError(
            f"the tool moved by {1e3 * metres:.1f} mm and {np.rad2deg(radians):.2f} degrees in the {REST_S:g} s before "
            f"the picture; hold it still"
        )
    return now


def diagnostics_message(reports: Iterable[StreamReport], stamp_ns: int) -> DiagnosticArray:
    """Health of cameras for /diagnostics."""
    message = DiagnosticArray(header=header(stamp_ns, ""))
    message.status = [_status(report) for report in reports]
    return message


def _status(report: StreamReport) -> DiagnosticStatus:
    level, text = DiagnosticStatus.OK, f"{report.state}, {report.rate_hz:.1f} Hz"
    if report.state in (StreamState.SILENT, StreamState.DISCONNECTED):
        level, text = DiagnosticStatus.ERROR, f"{report.state}: {report.reason}"
    elif report.state is not StreamState.CONNECTED:
        level, text = DiagnosticStatus.WARN, f"{report.state}: {report.reason}"
    elif report.target_hz is not None and report.rate_hz < SLOW_SHARE * report.target_hz:
        level, text = DiagnosticStatus.WARN, f"{report.rate_hz:.1f} Hz of {report.target_hz:g} Hz"
    elif not report.calibrated:
        level, text = DiagnosticStatus.WARN, f"{report.rate_hz:.1f} Hz, not calibrated: camera_info is empty"
    values = {
        "state": str(report.state),
        "rate_hz": f"{report.rate_hz:.2f}",
        "target_hz": "" if report.target_hz is None else f"{report.target_hz:g}",
        "age_s": "" if report.age_s is None else f"{report.age_s:.3f}",
        "frames": str(report.frames),
        "drops": str(report.drops),
        "bad_frames": str(report.bad_frames),
        "connects": str(report.connects),
        "color": str(report.has_color),
        "depth": str(report.has_depth),
        "last_error": report.last_error,
    }
    pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticStatus(
        level=level, name=f"camera {report.name}", message=text, hardware_id=report.name, values=pairs
    )


def declared_parameters(node: Node, cls: type[ConfigType]) -> ConfigType:
    """Declare every field of a configuration as a read-only parameter, with its description and range, and read them.

    Nested configurations become ``outer.inner``.

    Raises:
        ConfigError, rclpy's ParameterException: a value is refused; the message names the parameter.
    """
    return cls.from_mapping(_declare(node, cls, ""), f"parameters of {node.get_name()}")


def _declare(node: Node, cls: type[Config], prefix: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, field in cls.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, Config):
            values[name] = _declare(node, type(default), f"{prefix}{name}.")
            continue
        descriptor = ParameterDescriptor(description=field.description or "", read_only=True)
        low, high = (next((getattr(m, k) for m in field.metadata if hasattr(m, k)), None) for k in ("ge", "le"))
        if low is not None and high is not None and isinstance(default, float):
            descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
        elif low is not None and high is not None:
            descriptor.integer_range = [IntegerRange(from_value=low, to_value=high, step=1)]
        if get_origin(field.annotation) is Literal:
            descriptor.additional_constraints = f"one of {', '.join(get_args(field.annotation))}"
        values[name] = node.declare_parameter(prefix + name, default, descriptor).value
    return values


class LogsToRos(logging.Handler):
    """Hands what a library logs to a node's logger, and so to the console and /rosout, until it is closed."""

    def __init__(self, node: Node, library: str) -> None:
        super().__init__(logging.INFO)
        self._node, self._source = node, logging.getLogger(library)
        self._source.setLevel(logging.INFO)
        self._source.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Pass one line on; rclpy ties a severity to the place of a call, hence one line each."""
        text, ros = self.format(record), self._node.get_logger()
        if not self._node.context.ok():  # interrupted: /rosout is gone
            print(text, file=sys.stderr)
        elif record.levelno >= logging.ERROR:
            ros.error(text)
        elif record.levelno >= logging.WARNING:
            ros.warning(text)
        else:
            ros.info(text)

    def close(self) -> None:
        """Pass on no more."""
        self._source.removeHandler(self)
        super().close()
