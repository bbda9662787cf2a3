# SPDX-License-Identifier: Apache-2.0
"""An evaluation as a picture: the three metrics of every policy with their intervals, and completion by case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grasp_learning.scores import METRICS

# Wider than this many places, names on the axis cannot be read any more.
MOST_PLACES = 24


def plot(results: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Draw the results of one evaluation.

    Args:
        results: one a policy, as ``grasp_learning.evaluate`` makes them.
        file: picture to write.
    """
    from matplotlib.figure import Figure

    places = list(dict.fromkeys(place for result in results for place in result["by_place"]))
    by_place = 1 < len(places) <= MOST_PLACES
    figure = Figure(figsize=(12.0, 4.2) if by_place else (6.0, 3.6), layout="constrained")
    axes = figure.subplots(1, 2 if by_place else 1, squeeze=False, width_ratios=[1.0, 1.6] if by_place else None)[0]
    width = 0.8 / len(results)
    for number, result in enumerate(results):
        shift = (number - 0.5 * (len(results) - 1)) * width
        there = [(k, result[name]) for k, name in enumerate(METRICS) if result[name]["mean"] is not None]
        _bars(axes[0], there, shift, width, f"{result['label']} ({_runs(result['completion']['n'])})")
        if by_place:
            met = [(k, result["by_place"][p]["completion"]) for k, p in enumerate(places) if p in result["by_place"]]
            _bars(axes[1], [(k, values) for k, values in met if values["mean"] is not None], shift, width)
    figure.suptitle(str(results[0]["protocol"]["description"]), fontsize=11)
    axes[0].set(ylabel="per cent, intervals of 95 %", ylim=(0.0, 105.0))
    axes[0].set_xticks(range(len(METRICS)), [name.replace("_", " ") for name in METRICS])
    # Below the axes: the bars are as high as the picture.
    axes[0].legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=min(3, len(results)))
    if by_place:
        names = [place.removesuffix(".txt").replace("_", " ") for place in places]
        axes[1].set_xticks(range(len(places)), names, rotation=40, ha="right", fontsize=8)
        axes[1].set(ylabel="completion by case, per cent", ylim=(0.0, 105.0))
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=100)


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"


def _bars(
    axes: Any, there: Sequence[tuple[int, Mapping[str, Any]]], shift: float, width: float, label: str | None = None
) -> None:
    """Bars in per cent with their intervals; what was not met has none."""
    means = [100.0 * values["mean"] for _, values in there]
    # A mean of one run has no interval.
    bounds = [(values["low"], values["high"]) for _, values in there]
    around = [
        [0.0 if low is None else mean - 100.0 * low for mean, (low, _) in zip(means, bounds, strict=True)],
        [0.0 if high is None else 100.0 * high - mean for mean, (_, high) in zip(means, bounds, strict=True)],
    ]
    axes.bar([k + shift for k, _ in there], means, width, yerr=around, capsize=3.0, label=label)
