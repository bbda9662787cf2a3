# SPDX-License-Identifier: Apache-2.0
"""Tell tries at unseen objects apart: networks and baselines in one table (Table II, Figure 8)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from grasp_core.statistics import bootstrap_groups
from grasp_policies.patch_grasp import checkpoint
from grasp_policies.patch_grasp.baselines import (
    Classifier,
    Heuristic,
    OptimisticHeuristic,
    StrokeRule,
)
from grasp_policies.patch_grasp.dataset import Patches
from grasp_policies.patch_grasp.hog_classifiers import LinearMachines, NearestNeighbours
from grasp_policies.patch_grasp.learner import (
    HELD_OUT_EVERY,
    balanced_accuracy,
    random_aside,
    scores_of,
    threshold_for,
)
from grasp_policies.patch_grasp.network import PatchNetwork
from grasp_policies.patch_grasp.settings import PatchGraspConfig

log = logging.getLogger(__name__)

# Random tries of the run that a network is asked about, of those that it may have learned from.
FIT_TRIES = 6000


def row_of(name: str, said: NDArray[np.bool_], data: Patches, balanced: bool = True) -> dict[str, Any]:
    """One line of the table, with a 95 % interval for which tables are drawn whole: their tries are alike.

    Args:
        name: of the method.
        said: whether each try of ``data`` [n] would hold.
        data: tries.
        balanced: the mean of both answers' accuracies, as if there were as many failures as successes; without, the
            share of all tries.
    """
    tables = np.unique(np.stack([data.stage, data.episode]), axis=1, return_inverse=True)[1].ravel()
    found = bootstrap_groups(said == data.success, tables, data.success if balanced else None)
    # Of one table nobody knows the spread.
    low, high = (found.low, found.high) if np.isfinite(found.low) else (0.0, 1.0)
    return {"method": name, "accuracy": found.mean, "low": low, "high": high, "tries": found.n}


def compare(
    train: Patches,
    test: Patches,
    checkpoints: dict[str, Path],
    config: PatchGraspConfig,
    limit_m: float,
    most: int,
    balanced: bool = True,
    own: bool = True,
) -> list[dict[str, Any]]:
    """Accuracy of every method.

    Networks are asked of the random tries of ``train`` too: those kept ``aside``, for which the threshold was chosen,
    and those ``learned`` from where the networks are of this run (``fitted``).

    Args:
        train, test: tries to learn from and to tell apart. Networks say yes above the threshold that is best for those
            random tries of ``train`` that were kept aside.
        checkpoints: networks by name.
        config: of the maps.
        limit_m: of the heuristic with a limit.
        most: tries that the classifiers on HoG learn from at most.
        balanced: as for ``row_of``.
        own: the networks have learned from ``train``.
    """
    rng = np.random.default_rng(0)
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
        rows.append(row_of(name, method.says(test), test, balanced))
        log.info("%s: %.3f", name, rows[-1]["accuracy"])
    first = train.stage == 0
    learned = np.flatnonzero(first & (train.episode % HELD_OUT_EVERY != HELD_OUT_EVERY - 1))
    parts = {"aside": random_aside(train)}
    if own:
        parts["learned"] = train.part(np.sort(rng.permutation(learned)[:FIT_TRIES]))
    for name, folder in checkpoints.items():
        network = checkpoint.load(folder)[0]
        row = network_row(name, network, train, test, balanced)
        fit = {part: fitted(network, tries, row["threshold"]) for part, tries in parts.items()}
        rows.append({**row, **fit})
        log.info("%s: %.3f", name, row["accuracy"])
    return rows


def fitted(network: PatchNetwork, data: Patches, threshold: float) -> dict[str, float]:
    """How well a network tells tries of the run apart: balanced accuracy above a threshold, and area under the curve.

    Those that it learned from beside those of the same objects kept aside tell whether it has too few tries, or does
    not see what matters.
    """
    scores = scores_of(network, data)
    return {
        "accuracy": balanced_accuracy(scores, data.success, threshold),
        "auc": float(roc_auc_score(data.success, scores)),
        "tries": float(len(data)),
    }


def network_row(
    name: str, network: PatchNetwork, train: Patches, data: Patches, balanced: bool = True, device: str = "cpu"
) -> dict[str, Any]:
    """The line of a network: its accuracy on ``data`` with the threshold that suits what ``train`` keeps aside.

    ``auc`` is the area under the curve, which needs no threshold.
    """
    threshold, scores = threshold_for(network, train, device), scores_of(network, data, device)
    row = row_of(name, scores >= threshold, data, balanced)
    return {**row, "auc": float(roc_auc_score(data.success, scores)), "threshold": threshold}


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as a Markdown table, with what networks tell of the run's own random tries."""
    lines = [
        "| Method | Accuracy | 95 % interval | Area under curve | Tries | kept aside, threshold's own | learned from |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['method']} | {r['accuracy']:.3f} | {r['low']:.3f} to {r['high']:.3f} "
        f"| {format(r['auc'], '.3f') if 'auc' in r else ''} | {r['tries']} "
        f"| {_fit(r, 'aside')} | {_fit(r, 'learned')} |"
        for r in rows
    ]
    return "\n".join(lines)


def _fit(row: dict[str, Any], part: str) -> str:
    told = row.get(part)
    return "" if told is None else f"{told['accuracy']:.3f}, {told['auc']:.3f}"


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
    axes.set(xlabel="accuracy, 95 % interval over tables", xlim=(0.4, 1.0))
    figure.suptitle(title, fontsize=9)
    figure.savefig(file, dpi=100)
