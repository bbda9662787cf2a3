# SPDX-License-Identifier: Apache-2.0
"""Tell tries at unseen objects apart: networks and baselines in one table (Table II, Figure 8)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grasp_core.statistics import wilson
from grasp_policies.patch_grasp import checkpoint
from grasp_policies.patch_grasp.baselines import (
    Classifier,
    Heuristic,
    LinearMachines,
    NearestNeighbours,
    OptimisticHeuristic,
    balanced_index,
)
from grasp_policies.patch_grasp.dataset import Patches
from grasp_policies.patch_grasp.learner import best_threshold, kept_aside, scores_of
from grasp_policies.patch_grasp.settings import PatchGraspConfig

log = logging.getLogger(__name__)


def row_of(name: str, said: NDArray[np.bool_], success: NDArray[np.bool_]) -> dict[str, Any]:
    """One line of the table, with a 95 % Wilson interval over the balanced tries."""
    right = said == success
    found = wilson(int(right.sum()), len(right))
    return {"method": name, "accuracy": found.mean, "low": found.low, "high": found.high, "tries": len(right)}


def compare(
    train: Patches,
    test: Patches,
    checkpoints: dict[str, Path],
    config: PatchGraspConfig,
    limit_m: float,
    most: int,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Accuracy of every method on as many failures as successes.

    Args:
        train, test: tries to learn from and to tell apart. Networks say yes above the threshold that is best for those
            of ``train`` that were kept aside.
        checkpoints: networks by name.
        config: of the maps.
        limit_m: of the heuristic with a limit.
        most: tries that the classifiers on HoG learn from at most.
        seed: of the resampling.
    """
    rng = np.random.default_rng(seed)
    data = test.part(balanced_index(test.success, rng))
    some = train.part(np.sort(rng.permutation(len(train))[:most]))
    low = config.object_height_m
    methods: dict[str, Classifier] = {
        "smallest eigenvalue": Heuristic(config.map.pixel_m, object_height_m=low),
        "smallest eigenvalue, limit": Heuristic(config.map.pixel_m, limit_m, object_height_m=low),
        "optimistic heuristic": OptimisticHeuristic(config.map.pixel_m, object_height_m=low),
        "kNN on HoG": NearestNeighbours(),
        "18 linear SVMs on HoG": LinearMachines(),
    }
    rows = []
    for name, method in methods.items():
        method.fit(some)
        rows.append(row_of(name, method.says(data), data.success))
        log.info("%s: %.3f", name, rows[-1]["accuracy"])
    aside = train.part(kept_aside(train))
    for name, folder in checkpoints.items():
        network, _ = checkpoint.load(folder)
        threshold = best_threshold(scores_of(network, aside), aside.success)
        rows.append(row_of(name, scores_of(network, data) >= threshold, data.success))
        log.info("%s: %.3f", name, rows[-1]["accuracy"])
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    lines = ["| Method | Accuracy | 95 % interval | Tries |", "|---|---|---|---|"]
    lines += [
        f"| {r['method']} | {r['accuracy']:.3f} | {r['low']:.3f} to {r['high']:.3f} | {r['tries']} |" for r in rows
    ]
    return "\n".join(lines)
