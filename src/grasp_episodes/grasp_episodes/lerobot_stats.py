# SPDX-License-Identifier: Apache-2.0
"""What a learner normalises by: range, mean, deviation and quantiles of each column, as LeRobot keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from grasp_episodes.lerobot_rows import Rows, Values

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
# Pictures a statistic is taken from, of each every fourth pixel both ways: more take long and tell no more.
SAMPLED = 50
THINNED = 4

Stats = Mapping[str, Any]


def stats_of(rows: Rows, index: Mapping[str, Values]) -> dict[str, Stats]:
    """Statistics of an episode by column, as lists; of pictures by channel, shaped [3, 1, 1], in 0 to 1.

    Args:
        rows: the episode.
        index: the columns that every dataset has, [T] by name.
    """
    stats: dict[str, Stats] = {name: numbers(values) for name, values in {**rows.columns, **index}.items()}
    for camera, pngs in rows.pictures.items():
        chosen = [pngs[int(k)] for k in np.linspace(0, len(pngs) - 1, min(SAMPLED, len(pngs)))]
        found = numbers(np.concatenate([_thinned(png) for png in chosen]))
        shaped = {key: np.reshape(value, (3, 1, 1)).tolist() for key, value in found.items() if key != "count"}
        stats[f"observation.images.{camera}"] = {**shaped, "count": [len(chosen)]}
    return stats


def merged(episodes: Sequence[Mapping[str, Stats]]) -> dict[str, Stats]:
    """Statistics of several episodes together; quantiles are the episodes', weighted, as LeRobot does it."""
    return {name: _merged([stats[name] for stats in episodes]) for name in episodes[0]}


def _merged(parts: Sequence[Stats]) -> Stats:
    counts = np.array([part["count"][0] for part in parts], dtype=np.float64)
    values = {key: np.array([part[key] for part in parts]) for key in parts[0] if key != "count"}

    def weighted(values: Values) -> Values:
        return np.tensordot(counts, values, axes=1) / counts.sum()

    mean = weighted(values["mean"])
    std = np.sqrt(weighted(values["std"] ** 2 + (values["mean"] - mean) ** 2))
    found = {"min": values["min"].min(axis=0), "max": values["max"].max(axis=0), "mean": mean, "std": std}
    found |= {key: weighted(values[key]) for key in QUANTILES}
    return {**{key: value.tolist() for key, value in found.items()}, "count": [int(counts.sum())]}


def numbers(values: Values) -> dict[str, Any]:
    """Of values [T] or [T, N]: lists of one or N numbers."""
    table = values.reshape(len(values), -1).astype(np.float64)
    found = {"min": table.min(axis=0), "max": table.max(axis=0), "mean": table.mean(axis=0), "std": table.std(axis=0)}
    found |= dict(zip(QUANTILES, np.quantile(table, list(QUANTILES.values()), axis=0), strict=True))
    return {**{key: value.tolist() for key, value in found.items()}, "count": [len(values)]}


def _thinned(png: bytes) -> Values:
    bgr = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    return bgr[::THINNED, ::THINNED, ::-1].reshape(-1, 3) / 255.0
