# SPDX-License-Identifier: Apache-2.0
"""How long one decision of ``push_grasp`` takes, stage by stage, on tables of different fullness.

``python benchmarks/push_grasp.py --json FILE`` writes rows of ``name, backend, value, unit, budget`` and prints them.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import tyro

from grasp_core.policy import Goal
from grasp_policies.push_grasp.policy import FACTORY
from grasp_sim.cell import SimCell

BUDGET_MS = 700.0
SCENES = {"10 blocks": ("blocks", 0), "30 blocks": ("blocks_30", 0)}


@dataclass(frozen=True)
class Arguments:
    """Time the decisions of push_grasp.

    Attributes:
        json: write the rows here as well.
        checkpoint: weights; none for fresh ones, which take as long.
        decisions: how many of each kind.
        threads: of torch, one row each.
    """

    json: Path | None = None
    checkpoint: Path | None = None
    decisions: int = 7
    threads: tuple[int, ...] = (1, 4)


@dataclass(frozen=True)
class Row:
    """One number; ``budget`` none where there is none."""

    name: str
    backend: str
    value: float
    unit: str
    budget: float | None = None


def main() -> None:
    """Entry point."""
    arguments = tyro.cli(Arguments)
    cell = SimCell("ur5", motion="fast", cameras=("fixed_camera",))
    rows: list[Row] = []
    for name, (scene, seed) in SCENES.items():
        observation = cell.reset(scene, seed)
        for threads in arguments.threads:
            policy = FACTORY.load(arguments.checkpoint, "cpu", {"threads": threads})
            times, stages = [], []
            for _ in range(arguments.decisions + 1):
                policy.reset(Goal(), 0)
                begin = time.perf_counter()
                decision = policy.act(observation)
                times.append(1e3 * (time.perf_counter() - begin))
                stages.append(decision.stages_ms)
            backend = f"cpu, {threads} threads"
            budget = BUDGET_MS if threads == 4 else None
            rows.append(Row(f"decision, {name}", backend, float(np.median(times[1:])), "ms", budget))
            for stage in stages[0]:
                value = float(np.median([s[stage] for s in stages[1:]]))
                rows.append(Row(f"{stage}, {name}", backend, value, "ms"))
    cell.close()
    print(f"{os.cpu_count()} cores, torch {torch.__version__}, load {os.getloadavg()[0]:.1f}")
    for row in rows:
        budget = "" if row.budget is None else f"  (budget {row.budget:g})"
        print(f"{row.name:32s} {row.backend:16s} {row.value:9.1f} {row.unit}{budget}")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
