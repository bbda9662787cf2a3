# SPDX-License-Identifier: Apache-2.0
"""Rows of a benchmark, printed, written, and drawn as histograms."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

BARS = 24
BINS = 10


@dataclass(frozen=True)
class Row:
    """One number; ``budget`` none where there is none."""

    name: str
    backend: str
    value: float
    unit: str
    budget: float | None = None


def show(rows: Sequence[Row], path: Path | None) -> None:
    """Print rows as a table, with the number of cores, and write them where a path is given."""
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for row in rows:
        budget = "" if row.budget is None else f"   (budget {row.budget:g})"
        print(f"{row.name:48s} {row.backend:14s} {row.value:10.2f} {row.unit}{budget}")
    if path:
        path.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")


def histogram(name: str, values: Sequence[float]) -> str:
    """Counts over ten bins as text."""
    counts, edges = np.histogram(values, bins=BINS)
    lines = [f"{name} (ms, {len(values)} actions)"]
    for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True):
        bar = "#" * round(BARS * count / max(counts.max(), 1))
        lines.append(f"  {low:9.1f} .. {high:9.1f}  {bar:{BARS}s} {count}")
    return "\n".join(lines)


def stage_table(stages: Sequence[Mapping[str, float]], total: str) -> str:
    """A line for each stage: median, 95 %, worst, and what it took in the action whose ``total`` was worst (ms)."""
    worst = max(stages, key=lambda found: found.get(total, 0.0))
    lines = [f"{'stage (ms)':32s} {'median':>9s} {'95 %':>9s} {'worst':>9s} {'in the worst action':>20s}"]
    for name in worst:
        values = [found[name] for found in stages if name in found]
        median, most = np.percentile(values, (50, 95))
        lines.append(f"{name:32s} {median:9.1f} {most:9.1f} {max(values):9.1f} {worst[name]:20.1f}")
    return "\n".join(lines)


def draw(stages: Sequence[Mapping[str, float]], title: str, path: Path) -> None:
    """A histogram of each stage, one below the other, as a picture."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = list(max(stages, key=len))
    figure, axes = plt.subplots(len(names), 1, figsize=(7.0, 0.9 * len(names) + 0.8), sharex=True, layout="constrained")
    values = {name: np.array([found[name] for found in stages if name in found]) for name in names}
    high = max(float(v.max()) for v in values.values())
    edges = np.geomspace(0.5, max(high, 1.0) * 1.01, 60)
    for axis, name in zip(np.atleast_1d(axes), names, strict=True):
        found = values[name]
        axis.hist(np.maximum(found, edges[0]), bins=edges, color="#3b7dd8" if name != names[-1] else "#d8643b")
        axis.set_xscale("log")
        axis.set_yticks([])
        axis.spines[["left", "top", "right"]].set_visible(False)
        words = (
            f"{name}: median {np.median(found):.0f}, 95 % {np.percentile(found, 95):.0f}, worst {found.max():.0f} ms"
        )
        axis.set_title(words, fontsize=9, loc="left", pad=2)
    np.atleast_1d(axes)[-1].set_xlabel("ms")
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=100)
    plt.close(figure)
