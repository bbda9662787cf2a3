# SPDX-License-Identifier: Apache-2.0
"""Scripted grasps of upright primitives whose pose is known, from above or from the side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from grasp_core.actions import Grasp
from grasp_core.cell_config import CellConfig
from grasp_core.config import ConfigError
from grasp_core.geometry import Array, top_down, transform
from grasp_description.grippers import GripperSpec, load_gripper
from grasp_sim.objects import load_object_set

# Clearance that the fingertips keep over the support (m).
FLOOR_CLEARANCE_M = 0.006
# How much wider than the object the fingers open, both sides together (m).
OPENING_MARGIN_M = 0.03
APPROACH_M = 0.10
# Sets to choose from, and how far their sizes stay away from the ends of the stroke (m).
PRIMITIVE_SETS = ("primitives", "primitives_wide")
STROKE_MARGIN_M = 0.005
HAND_GAP_M = 0.04
# Models that can be held at any yaw.
ROUND_MODELS = ("cylinder", "sphere")
# The scene with one object from each set: a graph's scenes name their objects, a ``SimCell`` takes others.
SCENE_OF_SET = {"primitives": "single", "primitives_wide": "single_wide"}
# Yaws to try with what is round.
ROUND_TURNS = tuple(float(v) for v in np.arange(8) * 0.25 * np.pi)


@dataclass(frozen=True)
class Target:
    """Where an object is and how large: ``T_base_object`` of its bounding box, edges along its axes (m).

    ``round`` objects can be held at any yaw.
    """

    id: int
    name: str
    T_base_object: Array
    extents_m: tuple[float, float, float]
    round: bool = False


def candidate_grasps(
    target: Target, config: CellConfig, gripper: GripperSpec, style: Literal["top", "side"]
) -> list[Grasp]:
    """Scripted grasps of an upright primitive, best first: across its shorter horizontal edge, then the other way."""
    R = target.T_base_object[:3, :3]
    # The object's axis that stands most upright, and the two others.
    up = int(np.abs(R[2]).argmax())
    flat = sorted((axis for axis in range(3) if axis != up), key=lambda axis: target.extents_m[axis])
    height = target.extents_m[up]
    centre = target.T_base_object[:3, 3]
    widths = [target.extents_m[axis] for axis in flat]
    grasps = []
    for axis, width in zip(flat, widths, strict=True):
        closing = R[:, axis]
        yaw = float(np.arctan2(closing[1], closing[0]))
        if width > gripper.stroke_m[1] - 0.006:
            continue
        opening = min(gripper.stroke_m[1], width + OPENING_MARGIN_M)
        if style == "side":
            grasps.append(
                Grasp(_side_grasp(centre, closing, width, config, gripper), width_m=opening, approach_m=APPROACH_M)
            )
            continue
        for turn in ROUND_TURNS if target.round else (0.0, np.pi):
            T = _top_grasp(centre, height, yaw + turn, width, config, gripper)
            grasps.append(Grasp(T, width_m=opening, approach_m=APPROACH_M))
    return grasps


def _top_grasp(
    centre: Array, height: float, yaw: float, width: float, config: CellConfig, gripper: GripperSpec
) -> Array:
    # The pads move along the approach while they close; the tool's origin is where they meet when closed.
    shift = gripper.pad_offset_m(width)
    pads_z = centre[2] + max(0.0, 0.5 * height - 0.03)
    lowest = config.support_z_m + FLOOR_CLEARANCE_M + gripper.tip_beyond_pad_m
    opening = min(gripper.stroke_m[1], width + OPENING_MARGIN_M)
    deepest = max(gripper.pad_offset_m(float(w)) for w in np.linspace(width, opening, 20))
    z = max(pads_z + shift, lowest + deepest, config.limits.workspace.min_m[2])
    return top_down((centre[0], centre[1], z), yaw)


def _side_grasp(centre: Array, closing: Array, width: float, config: CellConfig, gripper: GripperSpec) -> Array:
    # Horizontal approach, fingers closing horizontally across ``closing``, from the robot's side.
    x = np.array([closing[0], closing[1], 0.0])
    x /= np.linalg.norm(x)
    z = np.cross([0.0, 0.0, 1.0], x)
    if z @ np.array([centre[0], centre[1], 0.0]) < 0.0:
        x, z = -x, -z
    y = np.cross(z, x)
    point = centre - z * gripper.pad_offset_m(width)
    return transform(point, np.stack([x, y, z], axis=1))


def graspable_set(config: CellConfig) -> str:
    """The set of primitives whose sizes the cell's (first) gripper can hold.

    Raises:
        ConfigError: none fits.
    """
    gripper = load_gripper(config.grippers[config.arm()[1].gripper].kind)
    for name in PRIMITIVE_SETS:
        low, high = load_object_set(name).config.size_m
        # What is thinner than the gap between a hand's neighbouring fingers rolls out between them.
        least = HAND_GAP_M if gripper.breakaway else gripper.stroke_m[0] + STROKE_MARGIN_M
        if low > least and high < gripper.stroke_m[1] - STROKE_MARGIN_M:
            return name
    raise ConfigError(f"none of {', '.join(PRIMITIVE_SETS)} fits between fingers that open {gripper.stroke_m} m")
