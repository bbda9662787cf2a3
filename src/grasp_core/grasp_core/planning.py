# SPDX-License-Identifier: Apache-2.0
"""Motion planning as the skills see it: requests, the world to avoid, results with reasons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from grasp_core.geometry import Array, check_rigid
from grasp_core.ports import JointState, JointTrajectory


class PlanStatus(StrEnum):
    """How planning ended."""

    SUCCEEDED = "succeeded"
    UNREACHABLE = "unreachable"
    START_IN_COLLISION = "start_in_collision"
    GOAL_IN_COLLISION = "goal_in_collision"
    PATH_IN_COLLISION = "path_in_collision"
    LINE_INCOMPLETE = "line_incomplete"
    TIMED_OUT = "timed_out"
    INVALID_REQUEST = "invalid_request"


@dataclass(frozen=True)
class PlanResult:
    """A timed trajectory, or why there is none.

    Attributes:
        trajectory: none unless ``status`` is ``SUCCEEDED``.
        message: in words, naming bodies in contact or joints at limits.
        contacts: pairs of bodies that touch, where that is the reason.
        stages_ms: milliseconds by stage (ik, search, shortcut, time parameterisation).
    """

    status: PlanStatus
    trajectory: JointTrajectory | None = None
    message: str = ""
    contacts: tuple[tuple[str, str], ...] = ()
    stages_ms: Mapping[str, float] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether there is a trajectory."""
        return self.status is PlanStatus.SUCCEEDED


@dataclass(frozen=True)
class Box:
    """A box obstacle: pose of its centre in the base frame and its full edge lengths [3] in metres."""

    name: str
    T_base_box: Array
    size_m: tuple[float, float, float]

    def __post_init__(self) -> None:
        check_rigid(self.T_base_box, f"pose of box {self.name}")
        if len(self.size_m) != 3 or not all(0.0 < edge < np.inf for edge in self.size_m):
            raise ValueError(f"box {self.name} has size {self.size_m}; it is three edges, positive and finite")


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh obstacle: vertices float64 [v, 3] in its own frame, triangles int [t, 3]."""

    name: str
    T_base_mesh: Array
    vertices: Array
    triangles: NDArray[np.int64]

    def __post_init__(self) -> None:
        check_rigid(self.T_base_mesh, f"pose of mesh {self.name}")
        if self.vertices.ndim != 2 or self.vertices.shape[1] != 3 or not np.isfinite(self.vertices).all():
            raise ValueError(f"mesh {self.name} has vertices {self.vertices.shape}; they are [v, 3] and finite")
        if self.triangles.ndim != 2 or self.triangles.shape[1] != 3:
            raise ValueError(f"mesh {self.name} has triangles {self.triangles.shape}; they are [t, 3]")
        if self.triangles.size and not (self.triangles.min() >= 0 and self.triangles.max() < len(self.vertices)):
            raise ValueError(f"a triangle of mesh {self.name} names a vertex beyond its {len(self.vertices)}")


@dataclass(frozen=True)
class VoxelGrid:
    """Occupied space: ``T_base_grid`` is the pose of the grid's lower corner, ``occupied`` bool [nx, ny, nz]."""

    name: str
    T_base_grid: Array
    voxel_m: float
    occupied: NDArray[np.bool_] = field(repr=False)

    def __post_init__(self) -> None:
        check_rigid(self.T_base_grid, f"pose of voxel grid {self.name}")
        if not 0.0 < self.voxel_m < np.inf:
            raise ValueError(f"voxel_m of {self.name} is {self.voxel_m}; it is positive and finite")
        if self.occupied.ndim != 3 or self.occupied.dtype != np.bool_:
            raise ValueError(
                f"voxel grid {self.name} is {self.occupied.dtype} {self.occupied.shape}; it is bool [nx, ny, nz]"
            )


Obstacle = Box | Mesh | VoxelGrid


@dataclass(frozen=True)
class PlanOptions:
    """How to plan.

    Attributes:
        speed_scale: share of the joints' velocity and acceleration limits that may be used, 0 < s <= 1.
        timeout_s: longest time to search.
        check_environment: avoid the obstacles; self-collision is always avoided.
        allowed_contacts: obstacles that the robot may touch (the object to grasp).
    """

    speed_scale: float = 0.25
    timeout_s: float = 2.0
    check_environment: bool = True
    allowed_contacts: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not 0.0 < self.speed_scale <= 1.0:
            raise ValueError(f"speed_scale is {self.speed_scale}; allowed is more than 0 and at most 1")
        if not 0.0 < self.timeout_s < np.inf:
            raise ValueError(f"timeout_s is {self.timeout_s}; it is positive and finite")


@runtime_checkable
class MotionPlanner(Protocol):
    """Finds timed, collision-free trajectories for the cell's arms. Refusals are results, not exceptions."""

    def set_obstacles(self, obstacles: tuple[Obstacle, ...]) -> None:
        """Replace the obstacles beyond the cell's own furniture.

        Raises:
            ValueError: two obstacles share a name.
        """
        ...

    def set_held(self, arm: str | None, held: tuple[Box, ...]) -> None:
        """Replace what an arm's hand carries: boxes that move with its tool, ``T_base_box`` in the tool's frame.

        Raises:
            KeyError: no such arm.
            ValueError: two boxes share a name, or one has a link's or an obstacle's name.
        """
        ...

    def plan_to_joints(
        self, arm: str | None, start: JointState, goal: Mapping[str, float], options: PlanOptions
    ) -> PlanResult:
        """To joint positions; joints not named in ``goal`` keep their place."""
        ...

    def plan_to_pose(self, arm: str | None, start: JointState, T_base_tcp: Array, options: PlanOptions) -> PlanResult:
        """To a pose of the tool, along any path."""
        ...

    def plan_line(self, arm: str | None, start: JointState, T_base_tcp: Array, options: PlanOptions) -> PlanResult:
        """To a pose of the tool, its origin moving in a straight line."""
        ...
