# SPDX-License-Identifier: Apache-2.0
"""From the head's picture to places worth a grasp, patches around them, and motions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from grasp_core.actions import Grasp
from grasp_core.geometry import top_down
from grasp_policies.heightmaps.state import STEP_M, UNSEEN, State
from grasp_policies.patch_grasp.settings import BINS, GraspSettings, PatchGraspConfig


@dataclass(frozen=True)
class Choice:
    """A grasp: pixel of the map, and the closing direction about the base's z in rad, 0 to pi."""

    row: int
    column: int
    angle: float

    @property
    def bin(self) -> int:
        """Number of the angle, 0 to 17."""
        return int(bin_of(np.array(self.angle)))


def bin_of(angle: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """Nearest of the 18 angles; a grasp turned by 180 degrees is the same grasp."""
    return np.round(np.asarray(angle) * BINS / np.pi).astype(np.int64) % BINS


def angle_of(number: int) -> float:
    """Angle of a bin, rad."""
    return float(number) * np.pi / BINS


def foreground(state: State, config: PatchGraspConfig) -> NDArray[np.bool_]:
    """What does not belong to the table, bool [rows, columns].

    The paper subtracts a mixture of Gaussians that it learned over time. Here the height of the table is known and its
    colour is that of most low pixels of the picture, so that nothing is carried from table to table.
    """
    seen = state.height != UNSEEN
    raised = state.occupied(config.object_height_m)
    low = seen & ~raised
    if low.sum() < 50:
        return raised
    # uint8 differences would wrap around.
    colour = np.abs(state.rgb.astype(np.int16) - np.median(state.rgb[low], axis=0).astype(np.int16)).max(axis=-1)
    flat = ndimage.binary_opening(low & (colour > config.colour_distance), np.ones((3, 3)))
    # Shadows and printed things lie flat beside objects; only what touches something raised may widen it.
    return raised | (flat & ndimage.binary_dilation(raised, iterations=3))


def region(state: State, config: PatchGraspConfig) -> NDArray[np.bool_]:
    """Where a grasp may be, bool [rows, columns]: on the foreground and within reach."""
    m, g = config.map, config.grasp
    x = m.corner_m[0] + (np.arange(m.pixels) + 0.5) * m.pixel_m
    y = m.corner_m[1] + (np.arange(m.pixels) + 0.5) * m.pixel_m
    inside = ((y >= g.low_m[1]) & (y <= g.high_m[1]))[:, None] & ((x >= g.low_m[0]) & (x <= g.high_m[0]))[None, :]
    return foreground(state, config) & inside


def at_random(mask: NDArray[np.bool_], config: PatchGraspConfig, rng: np.random.Generator) -> Choice | None:
    """A random region of interest, then a uniform point in it and a uniform angle (section III-A).

    A region is one connected part of the foreground, so that a lone small object is met as often as a large heap.
    """
    labels, count = ndimage.label(mask)
    if count == 0:
        return None
    sizes = np.bincount(labels.ravel())[1:]
    usable = 1 + np.flatnonzero(sizes >= min(20, sizes.max()))
    rows, columns = np.nonzero(labels == rng.choice(usable))
    pick = int(rng.integers(len(rows)))
    return Choice(int(rows[pick]), int(columns[pick]), float(rng.uniform(0.0, np.pi)))


def windows(state: State, pixels: NDArray[np.int64], size: int) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Heights [n, size, size] and colours [n, size, size, 3] around pixels [n, 2]; unseen beyond the map."""
    half = size // 2
    height = np.pad(state.height, half, constant_values=UNSEEN)
    rgb = np.pad(state.rgb, ((half, half), (half, half), (0, 0)))
    rows = pixels[:, 0, None, None] + np.arange(size)[:, None]
    columns = pixels[:, 1, None, None] + np.arange(size)[None, :]
    return height[rows, columns], rgb[rows, columns]


def tips_m(heights: NDArray[np.uint16], settings: GraspSettings) -> NDArray[np.float32]:
    """How high above the table the fingertips come to rest, [n], for windows [n, w, w] around grasp points."""
    middle = heights.shape[-1] // 2
    near = heights[:, max(0, middle - 1) : middle + 2, max(0, middle - 1) : middle + 2]
    surface = np.where(near == UNSEEN, np.float32(0.0), near * np.float32(STEP_M)).max(axis=(1, 2))
    return np.maximum(surface - np.float32(settings.depth_m), np.float32(settings.floor_m))


def place_of(choice: Choice, state: State, config: PatchGraspConfig) -> NDArray[np.float64]:
    """Where the tool's origin goes, [3], base frame: its fingertips below the surface, but not below the floor."""
    m = config.map
    around, _ = windows(state, np.array([[choice.row, choice.column]]), 3)
    z = float(tips_m(around, config.grasp)[0]) + config.grasp.tip_beyond_m
    return np.asarray(m.corner_m) + np.array([(choice.column + 0.5) * m.pixel_m, (choice.row + 0.5) * m.pixel_m, z])


def arm_for(place: NDArray[np.float64], settings: GraspSettings) -> str:
    """Which arm serves a place."""
    for reach in settings.arms:
        if np.all(place[:2] >= reach.low_m) and np.all(place[:2] <= reach.high_m):
            return reach.arm
    return settings.arms[-1].arm


def to_action(choice: Choice, state: State, config: PatchGraspConfig) -> Grasp:
    """The motion of a choice, fingers as wide open as they go."""
    place = place_of(choice, state, config)
    arm = arm_for(place, config.grasp)
    return Grasp(top_down(place, choice.angle), approach_m=config.grasp.approach_m, arm=arm)
