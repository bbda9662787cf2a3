# SPDX-License-Identifier: Apache-2.0
"""Does the fast mode grasp as the full one does? The same attempts in both, outcome beside outcome.

``python benchmarks/fast_motion.py --json FILE`` writes rows of ``name, backend, value, unit, budget`` and prints them.
Every attempt starts from the same settled scene in both modes, so that only the way of moving differs.
"""

from __future__ import annotations

import functools
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tyro
from simulation import Row

from grasp_core.actions import Grasp
from grasp_core.cell import SceneError
from grasp_core.geometry import top_down
from grasp_core.statistics import wilson
from grasp_sim.cell import SimCell
from grasp_sim.parallel import ParallelCells

MODES = ("full", "fast")


@dataclass
class Arguments:
    """Compare the fast mode with the full one."""

    cell: str = "ur5"
    """Which cell."""
    scene: str = "blocks"
    """Which scene."""
    attempts: int = 120
    """How many attempts."""
    workers: int = 2
    """Parallel cells."""
    noise_m: float = 0.008
    """Spread of the grasp point about an object's middle: some attempts must fail."""
    json: Path | None = None
    """File for the rows."""


class Pair:
    """One cell a mode."""

    def __init__(self, index: int, args: Arguments) -> None:
        self.args = args
        self.cells = {
            mode: SimCell(args.cell, motion=mode, renderer="tiny", cameras=(), speed_scale=0.8) for mode in MODES
        }

    def attempt(self, seed: int) -> dict[str, tuple[bool, float]] | None:
        """Success and seconds by mode; none where the scene cannot be made."""
        results = {}
        for mode, cell in self.cells.items():
            try:
                cell.reset(self.args.scene, seed)
            except SceneError:
                return None
            rng = np.random.default_rng((seed, 5))
            present = cell.world.present()
            thing = present[int(rng.integers(len(present)))]
            T = cell.world.pose_of(thing)
            point = T[:3, 3] + rng.normal(0.0, self.args.noise_m, 3)
            low, high = cell.config.limits.workspace.min_m, cell.config.limits.workspace.max_m
            point = np.clip([point[0], point[1], max(point[2] - 0.005, 0.02)], low, high)
            begin = time.process_time()
            outcome = cell.execute(Grasp(top_down(point, float(rng.uniform(0.0, np.pi)))))
            results[mode] = (bool(outcome.info["success"]), time.process_time() - begin)
        return results

    def close(self) -> None:
        """Release the cells."""
        for cell in self.cells.values():
            cell.close()


def make_pair(index: int, args: Arguments) -> Pair:
    """For worker processes."""
    return Pair(index, args)


def main() -> None:
    """Measure, print, write."""
    args = tyro.cli(Arguments)
    results: list[dict[str, tuple[bool, float]]] = []
    with ParallelCells(args.workers, functools.partial(make_pair, args=args)) as cells:
        for first in range(0, args.attempts, args.workers):
            found = cells.map("attempt", [(first + k,) for k in range(args.workers)])
            results += [result for result in found if result is not None]
    total = len(results)
    rows = []
    for mode in MODES:
        good = sum(result[mode][0] for result in results)
        interval = wilson(good, total)
        rows.append(Row(f"grasp success, {total} attempts", mode, 100.0 * good / total, "%"))
        rows.append(Row("grasp success, 95 % from", mode, 100.0 * interval.low, "%"))
        rows.append(Row("grasp success, 95 % to", mode, 100.0 * interval.high, "%"))
        rows.append(Row("CPU an attempt", mode, float(np.mean([result[mode][1] for result in results])), "s"))
    same = sum(result["full"][0] == result["fast"][0] for result in results)
    rows.append(Row("same outcome", "both", 100.0 * same / total, "%"))
    for row in rows:
        print(f"{row.name:32s} {row.backend:6s} {row.value:8.2f} {row.unit}")
    if args.json is not None:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
