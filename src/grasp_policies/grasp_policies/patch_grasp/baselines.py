# SPDX-License-Identifier: Apache-2.0
"""Rules without learning that a network is measured against: the paper's on the shape of patches (Table II), and ours.

The paper's classifiers are in ``hog_classifiers``.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from grasp_policies.heightmaps.state import STEP_M, UNSEEN
from grasp_policies.patch_grasp.dataset import Patches
from grasp_policies.patch_grasp.table import tips_m

# Spreads (standard deviations, m; a strip of 37 mm has 0.011) and angular tolerances (rad) among which the optimistic
# heuristic chooses.
LIMITS_M = (0.0, *np.arange(0.006, 0.0261, 0.002))
TOLERANCES = tuple(np.radians((15.0, 25.0, 35.0, 45.0)))


class Classifier(Protocol):
    """Learns from tries and says of others whether they hold."""

    def fit(self, data: Patches) -> None:
        """Learn."""
        ...

    def says(self, data: Patches) -> NDArray[np.bool_]:
        """Whether each try [n] would hold."""
        ...


def shape_of(
    heights: NDArray[np.uint16], reach_px: float, object_height_m: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Direction of the smallest eigenvalue of each patch's object pixels, and the spreads along it and across.

    Args:
        heights: uint16 [n, w, w].
        reach_px: radius around the middle that is looked at.
        object_height_m: what counts as an object.

    Returns:
        Angles [n] in rad, and standard deviations [n, 2] in pixels, the smaller first; NaN where fewer than 3 pixels
        show an object.
    """
    size = heights.shape[-1]
    v, u = np.mgrid[0:size, 0:size] - 0.5 * (size - 1)
    inside = np.hypot(u, v) <= reach_px
    angles, spreads = np.full(len(heights), np.nan), np.full((len(heights), 2), np.nan)
    for i, height in enumerate(heights):
        on = inside & (height != UNSEEN) & (height > object_height_m / STEP_M)
        if on.sum() < 3:
            continue
        values, vectors = np.linalg.eigh(np.cov(np.stack([u[on], v[on]])))
        angles[i] = np.arctan2(vectors[1, 0], vectors[0, 0]) % np.pi
        spreads[i] = np.sqrt(np.maximum(values, 0.0))
    return angles, spreads


class Heuristic:
    """Close along the direction in which the object is thinnest.

    Args:
        pixel_m: edge of a pixel.
        limit_m: what is nowhere wider than this spread is too thin for fingers that do not close (the paper's limit on
            the largest eigenvalue); none without a limit.
        tolerance: how far the tried angle may be off, rad.
        object_height_m: what counts as an object.
    """

    def __init__(
        self,
        pixel_m: float,
        limit_m: float | None = None,
        tolerance: float = np.radians(25.0),
        object_height_m: float = 0.006,
    ) -> None:
        self.pixel_m, self.limit_m, self.tolerance = pixel_m, limit_m, tolerance
        self._object_height_m = object_height_m

    def fit(self, data: Patches) -> None:
        """There is nothing to learn."""

    def says(self, data: Patches) -> NDArray[np.bool_]:
        """Whether the tried angle is the thinnest direction of something that is not too thin."""
        angles, spreads = shape_of(data.height, 0.5 * data.patch_px, self._object_height_m)
        off = np.abs((data.angle - angles + np.pi / 2) % np.pi - np.pi / 2)
        least = 0.0 if self.limit_m is None else self.limit_m
        return np.asarray((off <= self.tolerance) & (spreads[:, 1] * self.pixel_m >= least))


class OptimisticHeuristic(Heuristic):
    """The heuristic with the parameters that are best on the data that it is tested on, as the paper grants it."""

    def says(self, data: Patches) -> NDArray[np.bool_]:
        """As ``Heuristic``, best over a grid."""
        best: tuple[float, NDArray[np.bool_]] = (-1.0, np.zeros(len(data), bool))
        for self.limit_m in LIMITS_M:
            for self.tolerance in TOLERANCES:
                said = super().says(data)
                score = balanced(said, data.success)
                if score > best[0]:
                    best = score, said
        return best[1]


class StrokeRule:
    """No learning, two numbers of the data sheet: what lies between the fingers is neither too thin nor too wide.

    Along the closing direction, through the grasp point, what rises above the resting fingertips is measured. The
    numbers are Baxter's: its fingers close to 37 mm and open to 78.7 mm (urdf/grippers/baxter_electric.yaml).

    Args:
        closed_m: opening of the closed fingers.
        open_m: opening of the open fingers.
        above_m: what is lower than this above the fingertips is not met by them.
    """

    def __init__(self, closed_m: float = 0.037, open_m: float = 0.0787, above_m: float = 0.004) -> None:
        self._closed_m, self._open_m, self._above_m = closed_m, open_m, above_m

    def fit(self, data: Patches) -> None:
        """There is nothing to learn."""

    def says(self, data: Patches) -> NDArray[np.bool_]:
        """Whether each try's width fits."""
        widths = widths_m(data, self._above_m)
        return np.asarray((widths >= self._closed_m) & (widths <= self._open_m))


def widths_m(data: Patches, above_m: float) -> NDArray[np.float64]:
    """How far what rises ``above_m`` over the resting fingertips reaches along the closing direction, m [n].

    The unbroken part around the grasp point counts; 0 where nothing rises there.
    """
    edge = data.height.shape[-1]
    middle = edge // 2
    heights = np.where(data.height == UNSEEN, np.float32(0.0), data.height * np.float32(STEP_M))
    level = tips_m(data.height, data.config.grasp) + above_m
    along = np.arange(edge) - middle
    found = np.zeros(len(data))
    for i, angle in enumerate(data.angle):
        line = ndimage.map_coordinates(
            heights[i], [middle + np.sin(angle) * along, middle + np.cos(angle) * along], order=1
        )
        raised = np.concatenate([[False], line > level[i], [False]])
        if raised[middle + 1]:
            gaps = np.flatnonzero(~raised)
            beyond = np.searchsorted(gaps, middle + 1)
            found[i] = (gaps[beyond] - gaps[beyond - 1] - 1) * data.config.map.pixel_m
    return found


def balanced(said: NDArray[Any], success: NDArray[np.bool_]) -> float:
    """Mean of the shares of successes and of failures that were told rightly."""
    said = np.asarray(said, dtype=bool)
    return 0.5 * (float(said[success].mean()) + float((~said[~success]).mean()))


def balanced_index(success: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """Numbers of as many failures as successes, mixed."""
    yes, no = np.flatnonzero(success), np.flatnonzero(~success)
    count = min(len(yes), len(no))
    return rng.permutation(np.concatenate([rng.permutation(yes)[:count], rng.permutation(no)[:count]]))
