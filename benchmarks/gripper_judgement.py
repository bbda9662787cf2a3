# SPDX-License-Identifier: Apache-2.0
"""How far the simulated grippers' own word can be trusted: what opening and stall say, against who touches what.

``python benchmarks/gripper_judgement.py --json FILE`` writes rows of ``name, backend, value, unit, budget`` and prints
a confusion matrix for each cell. Scripted grasps of single primitives are led astray on purpose, by up to ``astray_m``
to the side and by any angle, so that firm grips, grips on an edge, slips and misses all occur.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from numpy.typing import NDArray
from tqdm import tqdm

from grasp_core.cell import NOT_DONE, SceneError
from grasp_core.geometry import transform
from grasp_core.statistics import wilson
from grasp_description.grippers import load_gripper
from grasp_sim.cell import SimCell, load_cell_config
from grasp_sim.pick_check import SimTruth
from grasp_sim.scripted_grasps import candidate_grasps, graspable_set

BUDGET = 98.0
# The gripper was not asked, or not moved.


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
    """Compare what grippers report with what is held."""

    json: Path | None = None
    """File for the rows."""
    cells: tuple[str, ...] = ("ur5", "baxter")
    """Names of cells."""
    grasps: int = 200
    """How many grasps are judged in each."""
    seed: int = 0
    """Seed of scenes and mistakes."""
    astray_m: float = 0.04
    """Largest sideways mistake."""


def judge(args: Arguments, name: str) -> NDArray[np.int64]:
    """Counts [says, is]: the gripper's word (0 empty, 1 holding) against the truth."""
    config = load_cell_config(name)
    cell = SimCell(config, objects=graspable_set(config), motion="fast", renderer="tiny", cameras=())
    truth, rng = SimTruth(cell), np.random.default_rng(args.seed)
    gripper = load_gripper(config.grippers[config.arm()[1].gripper].kind)
    counts, seed = np.zeros((2, 2), np.int64), args.seed
    with tqdm(total=args.grasps, desc=name) as progress:
        while counts.sum() < args.grasps:
            seed += 1
            try:
                cell.reset("single", seed)
            except SceneError:
                continue
            target = truth.targets()[0]
            right = candidate_grasps(target, config, gripper, "top")[0]
            shift = rng.uniform(-args.astray_m, args.astray_m, 2)
            mistake = transform((shift[0], shift[1], 0.0), (0.0, 0.0, *_half_turn(rng.uniform(-np.pi, np.pi))))
            wrong = replace(
                right,
                T_base_tcp=right.T_base_tcp @ mistake,
                arm=config.arms_at(target.T_base_object[:2, 3])[0],
                width_m=None,
            )
            outcome = cell.execute(wrong)
            if outcome.reason in NOT_DONE:
                continue
            counts[int(bool(outcome.info["gripper_says"])), int(outcome.info["success"])] += 1
            progress.update()
    cell.close()
    return counts


def _half_turn(angle: float) -> tuple[float, float]:
    return float(np.sin(0.5 * angle)), float(np.cos(0.5 * angle))


def main(args: Arguments) -> None:
    """Measure, print, write."""
    rows = []
    for name in args.cells:
        config = load_cell_config(name)
        kind = config.grippers[config.arm()[1].gripper].kind
        counts = judge(args, name)
        right, total = int(np.trace(counts)), int(counts.sum())
        interval = wilson(right, total)
        print(f"{name}, {kind}: {total} grasps")
        print("                    truly empty   truly held")
        for says, line in zip(("says empty", "says holding"), counts, strict=True):
            print(f"  {says:16s} {line[0]:12d} {line[1]:12d}")
        print(f"  right: {right} of {total} ({100 * interval.low:.1f} to {100 * interval.high:.1f} %)")
        rows.append(Row("gripper's word is true", f"{name} {kind}", 100.0 * right / total, "%", BUDGET))
        rows += [
            Row(
                f"says {('empty', 'holding')[i]}, is {('empty', 'held')[j]}",
                f"{name} {kind}",
                float(counts[i, j]),
                "grasps",
            )
            for i in range(2)
            for j in range(2)
        ]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        content = {"cores": os.cpu_count(), "rows": [asdict(row) for row in rows]}
        args.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Arguments))
