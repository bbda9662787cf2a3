# SPDX-License-Identifier: Apache-2.0
"""Between the volume's types and ROS messages. Pixels and points are handed over in one piece, never one by one."""

from __future__ import annotations

import array
from types import NoneType
from typing import Any, get_args

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, Pose
from numpy.typing import NDArray
from pydantic.fields import FieldInfo
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time as RosTime
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from std_msgs.msg import ColorRGBA, Header
from tf2_ros import Buffer, TransformException
from visualization_msgs.msg import Marker

from grasp_core.camera import CameraFrame, FrameError, Intrinsics, depth_to_metres
from grasp_core.config import Config
from grasp_core.geometry import Array, transform
from grasp_fusion.render import Views
from grasp_fusion.surface import Mesh, PointCloud
from grasp_fusion.volume import FusionError
from grasp_fusion.worker import WorkerState
from grasp_interfaces.srv import RenderViews

DEPTH_TYPES = {"16UC1": np.uint16, "mono16": np.uint16, "32FC1": np.float32}
# Encoding: (channels, which of them are red, green and blue).
COLOUR_CHANNELS = {
    "rgb8": (3, [0, 1, 2]),
    "bgr8": (3, [2, 1, 0]),
    "rgba8": (4, [0, 1, 2]),
    "bgra8": (4, [2, 1, 0]),
    "mono8": (1, [0, 0, 0]),
}
LENS_MODELS = ("plumb_bob", "rational_polynomial")
_CLOUD = np.dtype([("xyz", "<f4", 3), ("rgb", "<u4"), ("normal", "<f4", 3)])
_CLOUD_FIELDS = ("x", "y", "z", "rgb", "normal_x", "normal_y", "normal_z")
# Stands for no limit in the range of a parameter.
UNBOUNDED = 1e9
# rclpy cannot declare an empty list of numbers with a type, so this is one: a setting that was not given.
EMPTY = [0.0]


def stamp_ns(time: Time) -> int:
    """Nanoseconds of a message's stamp."""
    return int(time.sec) * 1_000_000_000 + int(time.nanosec)


def _pixels(image: Image, channels: int, dtype: type[np.generic]) -> NDArray[Any]:
    """The pixels [H, W, C] of an image without a copy where its byte order is the machine's."""
    size = np.dtype(dtype).itemsize
    if image.width == 0 or image.height == 0:
        raise FrameError(f"the {image.encoding} image is empty ({image.width} x {image.height})")
    if image.step < image.width * channels * size or len(image.data) < image.step * image.height:
        raise FrameError(
            f"the {image.encoding} image of {image.width} x {image.height} has {len(image.data)} bytes in rows of "
            f"{image.step}; that is too few"
        )
    order = np.dtype(dtype).newbyteorder(">" if image.is_bigendian else "<")
    rows = np.frombuffer(image.data, np.uint8, image.step * image.height).reshape(image.height, image.step)
    pixels = rows[:, : image.width * channels * size].view(order)
    return pixels.reshape(image.height, image.width, channels)


def rgb_of(image: Image) -> NDArray[np.uint8]:
    """Colours uint8 [H, W, 3].

    Raises:
        FrameError: empty, too short, or of an encoding that is no 8-bit colour.
    """
    if image.encoding not in COLOUR_CHANNELS:
        raise FrameError(f"colour in encoding {image.encoding!r}; understood are {', '.join(COLOUR_CHANNELS)}")
    channels, order = COLOUR_CHANNELS[image.encoding]
    pixels = _pixels(image, channels, np.uint8)
    return pixels if order == [0, 1, 2] and channels == 3 else np.ascontiguousarray(pixels[..., order])


def depth_of(image: Image) -> NDArray[np.float32]:
    """Depth in metres float32 [H, W], NaN where invalid (REP-118).

    Raises:
        FrameError: empty, too short, or of an encoding that is no depth.
    """
    if image.encoding not in DEPTH_TYPES:
        raise FrameError(f"depth in encoding {image.encoding!r}; understood are {', '.join(DEPTH_TYPES)}")
    return depth_to_metres(_pixels(image, 1, DEPTH_TYPES[image.encoding])[..., 0])


def intrinsics_of(info: CameraInfo) -> Intrinsics:
    """The camera of a CameraInfo.

    Raises:
        FrameError: it is not calibrated (K is zero), its image is empty, or its lens is of a model not known here.
    """
    if info.width and not info.k[0]:
        raise FrameError("camera_info says that the camera is not calibrated (its K is zero)")
    distortion = tuple(info.d) if any(info.d) else ()
    if distortion and info.distortion_model not in LENS_MODELS:
        raise FrameError(
            f"camera_info has distortion model {info.distortion_model!r}; understood are {', '.join(LENS_MODELS)}"
        )
    return Intrinsics.from_matrix(np.reshape(info.k, (3, 3)), info.width, info.height, distortion)


def frame_of(depth: Image, colour: Image | None, info: CameraInfo, T_base_camera: Array) -> CameraFrame:
    """A picture from its messages.

    Raises:
        FrameError: sizes differ, or an image is not understood.
    """
    intrinsics = intrinsics_of(info)
    for name, image in (("depth", depth), ("colour", colour)):
        if image is not None and (image.width, image.height) != (intrinsics.width, intrinsics.height):
            raise FrameError(
                f"the {name} image is {image.width} x {image.height}, camera_info says {intrinsics.width} x "
                f"{intrinsics.height}; colour and depth must be of the same view (use the aligned depth)"
            )
    rgb = None if colour is None else rgb_of(colour)
    return CameraFrame(intrinsics, T_base_camera, stamp_ns(depth.header.stamp), rgb, depth_of(depth))


def pose_of(message: Pose) -> Array:
    """[4, 4] of a Pose.

    Raises:
        ValueError: the quaternion is zero.
    """
    p, q = message.position, message.orientation
    return transform((p.x, p.y, p.z), Rotation.from_quat([q.x, q.y, q.z, q.w]))


def _bytes(values: NDArray[Any]) -> array.array[int]:
    """The bytes of an array in the type that rclpy takes without looking at each of them."""
    out: array.array[int] = array.array("B")
    out.frombytes(np.ascontiguousarray(values).data.cast("B"))
    return out


def image_messages(pictures: NDArray[np.generic], encoding: str, header: Header) -> list[Image]:
    """N images of an array [N, H, W] or [N, H, W, C]."""
    height, width = pictures.shape[1:3]
    step = int(np.prod(pictures.shape[2:])) * pictures.itemsize
    return [
        Image(header=header, height=height, width=width, encoding=encoding, step=step, data=_bytes(picture))
        for picture in pictures
    ]


def cloud_message(cloud: PointCloud, header: Header) -> PointCloud2:
    """Points with x, y, z, packed rgb and normals."""
    points = np.zeros(len(cloud), dtype=_CLOUD)
    points["xyz"], points["normal"] = cloud.points_m, cloud.normals
    if cloud.rgb is not None:
        c = cloud.rgb.astype(np.uint32)
        points["rgb"] = c[:, 0] << 16 | c[:, 1] << 8 | c[:, 2]
    fields = [
        PointField(name=name, offset=4 * i, datatype=PointField.FLOAT32, count=1)
        for i, name in enumerate(_CLOUD_FIELDS)
    ]
    return PointCloud2(
        header=header, height=1, width=len(cloud), fields=fields, is_bigendian=False, point_step=_CLOUD.itemsize,
        row_step=_CLOUD.itemsize * len(cloud), data=_bytes(points) if len(cloud) else _bytes(np.zeros(0, np.uint8)),
        is_dense=True,
    )  # fmt: skip


def mesh_message(mesh: Mesh, header: Header) -> Marker:
    """A TRIANGLE_LIST; RViz wants every corner as a message of its own, so large meshes are slow."""
    marker = Marker(header=header, ns="fusion", id=0, type=Marker.TRIANGLE_LIST)
    if not len(mesh.triangles):
        marker.action = Marker.DELETE
        return marker
    marker.pose.orientation.w = 1.0
    marker.scale.x = marker.scale.y = marker.scale.z = 1.0
    marker.color = ColorRGBA(r=0.7, g=0.7, b=0.7, a=1.0)
    vertices = [Point(x=x, y=y, z=z) for x, y, z in mesh.vertices_m.tolist()]
    corners = mesh.triangles.ravel().tolist()
    marker.points = [vertices[i] for i in corners]
    if mesh.rgb is not None:
        colours = [ColorRGBA(r=r, g=g, b=b, a=1.0) for r, g, b in (mesh.rgb / 255.0).tolist()]
        marker.colors = [colours[i] for i in corners]
    return marker


def diagnostics_message(
    camera: str, state: WorkerState, unmatched: int, newly_lost: int, failed: bool, header: Header
) -> DiagnosticArray:
    """What the fusion does, for /diagnostics. ``newly_lost``: pictures lost since the last message."""
    level, message = DiagnosticStatus.OK, "fusing"
    if failed:
        level, message = DiagnosticStatus.ERROR, "fusion has ended with an error; see the log and start the node again"
    elif newly_lost:
        level, message = DiagnosticStatus.WARN, f"{newly_lost} pictures lost in the last second"
        message += f": {state.last_error}" if state.last_error else ""
    elif state.rate_hz == 0.0:
        level, message = DiagnosticStatus.STALE, f"no picture of {camera} is being fused"
    values = {
        "rate_hz": f"{state.rate_hz:.1f}",
        "integrate_ms": f"{state.busy_ms:.1f}",
        "received": state.taken,
        "fused": state.done,
        "dropped": state.dropped,
        "refused": state.refused,
        "unmatched": unmatched,
        "last_error": state.last_error,
    }
    pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
    status = DiagnosticStatus(level=level, name="fusion", message=message, hardware_id=camera, values=pairs)
    return DiagnosticArray(header=header, status=[status])


def fill_response(
    response: RenderViews.Response, views: Views, T_base_frame: Array, header: Header
) -> RenderViews.Response:
    """Put rendered views, normals in the base frame, into a response whose poses were in ``T_base_frame``."""
    response.success = True
    response.depth = image_messages(views.depth_m, "32FC1", header)
    response.status = image_messages(views.status, "8UC1", header)
    if views.rgb is not None:
        response.color = image_messages(views.rgb, "rgb8", header)
    if views.normals is not None:
        response.normals = image_messages((views.normals @ T_base_frame[:3, :3]).astype(np.float32), "32FC3", header)
    return response


def lookup(buffer: Buffer, target: str, source: str, time: RosTime, timeout_s: float) -> Array:
    """``T_target_source`` [4, 4] at a time, waited for.

    Raises:
        FusionError: it is not known within the time-out.
    """
    try:
        found = buffer.lookup_transform(target, source, time, timeout=Duration(seconds=timeout_s)).transform
    except TransformException as error:
        raise FusionError(f"no transform from {source!r} to {target!r}: {error}") from error
    t, q = found.translation, found.rotation
    return transform((t.x, t.y, t.z), Rotation.from_quat([q.x, q.y, q.z, q.w]))


def _descriptor(name: str, field: FieldInfo, default: Any, is_optional: bool) -> ParameterDescriptor:
    note = " (0: none)" if is_optional else ""
    descriptor = ParameterDescriptor(description=f"{field.description or name}{note}", read_only=True)
    low = [getattr(m, k) for m in field.metadata for k in ("ge", "gt") if hasattr(m, k)]
    high = [getattr(m, k) for m in field.metadata for k in ("le", "lt") if hasattr(m, k)]
    if isinstance(default, bool | str | list) or not (low or high):
        return descriptor
    first, last = (low or [-UNBOUNDED])[0], (high or [UNBOUNDED])[0]
    if isinstance(default, float):
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(first), to_value=float(last))]
    else:
        descriptor.integer_range = [IntegerRange(from_value=int(first), to_value=int(last), step=1)]
    return descriptor


def declare(node: Node, config_type: type[Config]) -> dict[str, Any]:
    """Declare every setting of a flat configuration as a read-only parameter, with its description and range.

    A number that may be none is declared as 0, which then means none. A setting without a default must be a list of
    numbers; it is missing while it is ``EMPTY``.

    Returns:
        What was set, by name, to make the configuration from.
    """
    found: dict[str, Any] = {}
    for name, field in config_type.model_fields.items():
        is_optional = NoneType in get_args(field.annotation)
        default = field.default
        if field.is_required():
            default = EMPTY
        elif default is None:
            default = 0 if "int" in str(field.annotation) else 0.0
        declared = node.declare_parameter(name, default, _descriptor(name, field, default, is_optional)).value
        value = list(declared) if isinstance(declared, array.array) else declared
        if not (field.is_required() and value == EMPTY):
            found[name] = None if is_optional and not value else value
    return found
