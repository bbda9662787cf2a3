# SPDX-License-Identifier: Apache-2.0
"""Speed of learning: tries collected a second, the replay store, updates a second of ``push_grasp``.

``python benchmarks/learning.py --json FILE`` writes rows of ``name, backend, value, unit, budget`` and prints them.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tyro

from grasp_learning.collect import Collector, default_workers
from grasp_learning.replay import EpisodeId, ReplayStore
from grasp_learning.settings import LearningSettings, load_settings


@dataclass(frozen=True)
class Row:
    """One number; ``budget`` none where there is none."""

    name: str
    backend: str
    value: float
    unit: str
    budget: float | None = None


@dataclass
class Arguments:
    """Measure collection, storage and learning."""

    json: Path | None = None
    """File for the rows."""
    config: Path = Path("push_grasp.yaml")
    """Learning run to measure with."""
    tries: int = 120
    """Tries to collect with each number of processes."""
    updates: int = 30
    """Updates to time."""


def collecting(settings: LearningSettings, folder: Path, workers: int, tries: int) -> list[Row]:
    """Tries a second, the start of the processes included and without it."""
    collector = Collector(settings, 0, folder, None, workers, quiet=True)
    begin = time.perf_counter()
    collector.run(tries)
    spent, count = time.perf_counter() - begin, collector.count()
    where = f"{workers} processes"
    return [
        Row("tries collected, start included", where, count.tries / spent, "1/s"),
        Row("tries collected a core", where, count.tries / count.cpu_s, "1/s per core"),
    ]


def storing(settings: LearningSettings, folder: Path) -> list[Row]:
    """Milliseconds to write and read a try of real data, and its size."""
    reader = ReplayStore(folder / "replay", settings.system.fields(settings.system_settings())).reader()
    episodes, steps = [reader.episode(i) for i in range(len(reader))], 0
    begin = time.perf_counter()
    for index in range(len(reader)):
        steps += len(next(iter(reader.episode(index).values())))
    read_s = time.perf_counter() - begin
    with tempfile.TemporaryDirectory() as other:
        store = ReplayStore(Path(other), reader.schema)
        begin = time.perf_counter()
        for index, fields in enumerate(episodes):
            store.write(EpisodeId(0, index), fields, {"tries": len(next(iter(fields.values())))})
        written_s = time.perf_counter() - begin
        size = np.sum([path.stat().st_size for path in Path(other).rglob("*.zip")])
    return [
        Row("write a step, durably", "zarr", 1e3 * written_s / steps, "ms"),
        Row("read a step", "zarr", 1e3 * read_s / steps, "ms"),
        Row("size of a step", "zarr", float(size) / steps / 1024, "KiB"),
    ]


def learning(settings: LearningSettings, folder: Path, updates: int) -> list[Row]:
    """Updates a second on the collected tries."""
    own = settings.system_settings()
    learner = settings.system.learner(own, "cpu", 0)
    reader = ReplayStore(folder / "replay", settings.system.fields(own)).reader()
    begin = time.perf_counter()
    learner.begin_stage(reader, 0, **settings.stages[0].learn)
    began_s = time.perf_counter() - begin
    learner.update(0)
    begin = time.perf_counter()
    for step in range(updates):
        learner.update(step)
    rate = updates / (time.perf_counter() - begin)
    return [
        Row("take up tries", settings.recipe, reader.tries() / began_s, "1/s"),
        Row("updates", settings.recipe, rate, "1/s"),
    ]


def main() -> None:
    """Measure, print, write."""
    args = tyro.cli(Arguments)
    settings = load_settings(args.config)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for workers in sorted({1, default_workers()}):
            where = Path(folder) / str(workers)
            rows += collecting(settings, where, workers, args.tries)
        rows += storing(settings, where)
        rows += learning(settings, where, args.updates)
    print(f"{os.cpu_count()} cores")
    print("| what | with | value | unit | budget |\n|---|---|---|---|---|")
    for row in rows:
        print(f"| {row.name} | {row.backend} | {row.value:.3g} | {row.unit} | {row.budget or ''} |")
    if args.json is not None:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
