# SPDX-License-Identifier: Apache-2.0
"""Tell tries at unseen objects apart: networks and baselines in one table (Table II, Figure 8)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from grasp_core.statistics import wilson
from grasp_policies.patch_grasp import checkpoint
from grasp_policies.patch_grasp.baselines import (
    Classifier,
    Heuristic,
    OptimisticHeuristic,
    StrokeRule,
    balanced_index,
)
from grasp_policies.patch_grasp.dataset import Patches
from grasp_policies.patch_grasp.hog_classifiers import LinearMachines, NearestNeighbours
from grasp_policies.patch_grasp.learner import scores_of, threshold_for
from grasp_policies.patch_grasp.network import PatchNetwork
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
    balance_seed: int | None = 0,
) -> list[dict[str, Any]]:
    """Accuracy of every method, by default on as many failures as successes.

    Args:
        train, test: tries to learn from and to tell apart. Networks say yes above the threshold that is best for those
            random tries of ``train`` that were kept aside.
        checkpoints: networks by name.
        config: of the maps.
        limit_m: of the heuristic with a limit.
        most: tries that the classifiers on HoG learn from at most.
        balance_seed: of the draw of as many failures as successes; none for all tries.
    """
    rng = np.random.default_rng(balance_seed or 0)
    data = test if balance_seed is None else test.part(balanced_index(test.success, rng))
    some = train.part(np.sort(rng.permutation(len(train))[:most]))
    low = config.object_height_m
    methods: dict[str, Classifier] = {
        "smallest eigenvalue": Heuristic(config.map.pixel_m, object_height_m=low),
        "smallest eigenvalue, limit": Heuristic(config.map.pixel_m, limit_m, object_height_m=low),
        "optimistic heuristic (tuned on the test)": OptimisticHeuristic(config.map.pixel_m, object_height_m=low),
        "fits the stroke": StrokeRule(),
        "kNN on HoG": NearestNeighbours(),
        "kNN on HoG of heights": NearestNeighbours("heights"),
        "18 linear SVMs on HoG": LinearMachines(),
        "18 linear SVMs on HoG of heights": LinearMachines("heights"),
        "linear SVM on HoG of turned heights": LinearMachines("heights", turned=True),
    }
    rows = []
    for name, method in methods.items():
        method.fit(some)
        rows.append(row_of(name, method.says(data), data.success))
        log.info("%s: %.3f", name, rows[-1]["accuracy"])
    for name, folder in checkpoints.items():
        rows.append(network_row(name, checkpoint.load(folder)[0], train, data))
        log.info("%s: %.3f", name, rows[-1]["accuracy"])
    return rows


def network_row(name: str, network: PatchNetwork, train: Patches, data: Patches, device: str = "cpu") -> dict[str, Any]:
    """The line of a network: its accuracy on ``data`` with the threshold that suits what ``train`` keeps aside.

    ``auc`` is the area under the curve, which needs no threshold.
    """
    threshold, scores = threshold_for(network, train, device), scores_of(network, data, device)
    row = row_of(name, scores >= threshold, data.success)
    return {**row, "auc": float(roc_auc_score(data.success, scores)), "threshold": threshold}


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table."""
    lines = ["| Method | Accuracy | 95 % interval | Area under curve | Tries |", "|---|---|---|---|---|"]
    lines += [
        f"| {r['method']} | {r['accuracy']:.3f} | {r['low']:.3f} to {r['high']:.3f} "
        f"| {format(r['auc'], '.3f') if 'auc' in r else ''} | {r['tries']} |"
        for r in rows
    ]
    return "\n".join(lines)


def plot(rows: list[dict[str, Any]], file: Path, title: str = "") -> None:
    """A bar a method with its interval, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 0.9 + 0.32 * len(rows)), layout="constrained")
    axes = figure.subplots()
    where, mean = np.arange(len(rows)), [row["accuracy"] for row in rows]
    spread = [[m - row["low"] for m, row in zip(mean, rows, strict=True)],
              [row["high"] - m for m, row in zip(mean, rows, strict=True)]]  # fmt: skip
    network = ["threshold" in row for row in rows]
    axes.barh(where, mean, xerr=spread, capsize=3, color=["tab:blue" if n else "lightgrey" for n in network])
    axes.axvline(0.5, linestyle=":", color="black", linewidth=1.0)
    axes.set_yticks(where, [row["method"] for row in rows])
    axes.invert_yaxis()
    axes.set(xlabel="accuracy, 95 % Wilson interval", xlim=(0.4, 1.0))
    figure.suptitle(title, fontsize=9)
    figure.savefig(file, dpi=100)
