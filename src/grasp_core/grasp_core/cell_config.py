# SPDX-License-Identifier: Apache-2.0
"""What a cell file (``config/cells/<cell>.yaml``) may say. Robots are data: nothing else names a robot.

Lengths in metres, angles in radians, in the cell's base frame unless a field says otherwise.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from grasp_core.camera import Intrinsics
from grasp_core.config import Config

Point = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]


class BoxRegion(Config):
    """An axis-aligned box in the base frame."""

    min_m: Point
    max_m: Point

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if any(low >= high for low, high in zip(self.min_m, self.max_m, strict=True)):
            raise ValueError(f"min_m {self.min_m} must lie below max_m {self.max_m} on every axis")
        return self

    def contains(self, point: np.ndarray, margin_m: float = 0.0) -> bool:
        """Whether a point [3] lies inside, grown by ``margin_m``."""
        p = np.asarray(point, dtype=np.float64)
        return bool(np.all(p >= np.array(self.min_m) - margin_m) and np.all(p <= np.array(self.max_m) + margin_m))

    def clamp(self, point: np.ndarray) -> np.ndarray:
        """The nearest point inside [3]."""
        return np.clip(np.asarray(point, dtype=np.float64), self.min_m, self.max_m)


class Limits(Config):
    """What the guard enforces."""

    workspace: BoxRegion
    """Where learned actions may put the tool."""
    regions: dict[str, BoxRegion] = Field(default_factory=dict)
    """The part of the workspace that each arm serves, by the arm's name; empty where every arm serves all of it."""
    motion_box: BoxRegion
    """Where the tool may be at any time, ready and drop poses included."""
    max_step_m: Positive = 0.06
    """Largest translation of one closed-loop step."""
    max_step_rad: Annotated[float, Field(gt=0.0, le=3.2)] = 0.6
    """Largest rotation of one closed-loop step."""
    max_tcp_speed_m_s: Positive = 1.0
    """Fastest motion of the tool's origin."""
    joint_speed_share: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Share of the joints' own speed limits that any trajectory may use."""
    max_state_age_s: Positive = 0.5
    """Oldest joint state that may be acted upon."""
    max_observation_age_s: Positive = 10.0
    """Oldest observation that an action may have been decided on; a slow policy's time to think is part of it."""
    max_start_error_rad: Positive = 0.1
    """Farthest a trajectory may start from where a joint is (rad, or m for a prismatic joint)."""

    def region(self, arm: str | None) -> BoxRegion:
        """Where learned actions may put the tool of an arm; none means the first."""
        if arm is None:
            return next(iter(self.regions.values()), self.workspace)
        return self.regions.get(arm, self.workspace)


class Skills(Config):
    """How the skills move."""

    speed_scale: Annotated[float, Field(gt=0.0, le=1.0)] = 0.25
    """Share of the joint limits for planned motions."""
    lift_m: Positive = 0.1
    """How far a grasped object is lifted before it is judged."""
    lift_along: Literal["up", "back"] = "up"
    """Lift along the base's z, or back along the approach (hung objects)."""
    held_reach_m: NotNegative = 0.05
    """How far beyond the fingertips a held object is taken to reach while it is carried."""
    push_height_m: NotNegative = 0.1
    """Height above the start of a push from which it is approached."""
    plan_timeout_s: Positive = 5.0
    """Longest search for one motion."""
    success: Literal["gripper", "simulator", "image"] = "gripper"
    """Who judges a grasp."""


class ArmConfig(Config):
    """One arm; a mobile base may be part of its chain."""

    group: str
    """SRDF group of its joints."""
    tcp_frame: str
    """The tool frame: z approach, x closing direction."""
    gripper: str
    """Which of the cell's grippers it carries."""
    controllers: dict[str, tuple[str, ...]]
    """Joints by the controller that moves them; each offers follow_joint_trajectory."""
    ready: str = "ready"
    """SRDF state to start from."""
    drop: str = "drop"
    """SRDF state over the place where held objects are released."""
    camera: str | None = None
    """The camera that moves with this arm, for steps in the camera's frame."""

    @property
    def joints(self) -> tuple[str, ...]:
        """All joints that its trajectories move, in the controllers' order."""
        return tuple(joint for names in self.controllers.values() for joint in names)


class GripperConfig(Config):
    """One gripper or hand."""

    kind: str
    """Name of its data in urdf/grippers."""
    prefix: str = ""
    """Prefix of its joints and links."""
    controller: str = "gripper_controller"
    """Offers gripper_cmd, or follow_joint_trajectory for a hand."""
    force_n: Positive = 20.0
    """Grip force where an action does not say."""


class DepthNoise(Config):
    """Noise model of a simulated depth camera; all zero means perfect."""

    sigma_m: NotNegative = 0.0
    """Standard deviation at 1 m; grows with the square of the distance as in stereo and structured light."""
    quantisation_m: NotNegative = 0.0
    """Step of the depth values."""
    edge_dropout: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """Probability that a pixel next to a depth edge is invalid."""


class CameraConfig(Config):
    """One camera; its pose comes from the URDF."""

    frame: str
    """Optical frame in the URDF."""
    width: Annotated[int, Field(ge=8, le=4096)]
    height: Annotated[int, Field(ge=8, le=4096)]
    fov_y: Annotated[float, Field(gt=0.0, lt=3.0)]
    """Vertical field of view, radians; a calibration replaces the intrinsics made from it."""
    rate_hz: Positive = 30.0
    rgb: bool = True
    depth: bool = True
    near_m: Positive = 0.05
    far_m: Positive = 3.0
    noise: DepthNoise = DepthNoise()
    mount: Literal["fixed", "hand"] = "fixed"
    """Whether it stands still or moves with an arm."""
    calibration: str | None = None
    """Path of a calibration file written by the hand-eye calibration; replaces the URDF's pose and these intrinsics."""

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.near_m >= self.far_m:
            raise ValueError(f"near_m {self.near_m} must be less than far_m {self.far_m}")
        return self

    @property
    def intrinsics(self) -> Intrinsics:
        """The pinhole camera without a calibration file."""
        return Intrinsics.from_fov(self.width, self.height, self.fov_y)


class DescriptionConfig(Config):
    """Where the robot's description comes from, relative to urdf/."""

    xacro: str
    srdf: str
    arguments: dict[str, str] = Field(default_factory=dict)
    """Arguments handed to xacro."""


class DriverConfig(Config):
    """One node of a cell's real or mock hardware."""

    package: str
    executable: str
    parameters: dict[str, str | int | float | bool | list[str]] = Field(default_factory=dict)


class CellConfig(Config):
    """A whole cell."""

    name: str
    title: str
    """One line for people: robot, gripper, cameras."""
    description: DescriptionConfig
    base_frame: str
    """Frame of every pose; fixed in the world."""
    arms: Annotated[dict[str, ArmConfig], Field(min_length=1)]
    grippers: Annotated[dict[str, GripperConfig], Field(min_length=1)]
    cameras: dict[str, CameraConfig]
    limits: Limits
    skills: Skills = Skills()
    support_z_m: float
    """Height of the surface that objects lie on."""
    default_scene: str
    drivers: dict[Literal["real", "mock"], tuple[DriverConfig, ...]] = Field(default_factory=dict)
    """Nodes that stand in for the simulator on hardware; the simulator itself needs no entry."""
    default_policy: str | None = None
    """The learned policy that was made for this cell."""
    baseline_policy: str | None = None
    """A scripted policy that stands in while the learned one has no checkpoint."""

    @model_validator(mode="after")
    def _references(self) -> Self:
        for name, arm in self.arms.items():
            if arm.gripper not in self.grippers:
                raise ValueError(f"arm {name} carries {arm.gripper!r}; the grippers are {', '.join(self.grippers)}")
            if arm.camera is not None and arm.camera not in self.cameras:
                raise ValueError(f"arm {name} has camera {arm.camera!r}; the cameras are {', '.join(self.cameras)}")
            if not arm.joints:
                raise ValueError(f"arm {name} has no joints in its controllers")
        inner, outer = self.limits.workspace, self.limits.motion_box
        if not (outer.contains(np.array(inner.min_m)) and outer.contains(np.array(inner.max_m))):
            raise ValueError("limits.workspace must lie inside limits.motion_box")
        if self.limits.regions and tuple(self.limits.regions) != tuple(self.arms):
            given, arms = ", ".join(self.limits.regions), ", ".join(self.arms)
            raise ValueError(f"limits.regions are of {given}; they must be of the arms, in their order: {arms}")
        for name, region in self.limits.regions.items():
            if not (inner.contains(np.array(region.min_m)) and inner.contains(np.array(region.max_m))):
                raise ValueError(f"limits.regions: that of {name} must lie inside limits.workspace")
        return self

    def arm(self, name: str | None = None) -> tuple[str, ArmConfig]:
        """Name and configuration of the named arm, or of the first.

        Raises:
            KeyError: no such arm.
        """
        if name is None:
            return next(iter(self.arms.items()))
        if name not in self.arms:
            raise KeyError(f"cell {self.name} has no arm {name!r}; it has {', '.join(self.arms)}")
        return name, self.arms[name]

    def arms_at(self, place: np.ndarray) -> tuple[str, ...]:
        """The arms that serve a place [x, y], the one first in whose part of the workspace it lies deepest.

        Where none does: the nearest.
        """
        depths = {}
        for arm in self.arms:
            region = self.limits.region(arm)
            low, high = np.array(region.min_m[:2]), np.array(region.max_m[:2])
            depths[arm] = float(np.minimum(place[:2] - low, high - place[:2]).min())
        deepest = sorted(depths, key=lambda arm: -depths[arm])
        return tuple(arm for arm in deepest if depths[arm] >= 0.0) or (deepest[0],)
