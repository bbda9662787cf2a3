# SPDX-License-Identifier: Apache-2.0
"""Between messages and the types of ``grasp_core``; no other module of this package builds or reads a message.

Values go over as whole arrays where the message allows it. Messages that make no sense raise ``ValueError`` with a
sentence that names the message and the field.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, Quaternion
from sensor_msgs.msg import JointState as JointStateMsg
from shape_msgs.msg import Mesh as MeshMsg
from shape_msgs.msg import MeshTriangle, SolidPrimitive
from trajectory_msgs.msg import JointTrajectory as JointTrajectoryMsg
from trajectory_msgs.msg import JointTrajectoryPoint

from grasp_core.cell_config import Skills
from grasp_core.geometry import Array, quaternion_of, transform
from grasp_core.planning import Box, Mesh, Obstacle, PlanOptions, PlanResult, VoxelGrid
from grasp_core.ports import JointState, JointTrajectory

# A unit quaternion that lost more than this on its way is none.
QUATERNION_TOLERANCE = 1e-3


def pose_to_matrix(pose: Pose) -> Array:
    """``T`` [4, 4] of a pose.

    Raises:
        ValueError: NaN, infinity, or a quaternion that is not of unit length (an unset one is all zero).
    """
    p = np.array([pose.position.x, pose.position.y, pose.position.z])
    q = np.array([pose.orientation.x, pose.orientation.y, pose.orientation.z, pose.orientation.w])
    if not (np.isfinite(p).all() and np.isfinite(q).all()):
        raise ValueError("the pose contains NaN or infinity")
    length = float(np.linalg.norm(q))
    if abs(length - 1.0) > QUATERNION_TOLERANCE:
        raise ValueError(f"the pose's quaternion has length {length:.3g}; it must be 1")
    return transform(p, q)


def matrix_to_pose(T: Array) -> Pose:
    """The pose of ``T`` [4, 4]."""
    x, y, z, w = quaternion_of(T).tolist()
    px, py, pz = T[:3, 3].tolist()
    return Pose(position=Point(x=px, y=py, z=pz), orientation=Quaternion(x=x, y=y, z=z, w=w))


def joint_state_from_msg(msg: JointStateMsg) -> JointState:
    """A joint state; velocities that are missing count as zero.

    Raises:
        ValueError: as many names as positions are needed, and none or as many velocities.
    """
    names = tuple(msg.name)
    positions = np.array(msg.position, dtype=np.float64)
    velocities = np.array(msg.velocity, dtype=np.float64) if len(msg.velocity) else np.zeros(len(names))
    if len(set(names)) != len(names):
        raise ValueError("a joint is named twice")
    stamp_ns = msg.header.stamp.sec * 1_000_000_000 + msg.header.stamp.nanosec
    return JointState(names, positions, velocities, stamp_ns)


def joint_state_to_msg(state: JointState) -> JointStateMsg:
    """The message of a joint state."""
    msg = JointStateMsg(name=list(state.names), position=state.positions.tolist(), velocity=state.velocities.tolist())
    msg.header.stamp.sec, msg.header.stamp.nanosec = divmod(state.stamp_ns, 1_000_000_000)
    return msg


def trajectory_to_msg(trajectory: JointTrajectory) -> JointTrajectoryMsg:
    """The message of a trajectory; its header's stamp stays zero: start at once."""
    points = []
    for k, t in enumerate(trajectory.times_s):
        point = JointTrajectoryPoint(positions=trajectory.positions[k].tolist())
        if trajectory.velocities is not None:
            point.velocities = trajectory.velocities[k].tolist()
        if trajectory.accelerations is not None:
            point.accelerations = trajectory.accelerations[k].tolist()
        sec, nanosec = divmod(round(float(t) * 1e9), 1_000_000_000)
        point.time_from_start = Duration(sec=sec, nanosec=nanosec)
        points.append(point)
    return JointTrajectoryMsg(joint_names=list(trajectory.names), points=points)


def trajectory_from_msg(msg: JointTrajectoryMsg) -> JointTrajectory:
    """A trajectory.

    Raises:
        ValueError: no points, points of different sizes, or times that do not increase.
    """
    times = np.array([p.time_from_start.sec + 1e-9 * p.time_from_start.nanosec for p in msg.points])
    rows = {name: [list(getattr(p, name)) for p in msg.points] for name in ("positions", "velocities", "accelerations")}
    arrays = {name: np.array(values, dtype=np.float64) if any(values) else None for name, values in rows.items()}
    positions = arrays["positions"]
    if positions is None:
        raise ValueError("the trajectory has no points with positions")
    return JointTrajectory(tuple(msg.joint_names), times, positions, arrays["velocities"], arrays["accelerations"])


def obstacle_from_msg(msg: Any) -> Obstacle:
    """A ``grasp_interfaces/Obstacle``.

    Raises:
        ValueError: an unknown kind, a primitive that is no box, sizes that do not fit; the message names the obstacle.
    """
    try:
        T = pose_to_matrix(msg.pose)
        if msg.kind == msg.PRIMITIVE:
            if msg.primitive.type != SolidPrimitive.BOX or len(msg.primitive.dimensions) != 3:
                raise ValueError("only boxes with three dimensions are taken as primitives")
            x, y, z = (float(edge) for edge in msg.primitive.dimensions)
            return Box(msg.name, T, (x, y, z))
        if msg.kind == msg.MESH:
            vertices = np.array([[v.x, v.y, v.z] for v in msg.mesh.vertices], dtype=np.float64).reshape(-1, 3)
            triangles = np.array([t.vertex_indices for t in msg.mesh.triangles], dtype=np.int64).reshape(-1, 3)
            if len(triangles) == 0 or triangles.max() >= len(vertices):
                raise ValueError(
                    f"the mesh has {len(vertices)} vertices and {len(triangles)} triangles that name others"
                )
            return Mesh(msg.name, T, vertices, triangles)
        if msg.kind == msg.VOXELS:
            counts = tuple(int(n) for n in msg.voxel_counts)
            values = np.frombuffer(bytes(msg.voxels), dtype=np.uint8)
            if values.size != np.prod(counts):
                raise ValueError(f"{values.size} voxels do not fill a grid of {counts}")
            return VoxelGrid(msg.name, T, float(msg.voxel_size), values.reshape(counts) != 0)
    except ValueError as error:
        raise ValueError(f"obstacle {msg.name!r}: {error}") from error
    raise ValueError(f"obstacle {msg.name!r} has the unknown kind {msg.kind}")


def obstacle_to_msg(obstacle: Obstacle) -> Any:
    """The ``grasp_interfaces/Obstacle`` of an obstacle."""
    from grasp_interfaces.msg import Obstacle as ObstacleMsg

    msg = ObstacleMsg(name=obstacle.name)
    if isinstance(obstacle, Box):
        msg.kind, msg.pose = ObstacleMsg.PRIMITIVE, matrix_to_pose(obstacle.T_base_box)
        msg.primitive = _box(obstacle.size_m)
    elif isinstance(obstacle, Mesh):
        msg.kind, msg.pose = ObstacleMsg.MESH, matrix_to_pose(obstacle.T_base_mesh)
        msg.mesh = _mesh(obstacle)
    else:
        msg.kind, msg.pose = ObstacleMsg.VOXELS, matrix_to_pose(obstacle.T_base_grid)
        msg.voxel_size = float(obstacle.voxel_m)
        msg.voxel_counts = np.array(obstacle.occupied.shape, dtype=np.uint32)
        msg.voxels = obstacle.occupied.astype(np.uint8).tobytes()
    return msg


def collision_object(obstacle: Obstacle, frame: str) -> Any:
    """MoveIt's message that adds an obstacle. Voxels become boxes, one for each run of occupied voxels along z."""
    from moveit_msgs.msg import CollisionObject

    msg = CollisionObject(id=obstacle.name, operation=CollisionObject.ADD)
    msg.header.frame_id = frame
    identity = Pose(orientation=Quaternion(w=1.0))
    if isinstance(obstacle, Box):
        msg.pose = matrix_to_pose(obstacle.T_base_box)
        msg.primitives, msg.primitive_poses = [_box(obstacle.size_m)], [identity]
    elif isinstance(obstacle, Mesh):
        msg.pose = matrix_to_pose(obstacle.T_base_mesh)
        msg.meshes, msg.mesh_poses = [_mesh(obstacle)], [identity]
    else:
        msg.pose = matrix_to_pose(obstacle.T_base_grid)
        edge = obstacle.voxel_m
        for (x, y), start, count in voxel_runs(obstacle.occupied):
            msg.primitives.append(_box((edge, edge, count * edge)))
            centre = transform(((x + 0.5) * edge, (y + 0.5) * edge, (start + 0.5 * count) * edge))
            msg.primitive_poses.append(matrix_to_pose(centre))
    return msg


def removed_object(name: str, frame: str) -> Any:
    """MoveIt's message that removes an obstacle."""
    from moveit_msgs.msg import CollisionObject

    msg = CollisionObject(id=name, operation=CollisionObject.REMOVE)
    msg.header.frame_id = frame
    return msg


def plan_options(goal: Any, defaults: Skills) -> PlanOptions:
    """How a ``PlanMotion`` goal wants to be planned; zero speed and time-out mean the cell's.

    Raises:
        ValueError: out of range.
    """
    return PlanOptions(
        speed_scale=goal.speed_scale or defaults.speed_scale,
        timeout_s=goal.timeout or defaults.plan_timeout_s,
        check_environment=not goal.ignore_environment,
        allowed_contacts=frozenset(goal.allowed_contacts),
    )


def plan_result_to_msg(result: PlanResult) -> Any:
    """The result of ``PlanMotion``."""
    from grasp_interfaces.action import PlanMotion
    from grasp_interfaces.msg import StageTime

    msg = PlanMotion.Result(success=result.ok, status=result.status.value, message=result.message)
    msg.contact_bodies = [body for pair in result.contacts for body in pair]
    msg.stages = [StageTime(stage=stage, seconds=1e-3 * ms) for stage, ms in result.stages_ms.items()]
    if result.trajectory is not None:
        msg.trajectory = trajectory_to_msg(result.trajectory)
    return msg


def voxel_runs(occupied: np.ndarray) -> list[tuple[tuple[int, int], int, int]]:
    """Runs of occupied voxels along z of a grid [nx, ny, nz]: column (x, y), first z, number of voxels."""
    padded = np.pad(occupied.astype(np.int8), ((0, 0), (0, 0), (1, 1)))
    change = np.diff(padded, axis=2)
    starts, ends = np.argwhere(change == 1), np.argwhere(change == -1)
    return [((int(a[0]), int(a[1])), int(a[2]), int(b[2] - a[2])) for a, b in zip(starts, ends, strict=True)]


def _box(size_m: tuple[float, float, float]) -> SolidPrimitive:
    return SolidPrimitive(type=SolidPrimitive.BOX, dimensions=[float(edge) for edge in size_m])


def _mesh(mesh: Mesh) -> MeshMsg:
    triangles = [MeshTriangle(vertex_indices=np.asarray(t, dtype=np.uint32)) for t in mesh.triangles]
    return MeshMsg(vertices=[Point(x=x, y=y, z=z) for x, y, z in mesh.vertices.tolist()], triangles=triangles)
