# SPDX-License-Identifier: Apache-2.0
"""Between the world and messages. Pixels are handed over in one piece, never one by one."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image, JointState
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from grasp_core.camera import Intrinsics
from grasp_core.geometry import Array, quaternion_of
from grasp_sim.bridge import Rates
from grasp_sim.world import SimObject


def time_message(stamp_ns: int) -> Time:
    """Nanoseconds as a message."""
    return Time(sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000)


def header(stamp_ns: int, frame_id: str) -> Header:
    """A header."""
    return Header(stamp=time_message(stamp_ns), frame_id=frame_id)


def image_message(pixels: NDArray[Any], encoding: str, head: Header) -> Image:
    """An Image of an array [H, W] or [H, W, C]."""
    data = array("B")
    data.frombytes(np.ascontiguousarray(pixels).data.cast("B"))
    height, width = pixels.shape[:2]
    return Image(header=head, height=height, width=width, encoding=encoding, step=len(data) // height, data=data)


def camera_info_message(intrinsics: Intrinsics, head: Header) -> CameraInfo:
    """A CameraInfo of a pinhole camera."""
    info = CameraInfo(header=head, width=intrinsics.width, height=intrinsics.height, distortion_model="plumb_bob")
    info.d = [*intrinsics.distortion, *([0.0] * (5 - len(intrinsics.distortion)))]
    info.k = intrinsics.K.ravel()
    info.r = np.eye(3).ravel()
    info.p = np.hstack([intrinsics.K, np.zeros((3, 1))]).ravel()
    return info


def joint_state_message(
    names: Iterable[str], positions: Array, velocities: Array, prefix: str, stamp_ns: int
) -> JointState:
    """Joint states with the prefix in front of every name."""
    return JointState(
        header=header(stamp_ns, ""),
        name=[prefix + name for name in names],
        position=positions.tolist(),
        velocity=velocities.tolist(),
    )


def pose_message(T: Array) -> Pose:
    """A pose of ``T`` [4, 4]."""
    x, y, z, w = quaternion_of(T).tolist()
    px, py, pz = T[:3, 3].tolist()
    return Pose(position=Point(x=px, y=py, z=pz), orientation=Quaternion(x=x, y=y, z=z, w=w))


def truth_message(things: Iterable[tuple[SimObject, Array]], head: Header) -> MarkerArray:
    """Bounding boxes of objects: ``ns`` is the model's name, ``id`` the object's number."""
    clear = Marker(header=head, action=Marker.DELETEALL)
    boxes = [
        Marker(
            header=head,
            ns=thing.name,
            id=thing.id,
            type=Marker.CUBE,
            pose=pose_message(T),
            scale=Vector3(x=thing.model.extents_m[0], y=thing.model.extents_m[1], z=thing.model.extents_m[2]),
            color=ColorRGBA(r=0.2, g=0.8, b=0.3, a=0.4),
        )
        for thing, T in things
    ]
    return MarkerArray(markers=[clear, *boxes])


def diagnostics_message(name: str, rates: Rates, targets: Mapping[str, float], stamp: Time) -> DiagnosticArray:
    """What the bridge achieves; a warning where physics falls behind or a watched camera is slower than asked."""
    values = {
        "real time factor": f"{rates.real_time_factor:.2f}",
        "physics step [ms]": f"{rates.step_ms:.2f}",
        "rendering [ms]": f"{rates.render_ms:.1f}",
        "pictures left out": str(rates.late_pictures),
    }
    values |= {f"{camera} [Hz]": f"{hz:.1f} of {targets[camera]:.0f}" for camera, hz in rates.pictures_hz.items()}
    slow = [camera for camera, hz in rates.pictures_hz.items() if hz < 0.8 * targets[camera]]
    status = DiagnosticStatus(
        name=f"{name}: simulation", hardware_id="simulation", level=DiagnosticStatus.OK, message=""
    )
    if rates.real_time_factor < 0.95:
        status.level, status.message = DiagnosticStatus.WARN, "slower than real time"
    elif slow:
        status.level, status.message = DiagnosticStatus.WARN, f"cameras slower than asked: {', '.join(slow)}"
    status.values = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticArray(header=Header(stamp=stamp), status=[status])
