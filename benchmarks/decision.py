# SPDX-License-Identifier: Apache-2.0
"""How long one decision of a learned policy takes, stage by stage, on the tables of its cell.

``python benchmarks/decision.py --json FILE`` writes rows of ``name, backend, value, unit, budget`` and prints them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from episode_tools.report import Row, show

from grasp_core.actions import Stop
from grasp_core.policy import Goal
from grasp_core.resources import find_checkpoint
from grasp_learning.finding import find
from grasp_sim.cell import SimCell


@dataclass(frozen=True)
class Workload:
    """Where a policy decides; ``budget_ms`` for four threads, none where there is none."""

    cell: str
    scenes: dict[str, str]
    budget_ms: float | None


WORKLOADS = {
    "push_grasp": Workload("ur5", {"10 blocks": "blocks", "30 blocks": "blocks_30"}, 700.0),
    "patch_grasp": Workload("baxter", {"1 object": "wide_one", "10 objects": "wide_ten"}, None),
}


@dataclass(frozen=True)
class Arguments:
    """Time the decisions of learned policies, with their shipped weights.

    Attributes:
        json: write the rows here as well.
        policy: which policies.
        decisions: how many of each kind.
        threads: of torch, one row each.
    """

    json: Path | None = None
    policy: tuple[str, ...] = tuple(WORKLOADS)
    decisions: int = 7
    threads: tuple[int, ...] = (1, 2, 4)


def measured(name: str, decisions: int, threads: tuple[int, ...]) -> list[Row]:
    """Medians of a policy's decisions; the first of each kind is not counted."""
    workload, factory = WORKLOADS[name], find("grasp.policies", name)
    cameras = tuple(need.name for need in factory.spec.cameras if need.name is not None)
    cell = SimCell(workload.cell, motion="fast", cameras=cameras)
    rows: list[Row] = []
    try:
        for told, scene in workload.scenes.items():
            observation = cell.reset(scene, 0)
            for count in threads:
                policy = factory.load(find_checkpoint(name), "cpu", {"threads": count})
                times, stages = [], []
                for _ in range(decisions + 1):
                    policy.reset(Goal(), 0)
                    begin = time.perf_counter()
                    decision = policy.act(observation)
                    if isinstance(decision.action, Stop):
                        raise SystemExit(f"{name} stops at {scene}: {decision.action.reason}")
                    times.append(1e3 * (time.perf_counter() - begin))
                    stages.append(decision.stages_ms)
                backend = f"cpu, {count} thread{'s' if count > 1 else ''}"
                budget = workload.budget_ms if count == 4 else None
                rows.append(Row(f"{name} decision, {told}", backend, float(np.median(times[1:])), "ms", budget))
                for stage in stages[0]:
                    value = float(np.median([s[stage] for s in stages[1:]]))
                    rows.append(Row(f"{name} {stage}, {told}", backend, value, "ms"))
    finally:
        cell.close()
    return rows


def main() -> None:
    """Entry point."""
    arguments = tyro.cli(Arguments)
    if unknown := set(arguments.policy) - set(WORKLOADS):
        raise SystemExit(f"no table is known for {sorted(unknown)}; there is one for {sorted(WORKLOADS)}")
    if arguments.decisions < 1:
        raise SystemExit(f"--decisions is {arguments.decisions}; it is at least 1")
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
    rows = [row for name in arguments.policy for row in measured(name, arguments.decisions, arguments.threads)]
    show(rows, arguments.json)


if __name__ == "__main__":
    main()
