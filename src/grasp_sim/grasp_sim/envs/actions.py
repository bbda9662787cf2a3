# SPDX-License-Identifier: Apache-2.0
"""From an agent's numbers to an action of the cell, one codec a system. Bounds are physical units (m, rad) or 0..1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from gymnasium.spaces import Box
from scipy.spatial.transform import Rotation

from grasp_core.actions import Action, Grasp, GripperMotion, Push, Step
from grasp_core.cell_config import CellConfig
from grasp_core.geometry import Array, top_down, transform
from grasp_core.observation import Observation
from grasp_description.grippers import load_gripper
from grasp_sim.envs.heightmap import surface_at
from grasp_sim.envs.settings import EnvSettings

STEP_M, STEP_RAD = 0.05, np.pi / 4
# Planar grasps: the fingers go this far below the surface, and stay this far above the support (push_grasp).
GRASP_DEPTH_M, FLOOR_M = 0.03, 0.01
SURFACE_RADIUS_M = 0.01
PUSH_LENGTH_M = 0.10
PUSH_ANGLES = 16
# pixel_attentive: the palm stays this far back; ranges of spread and fingers (rad), section IV.
PALM_BACK_M, SPREAD_RAD, FINGER_RAD = 0.05, np.pi / 2, 0.61


class Codec(Protocol):
    """Turns an agent's action into the cell's."""

    @property
    def space(self) -> Box:
        """What the agent may choose."""
        ...

    def decode(self, values: Array, observation: Observation) -> Action:
        """The action that the numbers mean now."""
        ...


@dataclass(frozen=True)
class StepCodec:
    """Closed-loop steps.

    ``camera_step``: dx, dy, dz (m), sine and cosine of the turn about the optical axis, toggle > 0.5 opens or closes
    instead of moving (targeted_qt_opt). ``tool_step``: dx, dy, dz, sine, cosine of the turn about the base's z, close,
    open, terminate (qt_opt), in base axes. ``free_step``: translation, rotation vector and close > 0.5, in the wrist
    camera's axes (action_view).
    """

    kind: str
    camera: str
    closed_below_m: float

    @property
    def space(self) -> Box:
        """Bounds of the numbers above."""
        reach = [STEP_M] * 3
        rest = {"camera_step": [1.0, 1.0, 1.0], "tool_step": [1.0] * 5, "free_step": [0.6, 0.6, 0.6, 1.0]}[self.kind]
        low = [-v for v in reach] + {
            "camera_step": [-1.0, -1.0, 0.0],
            "tool_step": [-1.0, -1.0, 0.0, 0.0, 0.0],
            "free_step": [-0.6, -0.6, -0.6, 0.0],
        }[self.kind]
        return Box(np.array(low, np.float32), np.array(reach + rest, np.float32))

    def decode(self, values: Array, observation: Observation) -> Action:
        """A ``Step``."""
        v = np.clip(np.asarray(values, dtype=np.float64), self.space.low, self.space.high)
        if self.kind == "free_step":
            T = transform(v[:3], Rotation.from_rotvec(v[3:6]))
            motion = GripperMotion.CLOSE if v[6] > 0.5 else GripperMotion.KEEP
            return Step(T, motion, frame=self.camera)
        yaw = float(np.arctan2(v[3], v[4])) if abs(v[3]) + abs(v[4]) > 1e-6 else 0.0
        T = transform(v[:3], Rotation.from_euler("z", float(np.clip(yaw, -STEP_RAD, STEP_RAD))))
        if self.kind == "tool_step":
            motion = (
                GripperMotion.CLOSE
                if v[5] > max(0.5, v[6])
                else GripperMotion.OPEN
                if v[6] > 0.5
                else GripperMotion.KEEP
            )
            return Step(T, motion, terminate=bool(v[7] > 0.5), frame="base")
        if v[5] > 0.5:
            open_now = observation.arm().gripper.width_m > self.closed_below_m
            return Step(np.eye(4), GripperMotion.CLOSE if open_now else GripperMotion.OPEN, frame=self.camera)
        return Step(T, frame=self.camera)


@dataclass(frozen=True)
class PrimitiveCodec:
    """Open-loop primitives from above: x and y as shares of the workspace, then an angle as a share of its range.

    ``planar_grasp``: angle over half a turn (patch_grasp). ``push_or_grasp``: first the primitive (below 0.5 pushes),
    the angle over a whole turn in 16 directions (push_grasp).
    """

    kind: str
    camera: str
    config: CellConfig
    approach_m: float

    @property
    def space(self) -> Box:
        """Shares in 0..1."""
        return Box(0.0, 1.0, (4 if self.kind == "push_or_grasp" else 3,), np.float32)

    def decode(self, values: Array, observation: Observation) -> Action:
        """A ``Grasp`` or a ``Push``."""
        v = np.clip(np.asarray(values, dtype=np.float64), 0.0, 1.0)
        pushes = self.kind == "push_or_grasp" and v[0] < 0.5
        x, y, share = v[-3:]
        box, support = self.config.limits.workspace, self.config.support_z_m
        low, high = np.array(box.min_m), np.array(box.max_m)
        xy = low[:2] + np.array([x, y]) * (high[:2] - low[:2])
        surface = surface_at(observation.frame(self.camera), xy, SURFACE_RADIUS_M, support)
        tip = load_gripper(self.config.grippers[self.config.arm()[1].gripper].kind).tip_beyond_pad_m
        if self.kind == "push_or_grasp":
            angle = 2.0 * np.pi * (int(share * PUSH_ANGLES) % PUSH_ANGLES) / PUSH_ANGLES
        else:
            angle = np.pi * share
        if pushes:
            z = max(surface - 0.01, support + FLOOR_M) + tip
            return Push(np.array([*xy, max(z, low[2])]), np.array([np.cos(angle), np.sin(angle), 0.0]), PUSH_LENGTH_M)
        z = max(surface - GRASP_DEPTH_M, support + FLOOR_M) + tip
        pose = top_down((*xy, float(np.clip(z, low[2], high[2]))), angle)
        return Grasp(pose, approach_m=self.approach_m, arm=self.config.arms_at(xy)[0])


@dataclass(frozen=True)
class HandCodec:
    """A hand's grasp (pixel_attentive): u, v as shares of the picture; roll, pitch, yaw; spread; three fingers (rad).

    The rotations turn the unit vector x into the approach direction; pitch of a quarter turn looks straight down.
    """

    camera: str
    config: CellConfig
    approach_m: float

    @property
    def space(self) -> Box:
        """Bounds; the spread goes to a quarter turn, the fingers' pre-shape to 0.61 rad."""
        low = [0.0, 0.0, -np.pi, 0.0, -np.pi, 0.0, 0.0, 0.0, 0.0]
        high = [1.0, 1.0, np.pi, np.pi, np.pi, SPREAD_RAD, FINGER_RAD, FINGER_RAD, FINGER_RAD]
        return Box(np.array(low, np.float32), np.array(high, np.float32))

    def decode(self, values: Array, observation: Observation) -> Action:
        """A ``Grasp`` with a pre-shape."""
        v = np.clip(np.asarray(values, dtype=np.float64), self.space.low, self.space.high)
        frame = observation.frame(self.camera)
        points = frame.points_base()
        height, width = points.shape[:2]
        point = points[int(v[1] * (height - 1)), int(v[0] * (width - 1))]
        box = self.config.limits.workspace
        if not np.isfinite(point).all():
            point = 0.5 * (np.array(box.min_m) + np.array(box.max_m))
        turn = Rotation.from_euler("zyx", [v[4], v[3], v[2]])
        # The hand's z is the turned x axis, its x (closing direction) the turned z axis.
        z = turn.apply([1.0, 0.0, 0.0])
        x = turn.apply([0.0, 0.0, 1.0])
        spec = load_gripper(self.config.grippers[self.config.arm()[1].gripper].kind)
        # The tool's origin lies beyond the palm; the palm stays back from the surface.
        ahead = max(0.0, spec.tcp_height_m - PALM_HEIGHT_M - PALM_BACK_M)
        T = transform(box.clamp(point + ahead * z), np.stack([x, np.cross(z, x), z], axis=1))
        motors = list(spec.active)
        spread = [name for name in motors if name not in spec.breakaway["pairs"]]
        fingers = [name for name in motors if name in spec.breakaway["pairs"]]
        prefix = self.config.grippers[self.config.arm()[1].gripper].prefix
        shape = {prefix + name: float(v[5]) for name in spread}
        shape |= {prefix + name: float(value) for name, value in zip(fingers, v[6:9], strict=True)}
        return Grasp(T, preshape=shape, approach_m=self.approach_m)


# Height of the BH-280's palm over its mounting face (m).
PALM_HEIGHT_M = 0.08


def make_codec(settings: EnvSettings, config: CellConfig) -> Codec:
    """The codec that the settings name."""
    if settings.actions == "hand_grasp":
        return HandCodec(settings.camera, config, settings.approach_m)
    if settings.actions in ("planar_grasp", "push_or_grasp"):
        return PrimitiveCodec(settings.actions, settings.camera, config, settings.approach_m)
    gripper = load_gripper(config.grippers[config.arm()[1].gripper].kind)
    return StepCodec(settings.actions, settings.camera, 0.5 * gripper.stroke_m[1])
