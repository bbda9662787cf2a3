# SPDX-License-Identifier: Apache-2.0
"""Speed of the simulation: grasp attempts by objects and by parallel cells, cameras, saving and restoring.

``python benchmarks/simulation.py --json FILE`` writes rows of ``name, backend, value, unit, budget`` and prints them.
"""

from __future__ import annotations

import functools
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tyro

from grasp_core.actions import Grasp
from grasp_core.cell import SceneError
from grasp_core.geometry import look_at, top_down
from grasp_sim.cameras import render
from grasp_sim.cell import SimCell
from grasp_sim.parallel import ParallelCells

SIZES = ((118, 118), (320, 240), (472, 472), (640, 480))


@dataclass(frozen=True)
class Row:
    """One number; ``budget`` none where there is none."""

    name: str
    backend: str
    value: float
    unit: str
    budget: float | None = None


class Attempts:
    """A cell that tries planar grasps at objects, as a collector does."""

    def __init__(self, index: int, motion: str, objects: int) -> None:
        self.cell = SimCell(
            "ur5", motion=motion, renderer="tiny", cameras=(), count=(objects, objects), speed_scale=0.8
        )
        self.objects = objects
        self.rng = np.random.default_rng(index)
        self.seed = 1000 * index
        self._new_scene()

    def run(self, seconds: float) -> tuple[int, float, float]:
        """Attempts made, and the time and processor time that they took, new scenes included."""
        begin, used, count = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - begin < seconds:
            present = self.cell.world.present()
            if len(present) <= self.objects // 2:
                self._new_scene()
                continue
            thing = present[int(self.rng.integers(len(present)))]
            point = self.cell.world.pose_of(thing)[:3, 3] + self.rng.normal(0.0, 0.01, 3)
            low, high = self.cell.config.limits.workspace.min_m, self.cell.config.limits.workspace.max_m
            point = np.clip([point[0], point[1], max(point[2] - 0.01, 0.025)], low, high)
            self.cell.execute(Grasp(top_down(point, float(self.rng.uniform(0.0, np.pi)))))
            count += 1
        return count, time.perf_counter() - begin, time.process_time() - used

    def close(self) -> None:
        """Release the cell."""
        self.cell.close()

    def _new_scene(self) -> None:
        while True:
            self.seed += 1
            try:
                self.cell.reset("drop", self.seed)
                return
            except SceneError:
                continue


def make_attempts(index: int, motion: str, objects: int) -> Attempts:
    """For worker processes."""
    return Attempts(index, motion, objects)


@dataclass
class Arguments:
    """Measure the simulation."""

    json: Path | None = None
    """File for the rows."""
    seconds: float = 6.0
    """Time for each number of objects."""
    cells: tuple[int, ...] = (1, 2, 4)
    """Numbers of parallel cells."""


def measure(args: Arguments) -> list[Row]:
    """All rows."""
    rows = []
    for objects in (1, 5, 10, 20, 30):
        for motion in ("fast", "full"):
            attempts = Attempts(0, motion, objects)
            count, _, used = attempts.run(args.seconds)
            attempts.close()
            budget = 2.0 if objects == 10 and motion == "fast" else None
            rows.append(Row(f"grasp attempts, {objects} objects", motion, count / used, "1/core-s", budget))
    for number in args.cells:
        with ParallelCells(number, functools.partial(make_attempts, motion="fast", objects=10)) as cells:
            results = cells.map("run", [(args.seconds,)] * number)
        rate = sum(count / spent for count, spent, _ in results)
        rows.append(Row(f"grasp attempts, 10 objects, {number} cells", "fast", rate, "1/s in all"))
    return rows + cameras() + states()


def cameras() -> list[Row]:
    """Milliseconds a picture."""
    rows = []
    for renderer in ("egl", "tiny"):
        try:
            cell = SimCell("ur5", renderer=renderer, cameras=(), count=(10, 10))
        except RuntimeError as error:
            print(f"no {renderer}: {error}")
            continue
        cell.reset("primitives", 0)
        T = look_at((1.05, 0.0, 0.62), (0.5, 0.0, 0.0))
        for width, height in SIZES:
            camera = cell.config.cameras["fixed_camera"].intrinsics.scaled(width, height)
            render(cell.world.engine, camera, T, 0.1, 3.0)
            times = []
            for _ in range(8):
                begin = time.perf_counter()
                render(cell.world.engine, camera, T, 0.1, 3.0)
                times.append(1000.0 * (time.perf_counter() - begin))
            rows.append(Row(f"camera {width}x{height} RGB-D", renderer, float(np.median(times)), "ms"))
        cell.close()
    return rows


def states() -> list[Row]:
    """Milliseconds to save and to restore."""
    cell = SimCell("ur5", renderer="tiny", cameras=(), count=(10, 10))
    cell.reset("primitives", 0)
    saves, restores = [], []
    for _ in range(20):
        begin = time.perf_counter()
        state = cell.save()
        saves.append(1000.0 * (time.perf_counter() - begin))
        cell.world.step(20)
        begin = time.perf_counter()
        cell.world.restore(state[0])
        restores.append(1000.0 * (time.perf_counter() - begin))
        cell.world.forget(state[0])
    cell.close()
    return [
        Row("save state, 10 objects", "memory", float(np.median(saves)), "ms", 5.0),
        Row("restore state, 10 objects", "memory", float(np.median(restores)), "ms", 5.0),
    ]


def main(args: Arguments) -> None:
    """Measure, print, write."""
    rows = measure(args)
    print(f"{os.cpu_count()} cores")
    for row in rows:
        budget = "" if row.budget is None else f"  (budget {row.budget:g})"
        print(f"{row.name:42s} {row.backend:8s} {row.value:10.2f} {row.unit}{budget}")
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(
            json.dumps({"cores": os.cpu_count(), "rows": [asdict(row) for row in rows]}, indent=1) + "\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main(tyro.cli(Arguments))
