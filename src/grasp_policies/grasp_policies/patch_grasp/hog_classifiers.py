# SPDX-License-Identifier: Apache-2.0
"""The paper's classifiers on histograms of oriented gradients (Table II), of colour as there or of heights.

scikit-image and scikit-learn do the work; they are imported when a classifier learns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from grasp_policies.patch_grasp.baselines import balanced, balanced_index
from grasp_policies.patch_grasp.dataset import Patches
from grasp_policies.patch_grasp.settings import BINS, PatchGraspConfig
from grasp_policies.patch_grasp.table import bin_of

See = Literal["colour", "heights"]
PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2)
# One try in so many is kept aside to choose k or a penalty on.
ASIDE = 5


class NearestNeighbours:
    """k nearest tries by HoG of patches turned into their grasp; k is the best of a few on a part that is kept aside.

    Args:
        see: what gradients are of.
        among: values of k to choose from.
    """

    def __init__(self, see: See = "colour", among: Sequence[int] = (1, 3, 5, 9, 15, 25, 51)) -> None:
        self._see, self._among = see, tuple(among)
        self.k = 0
        self._model: Any = None

    def fit(self, data: Patches) -> None:
        """Keep the tries, as many failures as successes."""
        from sklearn.neighbors import KNeighborsClassifier

        index = balanced_index(data.success, np.random.default_rng(0))
        features, answers = hog_features(data.part(index), self._see, turned=True), data.success[index]
        aside = np.arange(len(index)) % ASIDE == 0
        found = []
        for k in (k for k in self._among if k <= int((~aside).sum())):
            model = KNeighborsClassifier(k).fit(features[~aside], answers[~aside])
            found.append((balanced(model.predict(features[aside]), answers[aside]), -k))
        self.k = -max(found)[1]
        self._model = KNeighborsClassifier(self.k).fit(features, answers)

    def says(self, data: Patches) -> NDArray[np.bool_]:
        """What most of the neighbours did."""
        return np.asarray(self._model.predict(hog_features(data, self._see, turned=True)), dtype=bool)


class LinearMachines:
    """Linear support vector machines on HoG: 18 for upright patches, one for each angle (paper), or one for all turned.

    Args:
        see: what gradients are of.
        turned: one machine, on patches turned into their grasp.
        penalties: values of C to choose from, on a part that is kept aside.
    """

    def __init__(self, see: See = "colour", turned: bool = False, penalties: Sequence[float] = PENALTIES) -> None:
        self._see, self._turned, self._penalties = see, turned, tuple(penalties)
        self.penalty = 0.0
        self._models: dict[int, Any] = {}

    def fit(self, data: Patches) -> None:
        """Learn each angle from its own tries, with the penalty that is best over all angles."""
        features, numbers = hog_features(data, self._see, self._turned), self._numbers(data)
        aside = np.random.default_rng(0).random(len(data)) < 1.0 / ASIDE
        found = []
        for penalty in self._penalties:
            models = _machines(features[~aside], numbers[~aside], data.success[~aside], penalty)
            said = _said(models, features[aside], numbers[aside])
            found.append((balanced(said, data.success[aside]), penalty))
        self.penalty = max(found)[1]
        self._models = _machines(features, numbers, data.success, self.penalty)

    def says(self, data: Patches) -> NDArray[np.bool_]:
        """What the machine of each try's angle says; no where there is none."""
        return _said(self._models, hog_features(data, self._see, self._turned), self._numbers(data))

    def _numbers(self, data: Patches) -> NDArray[np.int64]:
        return np.zeros(len(data), np.int64) if self._turned else bin_of(data.angle)


def _machines(
    features: NDArray[np.float32], numbers: NDArray[np.int64], success: NDArray[np.bool_], penalty: float
) -> dict[int, Any]:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    found = {}
    for number in range(BINS):
        mine = numbers == number
        if success[mine].any() and not success[mine].all():
            machine = LinearSVC(C=penalty, class_weight="balanced", random_state=0)
            found[number] = make_pipeline(StandardScaler(), machine).fit(features[mine], success[mine])
    return found


def _said(models: dict[int, Any], features: NDArray[np.float32], numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
    said = np.zeros(len(features), bool)
    for number, model in models.items():
        mine = numbers == number
        if mine.any():
            said[mine] = model.predict(features[mine])
    return said


def hog_features(data: Patches, see: See, turned: bool) -> NDArray[np.float32]:
    """Histograms of oriented gradients of patches, [n, f].

    Args:
        data: tries.
        see: of what is grey in colour, or of heights as a network sees them.
        turned: patches turned into their grasp, so that all close along the same axis.
    """
    from skimage.feature import hog

    shown = data.shown_to(_square(data.config, turned))
    found = []
    for begin in range(0, len(data), 512):
        patches = shown.batch(np.arange(begin, min(begin + 512, len(data))))[0].numpy()
        images = patches[:, 0] if see == "heights" else patches[:, 2:].mean(axis=1)
        found += [hog(image, orientations=9, pixels_per_cell=(6, 6), cells_per_block=(2, 2)) for image in images]
    return np.asarray(found, dtype=np.float32)


def _square(config: PatchGraspConfig, turned: bool) -> PatchGraspConfig:
    changes = {"head": "aligned" if turned else "bins", "across_px": None, "trunk": "small"}
    return config.model_copy(update={"network": config.network.model_copy(update=changes)})
