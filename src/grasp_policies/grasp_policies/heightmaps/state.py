# SPDX-License-Identifier: Apache-2.0
"""What the networks see: a heightmap with colour, small gaps closed, and which pixels were seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from grasp_core.observation import Observation
from grasp_fusion.heightmap import heightmap
from grasp_policies.heightmaps.settings import MapSettings

# How heights are kept on disk: tenths of a millimetre; this value where nothing was seen.
STEP_M = 1e-4
UNSEEN = np.uint16(65535)
# Scene change (the authors' code): pixels whose height changed by this much (m), and how many make a change.
LEAST_CHANGE_M, MOST_CHANGE_M, CHANGED_PIXELS = 0.01, 0.30, 300


@dataclass(frozen=True)
class State:
    """A look at the table.

    Attributes:
        height: uint16 [rows, columns], tenths of a millimetre above the table; ``UNSEEN`` where nothing was seen.
        rgb: uint8 [rows, columns, 3].
    """

    height: NDArray[np.uint16]
    rgb: NDArray[np.uint8]

    @property
    def height_m(self) -> NDArray[np.float32]:
        """Heights, float32 [rows, columns]; 0 where nothing was seen."""
        return np.where(self.height == UNSEEN, np.float32(0.0), self.height * np.float32(STEP_M))

    def occupied(self, least_m: float) -> NDArray[np.bool_]:
        """Pixels [rows, columns] that show an object."""
        return (self.height != UNSEEN) & (self.height > least_m / STEP_M)


def look(observation: Observation, settings: MapSettings) -> State:
    """Make a state from the observation's picture.

    Raises:
        KeyError: the observation lacks the camera.
        FrameError: the picture has no depth.
    """
    seen = heightmap(observation.frame(settings.camera), settings.heightmap)
    return _closed(seen.height_m, seen.rgb)


def changed(before: State, after: State) -> bool:
    """Whether the scene is another: more than 300 pixels rose or sank by 1 to 30 cm."""
    difference = np.abs(after.height_m - before.height_m)
    return int(((difference >= LEAST_CHANGE_M) & (difference <= MOST_CHANGE_M)).sum()) > CHANGED_PIXELS


def _closed(height_m: NDArray[np.float32], rgb: NDArray[np.uint8]) -> State:
    """Gaps of a pixel between seen neighbours, left by the camera's slant, take the nearest neighbour's values."""
    seen = np.isfinite(height_m)
    gaps = ndimage.binary_closing(np.pad(seen, 2), np.ones((3, 3)), iterations=1)[2:-2, 2:-2] & ~seen
    height = np.where(seen, np.clip(height_m, 0.0, 6.0), 0.0)
    if gaps.any() and seen.any():
        rows, columns = ndimage.distance_transform_edt(~seen, return_distances=False, return_indices=True)
        height = np.where(gaps, height[rows, columns], height)
        rgb = np.where(gaps[..., None], rgb[rows, columns], rgb)
    stored = np.round(height / STEP_M).astype(np.uint16)
    stored[~(seen | gaps)] = UNSEEN
    return State(stored, np.ascontiguousarray(rgb))
