# SPDX-License-Identifier: Apache-2.0
"""From a pixel and an angle to a grasp or a push, and which pixels are worth a thought."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from grasp_core.actions import Grasp, Push
from grasp_core.geometry import top_down
from grasp_policies.heightmaps.settings import MapSettings
from grasp_policies.heightmaps.state import State
from grasp_policies.push_grasp.settings import GRASP, PrimitiveSettings

# Pushes take the highest point within this distance of the pixel as the surface (the authors' code: 1 cm).
SURFACE_RADIUS_M = 0.01


@dataclass(frozen=True)
class Choice:
    """One of the many actions: primitive, pixel and angle (rotation times 2 pi over the number of rotations).

    The angle is that of the closing direction of a grasp, of the way of a push; rows run along the base's y, columns
    along its x.
    """

    primitive: int
    row: int
    column: int
    rotation: int


def angle_of(rotation: int, rotations: int) -> float:
    """Angle about the base's z, rad."""
    return 2.0 * np.pi * rotation / rotations


def to_action(
    choice: Choice, state: State, map_settings: MapSettings, settings: PrimitiveSettings
) -> Grasp | Push | None:
    """The motion of a choice; none for a push that would leave the map at once."""
    pixel_m, corner = map_settings.pixel_m, np.asarray(map_settings.corner_m)
    place = corner + np.array([(choice.column + 0.5) * pixel_m, (choice.row + 0.5) * pixel_m, 0.0])
    angle = angle_of(choice.rotation, settings.rotations)
    if choice.primitive == GRASP:
        surface = float(_window(state.height_m, choice.row, choice.column, 1).max())
        place[2] += max(surface - settings.grasp_depth_m, settings.grasp_floor_m) + settings.tip_beyond_m
        return Grasp(top_down(place, angle), settings.grasp_width_m, approach_m=settings.approach_m)
    radius = round(SURFACE_RADIUS_M / pixel_m)
    surface = float(_window(state.height_m, choice.row, choice.column, radius).max())
    place[2] += surface + settings.push_clearance_m + settings.tip_beyond_m
    direction = np.array([np.cos(angle), np.sin(angle), 0.0])
    edge = map_settings.pixels * pixel_m - settings.push_inset_m
    low, high = corner[:2] + settings.push_inset_m, corner[:2] + edge
    place[:2] = np.clip(place[:2], low, high)
    with np.errstate(divide="ignore", invalid="ignore"):
        limits = np.where(direction[:2] > 0, (high - place[:2]) / direction[:2], (low - place[:2]) / direction[:2])
    limits = limits[np.abs(direction[:2]) > 1e-9]
    length = min(settings.push_length_m, float(limits.min()))
    return Push(place, direction, length) if length >= 0.02 else None


def grasp_mask(state: State, settings: PrimitiveSettings) -> NDArray[np.bool_]:
    """Pixels [rows, columns] to grasp at: those that show an object."""
    return state.occupied(settings.object_height_m)


def free_mask(state: State, map_settings: MapSettings, settings: PrimitiveSettings) -> NDArray[np.bool_]:
    """Pixels [rows, columns] with no object within a fingertip's reach: where a push may come down."""
    objects = state.occupied(settings.object_height_m)
    # The same square that a push takes its surface from: else it could start on top of an object and pass over it.
    size = 2 * max(1, round(SURFACE_RADIUS_M / map_settings.pixel_m)) + 1
    return ~ndimage.maximum_filter(objects, size=size)


def push_mask(
    state: State,
    angle: float,
    map_settings: MapSettings,
    settings: PrimitiveSettings,
    free: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Pixels [rows, columns] to start a push from: an object lies ahead within reach, none above the pixel.

    ``free`` is the state's ``free_mask``, where it is known already.
    """
    objects = state.occupied(settings.object_height_m)
    pixel_m = map_settings.pixel_m
    ahead = np.zeros_like(objects)
    for distance in np.arange(2.0 * pixel_m, settings.push_reach_m, 4.0 * pixel_m):
        shift = (-np.sin(angle) * distance / pixel_m, -np.cos(angle) * distance / pixel_m)
        ahead |= _shifted(objects, round(shift[0]), round(shift[1]))
    free = free_mask(state, map_settings, settings) if free is None else free
    return ahead & free & _room(objects.shape, angle, map_settings, settings)


def _room(
    shape: tuple[int, ...], angle: float, map_settings: MapSettings, settings: PrimitiveSettings
) -> NDArray[np.bool_]:
    """Pixels from which half a push stays within the inset."""
    inset = settings.push_inset_m / map_settings.pixel_m
    way = 0.5 * settings.push_length_m / map_settings.pixel_m
    ranges = []
    for size, step in zip(shape, (np.sin(angle), np.cos(angle)), strict=True):
        places = np.arange(size) + 0.5
        end = places + way * step
        ranges.append((np.minimum(places, end) >= inset) & (np.maximum(places, end) <= size - inset))
    return ranges[0][:, None] & ranges[1][None, :]


def _shifted(mask: NDArray[np.bool_], rows: int, columns: int) -> NDArray[np.bool_]:
    out = np.zeros_like(mask)
    height, width = mask.shape
    if abs(rows) >= height or abs(columns) >= width:
        return out
    out[max(rows, 0) : height + min(rows, 0), max(columns, 0) : width + min(columns, 0)] = mask[
        max(-rows, 0) : height + min(-rows, 0), max(-columns, 0) : width + min(-columns, 0)
    ]
    return out


def _window(values: NDArray[np.float32], row: int, column: int, radius: int) -> NDArray[np.float32]:
    return values[max(0, row - radius) : row + radius + 1, max(0, column - radius) : column + radius + 1]
