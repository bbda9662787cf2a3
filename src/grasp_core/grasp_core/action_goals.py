# SPDX-License-Identifier: Apache-2.0
"""What the goals of upstream's arm and gripper actions mean, for whoever serves them: the simulator and the drivers.

Messages are read by the names of their fields only, so that nothing of ROS is needed here. Whatever a client may send
wrong is a ``ValueError`` with a sentence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from grasp_core.geometry import Array
from grasp_core.ports import GripperLimits, JointTrajectory

# FollowJointTrajectory's result codes, as control_msgs has them.
SUCCESSFUL, INVALID_GOAL, INVALID_JOINTS = 0, -1, -2
PATH_TOLERANCE_VIOLATED, GOAL_TOLERANCE_VIOLATED = -4, -5


def seconds(duration: Any) -> float:
    """A ``builtin_interfaces/Duration`` in seconds."""
    return float(duration.sec + 1e-9 * duration.nanosec)


def trajectory_of(message: Any, prefix: str) -> JointTrajectory:
    """The trajectory in a ``trajectory_msgs/JointTrajectory``, with the prefix taken off its joints.

    Raises:
        ValueError: no points, numbers that do not fit the joints, NaN, times that do not increase, a name without the
            prefix.
    """
    if not message.points:
        raise ValueError("the trajectory has no points")
    strangers = [name for name in message.joint_names if not name.startswith(prefix)]
    if strangers:
        raise ValueError(f"joint {strangers[0]} lacks the prefix {prefix!r}")
    rows = [list(point.positions) for point in message.points]
    n = len(message.joint_names)
    if any(len(row) != n for row in rows):
        raise ValueError(f"each point needs {n} positions, one a joint")
    with_velocities = all(len(point.velocities) == n for point in message.points)
    if not with_velocities and any(len(point.velocities) for point in message.points):
        raise ValueError("velocities are given for some points or joints only")
    velocities = np.array([list(point.velocities) for point in message.points]) if with_velocities else None
    positions = np.array(rows, dtype=np.float64)
    if not np.isfinite(positions).all() or (velocities is not None and not np.isfinite(velocities).all()):
        raise ValueError("the trajectory contains NaN or infinity")
    times = np.array([seconds(point.time_from_start) for point in message.points])
    names = tuple(name.removeprefix(prefix) for name in message.joint_names)
    return JointTrajectory(names, times, positions, velocities)


def delay_of(message: Any, trajectory: JointTrajectory, now_ns: int) -> float:
    """Seconds from now until a trajectory begins, by its header; negative where it has begun, 0 without a stamp.

    As in upstream's joint_trajectory_controller a stamp may lie in the past as long as the end does not.

    Raises:
        ValueError: the trajectory would be over already.
    """
    stamp_ns = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
    if stamp_ns == 0:
        return 0.0
    delay_s = (stamp_ns - now_ns) * 1e-9
    end_s = delay_s + float(trajectory.times_s[-1])
    if end_s < 0.0:
        raise ValueError(f"the trajectory's header says that it ended {-end_s:.3f} s ago; a stamp of 0 means now")
    return delay_s


def tolerances_of(given: Sequence[Any], joints: tuple[str, ...], prefix: str) -> Array | None:
    """Positions of ``control_msgs/JointTolerance`` by joint [n]; none where none are given.

    0 means the controller's own, negative means none, as upstream has it.
    """
    if not given:
        return None
    by_name = {tolerance.name.removeprefix(prefix): tolerance.position for tolerance in given}
    return np.array([by_name.get(joint, 0.0) for joint in joints])


def gripper_goal(width_m: float, force_n: float, limits: GripperLimits, default_n: float) -> tuple[float, float]:
    """Opening and force within what the gripper can do; a force of 0 means its default.

    Raises:
        ValueError: NaN or infinity.
    """
    if not (math.isfinite(width_m) and math.isfinite(force_n)):
        raise ValueError(f"the goal contains NaN or infinity ({width_m}, {force_n})")
    force = force_n if force_n > 0.0 else default_n
    return (
        min(max(width_m, limits.min_width_m), limits.max_width_m),
        min(max(force, limits.min_force_n), limits.max_force_n),
    )
