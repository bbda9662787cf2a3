# SPDX-License-Identifier: Apache-2.0
"""The relative motions that a closed-loop grasping policy chooses from, and what the wrist camera would see after them.

Source: Grasping in the Wild, section V-A: five translations times seven rotations of the tool, whose size grows with
the median depth of the wrist image. The printed list has the rotation about z with one sign only, which would make 30;
both signs are used, as the printed number 35 wants. Every motion also moves 1 cm along the tool's z.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator
from scipy.spatial.transform import Rotation

from grasp_core.cell_config import BoxRegion
from grasp_core.config import Config
from grasp_core.geometry import Array, check_rigid, transform

Metres = Annotated[float, Field(ge=0.0, le=0.5)]
Degrees = Annotated[float, Field(ge=0.0, le=90.0)]


class ActionViewConfig(Config):
    """Which candidates there are; the defaults are the paper's."""

    near_step_m: Metres = 0.015
    """Translation at and below ``near_depth_m``."""
    far_step_m: Metres = 0.05
    """Translation at and above ``far_depth_m``."""
    near_turn_deg: Degrees = 10.0
    """Rotation at and below ``near_depth_m``."""
    far_turn_deg: Degrees = 30.0
    """Rotation at and above ``far_depth_m``."""
    near_depth_m: Annotated[float, Field(ge=0.0)] = 0.1
    """Median depth at which the steps are smallest."""
    far_depth_m: Annotated[float, Field(gt=0.0)] = 0.5
    """Median depth at which the steps are largest."""
    forward_m: Metres = 0.01
    """What every candidate moves along the tool's z beside its own translation."""
    adaptive_step: bool = True
    """Steps that depend on the depth; without, always the largest."""
    dof: Literal[4, 6] = 6
    """All rotations, or those about the tool's z only (15 candidates)."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.near_depth_m >= self.far_depth_m:
            raise ValueError(f"near_depth_m {self.near_depth_m} must be less than far_depth_m {self.far_depth_m}")
        return self

    def step(self, median_depth_m: float | None) -> tuple[float, float]:
        """Translation (m) and rotation (rad) of the candidates at a median depth; the smallest where none is known."""
        if not self.adaptive_step:
            ratio = 1.0
        elif median_depth_m is None or not np.isfinite(median_depth_m):
            ratio = 0.0
        else:
            ratio = float(np.clip((median_depth_m - self.near_depth_m) / (self.far_depth_m - self.near_depth_m), 0, 1))
        step_m = self.near_step_m + ratio * (self.far_step_m - self.near_step_m)
        return step_m, float(np.radians(self.near_turn_deg + ratio * (self.far_turn_deg - self.near_turn_deg)))


@dataclass(frozen=True)
class ActionViews:
    """The candidates of one decision; n is 35, or 15 with four degrees of freedom.

    Attributes:
        T_tcp_goals: motions of the tool, seen from where it is [n, 4, 4].
        T_base_tcps: poses of the tool after them [n, 4, 4].
        T_base_cameras: poses of the wrist camera's optical frame after them [n, 4, 4].
        valid: bool [n]; false where the tool would leave the workspace or the robot collide.
        step_m: their translation.
        turn_rad: their rotation.
    """

    T_tcp_goals: Array
    T_base_tcps: Array
    T_base_cameras: Array
    valid: NDArray[np.bool_]
    step_m: float
    turn_rad: float

    def __len__(self) -> int:
        return len(self.valid)


def median_depth(depth_m: NDArray[np.float32]) -> float | None:
    """Median of the valid depths of an image in metres, or none if there are none."""
    valid = depth_m[np.isfinite(depth_m) & (depth_m > 0.0)]
    return float(np.median(valid)) if valid.size else None


def motions(step_m: float, turn_rad: float, config: ActionViewConfig) -> Array:
    """The candidates' motions ``T_tcp_goal`` [n, 4, 4]: translations outer, rotations inner, both in the docstring's
    order x+, x-, y+, y-, z+ and none, x+, x-, y+, y-, z+, z-.
    """
    along = step_m * np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1]], dtype=np.float64)
    along[:, 2] += config.forward_m
    axes = "zxy" if config.dof == 6 else "z"
    turns = [Rotation.identity()]
    for axis in sorted(axes):
        turns += [Rotation.from_euler(axis, sign * turn_rad) for sign in (1.0, -1.0)]
    return np.stack([transform(t, R) for t in along for R in turns])


def action_views(
    T_base_tcp: ArrayLike,
    T_tcp_camera: ArrayLike,
    median_depth_m: float | None,
    config: ActionViewConfig | None = None,
    *,
    workspace: BoxRegion | None = None,
    collides: Callable[[Array], bool] | None = None,
) -> ActionViews:
    """The candidates around the tool's present pose.

    Args:
        T_base_tcp: pose of the tool (z approach) [4, 4].
        T_tcp_camera: the hand-eye calibration [4, 4]: optical frame of the wrist camera in the tool's frame.
        median_depth_m: of the wrist camera's picture, see ``median_depth``; none takes the smallest steps.
        config: which candidates; the paper's by default.
        workspace: candidates that put the tool's origin outside are not valid.
        collides: given ``T_base_tcp`` [4, 4] of a candidate, whether the robot cannot be there; asked only for those
            inside the workspace.

    Raises:
        NotRigidError: a transform is not rigid.
    """
    config = config or ActionViewConfig()
    T_now = check_rigid(T_base_tcp, "T_base_tcp")
    T_hand_eye = check_rigid(T_tcp_camera, "T_tcp_camera")
    step_m, turn_rad = config.step(median_depth_m)
    T_tcp_goals = motions(step_m, turn_rad, config)
    T_base_tcps = T_now @ T_tcp_goals
    valid = np.array([workspace is None or workspace.contains(T[:3, 3]) for T in T_base_tcps])
    if collides is not None:
        valid[valid] = [not collides(T) for T in T_base_tcps[valid]]
    return ActionViews(T_tcp_goals, T_base_tcps, T_base_tcps @ T_hand_eye, valid, step_m, turn_rad)
