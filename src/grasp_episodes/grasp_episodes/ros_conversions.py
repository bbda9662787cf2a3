# SPDX-License-Identifier: Apache-2.0
"""Between messages and the types of ``grasp_core``. Pixels and voxels are handed over in one piece."""

from __future__ import annotations

from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point, Pose, Quaternion, Transform
from numpy.typing import NDArray
from rclpy.duration import Duration as RclDuration
from sensor_msgs.msg import CameraInfo, Image
from sensor_msgs.msg import JointState as JointStateMsg
from shape_msgs.msg import Mesh as MeshMsg
from shape_msgs.msg import MeshTriangle, SolidPrimitive
from trajectory_msgs.msg import JointTrajectory as JointTrajectoryMsg
from trajectory_msgs.msg import JointTrajectoryPoint

from grasp_core.camera import Depth, FrameError, Intrinsics, Rgb, depth_to_metres
from grasp_core.geometry import Array, quaternion_of, transform
from grasp_core.planning import Box, Mesh, Obstacle, PlanResult, PlanStatus
from grasp_core.ports import JointState, JointTrajectory
from grasp_interfaces.action import PlanMotion
from grasp_interfaces.msg import Obstacle as ObstacleMsg

# Channels of the colour encodings that are understood, and the order in which red, green and blue stand.
COLOUR = {"rgb8": (3, [0, 1, 2]), "bgr8": (3, [2, 1, 0]), "rgba8": (4, [0, 1, 2]), "bgra8": (4, [2, 1, 0])}
DEPTH = {"16UC1": np.uint16, "mono16": np.uint16, "32FC1": np.float32}


def nanoseconds(stamp: Time) -> int:
    """A stamp in nanoseconds."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def duration(seconds: float) -> RclDuration:
    """Seconds as rclpy's duration."""
    return RclDuration(nanoseconds=round(seconds * 1e9))


def duration_message(seconds: float) -> Duration:
    """Seconds as a message."""
    sec, nanosec = divmod(round(seconds * 1e9), 1_000_000_000)
    return Duration(sec=sec, nanosec=nanosec)


def joint_state(message: JointStateMsg, prefix: str) -> JointState:
    """A joint state without the prefix; velocities that are missing count as zero; other robots' joints are left out.

    Raises:
        ValueError: not one position, or not one or no velocity, a name; NaN.
    """
    names = [str(name) for name in message.name]
    positions = np.array(message.position, dtype=np.float64)
    velocities = np.array(message.velocity, dtype=np.float64) if len(message.velocity) else np.zeros(len(names))
    if positions.shape != (len(names),) or velocities.shape != (len(names),):
        raise ValueError(f"{len(names)} names with {positions.size} positions and {velocities.size} velocities")
    if not (np.isfinite(positions).all() and np.isfinite(velocities).all()):
        raise ValueError("a joint state contains NaN or infinity")
    mine = [i for i, name in enumerate(names) if name.startswith(prefix)]
    own = tuple(names[i].removeprefix(prefix) for i in mine)
    return JointState(own, positions[mine], velocities[mine], nanoseconds(message.header.stamp))


def joint_state_message(positions: dict[str, float], prefix: str, stamp_ns: int) -> JointStateMsg:
    """Positions by joint name as a message, the prefix in front of every name."""
    message = JointStateMsg(name=[prefix + name for name in positions], position=list(positions.values()))
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    return message


def trajectory_message(trajectory: JointTrajectory, prefix: str) -> JointTrajectoryMsg:
    """A trajectory that starts at once (the stamp stays zero), the prefix in front of every joint."""
    points = []
    for k, time_s in enumerate(trajectory.times_s.tolist()):
        point = JointTrajectoryPoint(positions=trajectory.positions[k].tolist())
        if trajectory.velocities is not None:
            point.velocities = trajectory.velocities[k].tolist()
        if trajectory.accelerations is not None:
            point.accelerations = trajectory.accelerations[k].tolist()
        point.time_from_start = duration_message(time_s)
        points.append(point)
    return JointTrajectoryMsg(joint_names=[prefix + name for name in trajectory.names], points=points)


def trajectory(message: JointTrajectoryMsg, prefix: str) -> JointTrajectory:
    """A trajectory without the prefix.

    Raises:
        ValueError: no points, points of different sizes, or times that do not increase.
    """
    times = np.array([p.time_from_start.sec + 1e-9 * p.time_from_start.nanosec for p in message.points])
    parts = [
        np.array([getattr(p, name) for p in message.points], dtype=np.float64) if len(message.points) else None
        for name in ("positions", "velocities", "accelerations")
    ]
    positions, velocities, accelerations = (None if part is None or part.size == 0 else part for part in parts)
    if positions is None:
        raise ValueError("the trajectory has no points with positions")
    names = tuple(str(name).removeprefix(prefix) for name in message.joint_names)
    return JointTrajectory(names, times, positions, velocities, accelerations)


def plan_result(message: PlanMotion.Result, prefix: str) -> PlanResult:
    """What a planner answered; an answer that cannot be read is a refusal too."""
    bodies = list(message.contact_bodies)
    contacts = tuple(zip(bodies[::2], bodies[1::2], strict=True))
    stages = {stage.stage: 1e3 * stage.seconds for stage in message.stages}
    try:
        status = PlanStatus(message.status)
        found = trajectory(message.trajectory, prefix) if status is PlanStatus.SUCCEEDED else None
    except ValueError as error:
        return PlanResult(PlanStatus.INVALID_REQUEST, message=f"the planner's answer cannot be read: {error}")
    return PlanResult(status, found, message.message, contacts, stages)


def pose_message(T: Array) -> Pose:
    """A pose of ``T`` [4, 4]."""
    x, y, z, w = quaternion_of(T).tolist()
    px, py, pz = T[:3, 3].tolist()
    return Pose(position=Point(x=px, y=py, z=pz), orientation=Quaternion(x=x, y=y, z=z, w=w))


def transform_of(message: Transform) -> Array:
    """The transform [4, 4] of a message."""
    t, q = message.translation, message.rotation
    return transform((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))


def rgb_image(message: Image) -> Rgb:
    """uint8 [H, W, 3], red first.

    Raises:
        FrameError: an encoding that is not understood, or fewer bytes than the size needs.
    """
    if message.encoding not in COLOUR:
        raise FrameError(f"a colour image is {message.encoding!r}; understood are {', '.join(COLOUR)}")
    channels, order = COLOUR[message.encoding]
    pixels = _rows(message, np.dtype(np.uint8), channels)
    return np.ascontiguousarray(pixels if order == [0, 1, 2] and channels == 3 else pixels[..., order])


def depth_image(message: Image) -> Depth:
    """Float32 [H, W] in metres, NaN where invalid (REP 118).

    Raises:
        FrameError: an encoding that is not understood, or fewer bytes than the size needs.
    """
    if message.encoding not in DEPTH:
        raise FrameError(f"a depth image is {message.encoding!r}; understood are {', '.join(DEPTH)}")
    dtype = np.dtype(DEPTH[message.encoding]).newbyteorder(">" if message.is_bigendian else "<")
    return depth_to_metres(_rows(message, dtype, 1)[..., 0].astype(dtype.newbyteorder("="), copy=False))


def _rows(message: Image, dtype: np.dtype[Any], channels: int) -> NDArray[Any]:
    height, width, line = int(message.height), int(message.width), int(message.width) * channels * dtype.itemsize
    step = int(message.step) or line
    if step < line or len(message.data) < step * height:
        raise FrameError(f"{len(message.data)} bytes in lines of {step} are no {width} x {height} {message.encoding}")
    lines = np.frombuffer(message.data, np.uint8, step * height).reshape(height, step)[:, :line]
    return np.ascontiguousarray(lines).view(dtype).reshape(height, width, channels)


def intrinsics(message: CameraInfo) -> Intrinsics:
    """The pinhole camera of a CameraInfo.

    Raises:
        FrameError: not calibrated (K is zero), or numbers that make no camera.
    """
    if message.k[0] == 0.0:
        raise FrameError("the camera is not calibrated: K of its camera_info is zero")
    distortion = tuple(float(v) for v in message.d)
    K = np.array(message.k).reshape(3, 3)
    return Intrinsics.from_matrix(K, message.width, message.height, distortion if any(distortion) else ())


def obstacle_message(obstacle: Obstacle) -> ObstacleMsg:
    """An obstacle as a message."""
    message = ObstacleMsg(name=obstacle.name)
    if isinstance(obstacle, Box):
        message.kind, message.pose = ObstacleMsg.PRIMITIVE, pose_message(obstacle.T_base_box)
        message.primitive = SolidPrimitive(type=SolidPrimitive.BOX, dimensions=[float(v) for v in obstacle.size_m])
    elif isinstance(obstacle, Mesh):
        message.kind, message.pose = ObstacleMsg.MESH, pose_message(obstacle.T_base_mesh)
        triangles = [MeshTriangle(vertex_indices=np.asarray(t, dtype=np.uint32)) for t in obstacle.triangles]
        vertices = [Point(x=x, y=y, z=z) for x, y, z in obstacle.vertices.tolist()]
        message.mesh = MeshMsg(vertices=vertices, triangles=triangles)
    else:
        message.kind, message.pose = ObstacleMsg.VOXELS, pose_message(obstacle.T_base_grid)
        message.voxel_size = float(obstacle.voxel_m)
        message.voxel_counts = np.array(obstacle.occupied.shape, dtype=np.uint32)
        message.voxels = np.ascontiguousarray(obstacle.occupied).astype(np.uint8).tobytes()
    return message
