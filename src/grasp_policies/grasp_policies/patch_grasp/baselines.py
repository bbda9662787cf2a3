# SPDX-License-Identifier: Apache-2.0
"""What the paper measures its network against: a heuristic on the shape of patches, and classifiers on HoG (Table II).

scikit-image and scikit-learn do the work; they are imported when a baseline is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from grasp_policies.heightmaps.state import STEP_M, UNSEEN
from grasp_policies.patch_grasp.dataset import Patches
from grasp_policies.patch_grasp.settings import BINS
from grasp_policies.patch_grasp.table import bin_of

# Eigenvalue limits (m, half widths) and angular tolerances (rad) that the optimistic heuristic chooses among.
LIMITS_M = tuple(np.arange(0.008, 0.0361, 0.004))
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
    """Direction of the smallest eigenvalue of each patch's object pixels, and the spread along it.

    Args:
        heights: uint16 [n, w, w].
        reach_px: radius around the middle that is looked at.
        object_height_m: what counts as an object.

    Returns:
        Angles [n] in rad and standard deviations [n] in pixels; NaN where fewer than 3 pixels show an object.
    """
    size = heights.shape[-1]
    v, u = np.mgrid[0:size, 0:size] - 0.5 * (size - 1)
    inside = np.hypot(u, v) <= reach_px
    angles, spreads = np.full((2, len(heights)), np.nan)
    for i, height in enumerate(heights):
        on = inside & (height != UNSEEN) & (height > object_height_m / STEP_M)
        if on.sum() < 3:
            continue
        values, vectors = np.linalg.eigh(np.cov(np.stack([u[on], v[on]])))
        angles[i] = np.arctan2(vectors[1, 0], vectors[0, 0]) % np.pi
        spreads[i] = np.sqrt(max(values[0], 0.0))
    return angles, spreads


class Heuristic:
    """Close along the direction in which the object is thinnest.

    Args:
        pixel_m: edge of a pixel.
        limit_m: largest spread along it that fits between the fingers; none without a limit.
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
        """Whether the tried angle is the thinnest direction, and thin enough."""
        angles, spreads = shape_of(data.height, 0.5 * data.patch_px, self._object_height_m)
        off = np.abs((data.angle - angles + np.pi / 2) % np.pi - np.pi / 2)
        fits = np.isfinite(spreads) if self.limit_m is None else spreads * self.pixel_m <= self.limit_m
        return np.asarray((off <= self.tolerance) & fits)


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


class NearestNeighbours:
    """k nearest tries by HoG and angle; k is the best of a few on a part that is kept aside.

    Args:
        among: values of k to choose from.
    """

    def __init__(self, among: Sequence[int] = (1, 3, 5, 9, 15, 25, 51)) -> None:
        self._among = tuple(among)
        self.k = 0
        self._model: Any = None

    def fit(self, data: Patches) -> None:
        """Keep the tries, as many failures as successes."""
        from sklearn.neighbors import KNeighborsClassifier

        index = balanced_index(data.success, np.random.default_rng(0))
        features, answers = turned_features(data.part(index)), data.success[index]
        aside = np.arange(len(index)) % 5 == 0
        found = []
        for k in (k for k in self._among if k <= int((~aside).sum())):
            model = KNeighborsClassifier(k).fit(features[~aside], answers[~aside])
            found.append((balanced(model.predict(features[aside]), answers[aside]), -k))
        self.k = -max(found)[1]
        self._model = KNeighborsClassifier(self.k).fit(features, answers)

    def says(self, data: Patches) -> NDArray[np.bool_]:
        """What most of the neighbours did."""
        return np.asarray(self._model.predict(turned_features(data)), dtype=bool)


class LinearMachines:
    """18 linear support vector machines on HoG, one for each angle."""

    def __init__(self, penalty: float = 0.01) -> None:
        self._penalty = penalty
        self._models: dict[int, Any] = {}

    def fit(self, data: Patches) -> None:
        """Learn each angle from its own tries."""
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import LinearSVC

        bins = bin_of(data.angle)
        features = hog_features(data)
        for number in range(BINS):
            mine = bins == number
            if data.success[mine].any() and not data.success[mine].all():
                machine = LinearSVC(C=self._penalty, class_weight="balanced", random_state=0)
                self._models[number] = make_pipeline(StandardScaler(), machine).fit(features[mine], data.success[mine])

    def says(self, data: Patches) -> NDArray[np.bool_]:
        """What the machine of each try's angle says; no where there is none."""
        features, bins, said = hog_features(data), bin_of(data.angle), np.zeros(len(data), bool)
        for number, model in self._models.items():
            mine = bins == number
            if mine.any():
                said[mine] = model.predict(features[mine])
        return said


def hog_features(data: Patches, turned: bool = False) -> NDArray[np.float32]:
    """Histograms of oriented gradients of patches in grey, [n, f]; ``turned`` so that all close along the same axis."""
    from skimage.feature import hog

    found = []
    for begin in range(0, len(data), 512):
        part = data.part(np.arange(begin, min(begin + 512, len(data))))
        if turned:
            part = _closing_along_columns(part)
            images = part.rgb.astype(np.float32).mean(axis=-1)
        else:
            margin = (part.rgb.shape[1] - part.patch_px) // 2
            images = part.rgb[:, margin : margin + part.patch_px, margin : margin + part.patch_px].mean(axis=-1)
        found += [hog(image, orientations=9, pixels_per_cell=(6, 6), cells_per_block=(2, 2)) for image in images]
    return np.asarray(found, dtype=np.float32)


def turned_features(data: Patches) -> NDArray[np.float32]:
    """HoG of patches turned into their grasp, so that tries at any angle are neighbours."""
    return hog_features(data, turned=True)


def _closing_along_columns(data: Patches) -> Patches:
    from scipy import ndimage

    size, middle = data.patch_px, 0.5 * (data.rgb.shape[1] - 1)
    rgb = np.zeros((len(data), size, size, 3), np.uint8)
    for i, angle in enumerate(data.angle):
        cos, sin = np.cos(angle), np.sin(angle)
        matrix = np.array([[cos, sin], [-sin, cos]])
        offset = middle - matrix @ np.full(2, 0.5 * (size - 1))
        for c in range(3):
            rgb[i, ..., c] = ndimage.affine_transform(data.rgb[i, ..., c], matrix, offset, (size, size), order=1)
    return replace(data, rgb=rgb)


def balanced(said: NDArray[Any], success: NDArray[np.bool_]) -> float:
    """Mean of the shares of successes and of failures that were told rightly."""
    said = np.asarray(said, dtype=bool)
    return 0.5 * (float(said[success].mean()) + float((~said[~success]).mean()))


def balanced_index(success: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """Numbers of as many failures as successes, mixed."""
    yes, no = np.flatnonzero(success), np.flatnonzero(~success)
    count = min(len(yes), len(no))
    return rng.permutation(np.concatenate([rng.permutation(yes)[:count], rng.permutation(no)[:count]]))
