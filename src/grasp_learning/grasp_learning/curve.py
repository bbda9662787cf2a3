# SPDX-License-Identifier: Apache-2.0
"""The learning curve: ``curve.json`` with its points, ``curve.png`` to look at, TensorBoard for those who watch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grasp_learning.episode_file import write_json

Point = dict[str, Any]


class Curve:
    """Points of a training, one file for all stages.

    A point is ``{"stage", "step", "updates", "kind", name: value...}``; ``updates`` counts over all stages, ``kind`` is
    ``train`` (mean over some updates) or ``measure`` (on data kept aside).
    """

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._folder = Path(folder)
        self._file = self._folder / "curve.json"
        self.points: list[Point] = json.loads(self._file.read_text("utf-8")) if self._file.exists() else []
        self._open = SummaryWriter
        self._writer: Any = None

    def go_on_from(self, stage: int, step: int) -> int:
        """Forget what lies after a step of a stage; returns the number of updates in earlier stages."""
        self.points = [p for p in self.points if (p["stage"], p["step"]) <= (stage, step)]
        earlier = max((p["updates"] for p in self.points if p["stage"] < stage), default=0)
        self.close()
        self._writer = self._open(str(self._folder / "tensorboard"), purge_step=earlier + step + 1, flush_secs=10)
        return int(earlier)

    def add(self, stage: int, step: int, updates: int, kind: str, values: Mapping[str, float]) -> None:
        """Add a point."""
        self.points.append({"stage": stage, "step": step, "updates": updates, "kind": kind, **values})
        for name, value in values.items():
            self._writer.add_scalar(f"{kind}/{name}", value, updates)

    def save(self) -> None:
        """Write ``curve.json``."""
        write_json(self._file, self.points)

    def plot(self, stages: Sequence[str], rates: Sequence[float] = ()) -> None:
        """Write ``curve.png``: what was learned over updates, and the success rate of each stage's collection."""
        from matplotlib.figure import Figure

        kinds = {kind: [p for p in self.points if p["kind"] == kind] for kind in ("train", "measure")}
        figure = Figure(figsize=(12.0, 3.6), layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        for axes, kind, title in ((left, "train", "losses"), (middle, "measure", "on tries kept aside")):
            names = sorted({n for p in kinds[kind] for n in p if n not in ("stage", "step", "updates", "kind")})
            for name in names:
                if name == "learning_rate":
                    continue
                points = [(p["updates"], p[name]) for p in kinds[kind] if name in p]
                axes.plot(*zip(*points, strict=True), label=name, linewidth=1.0)
            axes.set(title=title, xlabel="updates")
            if names:
                axes.legend(fontsize=7)
        right.bar(list(stages[: len(rates)]), list(rates))
        right.tick_params(axis="x", labelrotation=40)
        right.set(title="success rate of collection", ylim=(0.0, 1.0))
        figure.savefig(self._folder / "curve.png", dpi=100)

    def close(self) -> None:
        """Flush and close what TensorBoard reads."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
