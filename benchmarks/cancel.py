# SPDX-License-Identifier: Apache-2.0
"""How long an arm moves on after an action was cancelled, through topics and actions of a simulated graph.

``python benchmarks/cancel.py --json FILE`` writes rows of ``name, backend, value, unit, budget`` and prints them. It
starts a graph where none is running, tries a grasp again and again, cancels it in the middle of a motion, and takes the
time from the call of ``cancel`` to the last joint state in which a joint still moves.
"""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tyro
from domain_coordinator import domain_id
from tqdm import tqdm

from grasp_core.actions import Grasp
from grasp_core.cell import Reason
from grasp_core.geometry import top_down
from grasp_core.ports import Arm
from grasp_sim.cell import load_cell_config
from grasp_sim.ros_pick import RosTruth, connect, running_graph

# Faster than the first: the arm is in the middle of a motion; slower than the second: it rests (rad/s or m/s).
MOVING, RESTS = 0.2, 0.02
# Joint states are looked at this often, and this long after a cancel (s).
LOOK_S, WATCH_S = 0.002, 1.0
BUDGET_MS = 200.0


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
    """Measure how fast a cancelled arm comes to rest."""

    json: Path | None = None
    """File for the rows."""
    cell: str = "ur5"
    """Name of the cell."""
    runs: int = 10
    """How many motions are cancelled."""
    seed: int = 0
    """Seed of the places that the arm is sent to."""


def cancelled(cell, arm: Arm, action: Grasp) -> tuple[float, float]:
    """Time in s from a cancel to the last state that moves: by the graph's clock, and until that state was heard."""
    states: list[tuple[float, int, float]] = []
    asked: list[tuple[float, int]] = []

    def watch() -> None:
        pause = threading.Event()
        end = time.monotonic() + 60.0
        while time.monotonic() < end:
            state = arm.state()
            speed = float(np.abs(state.velocities).max())
            if not asked and speed > MOVING:
                asked.append((time.monotonic(), state.stamp_ns))
                end = time.monotonic() + WATCH_S
                cell.cancel()
            elif asked:
                states.append((time.monotonic(), state.stamp_ns, speed))
            pause.wait(LOOK_S)

    thread = threading.Thread(target=watch)
    thread.start()
    outcome = cell.execute(action)
    thread.join()
    if outcome.reason is not Reason.CANCELLED:
        raise RuntimeError(f"the grasp was not cancelled but ended: {outcome.reason}: {outcome.message}")
    moving = [(at, stamp_ns) for at, stamp_ns, speed in states if speed > RESTS]
    at, stamp_ns = moving[-1] if moving else asked[0]
    return (stamp_ns - asked[0][1]) * 1e-9, at - asked[0][0]


def main(args: Arguments) -> None:
    """Measure, print, write."""
    config = load_cell_config(args.cell)
    box, rng = config.limits.workspace, np.random.default_rng(args.seed)
    times: list[tuple[float, float]] = []
    with domain_id() as domain:
        os.environ["ROS_DOMAIN_ID"] = str(domain)
        truth = RosTruth(int(domain))
        try:
            with running_graph(args.cell, truth):
                cell = connect(config, int(domain), cameras=(), after_grasp="keep", return_to_ready=False)
                try:
                    for seed in tqdm(range(args.runs)):
                        cell.reset("single", seed)
                        x, y = rng.uniform(box.min_m[:2], box.max_m[:2])
                        goal = Grasp(top_down((x, y, config.support_z_m + 0.05)))
                        times.append(cancelled(cell, cell.arms[config.arm()[0]], goal))
                finally:
                    cell.close()
        finally:
            truth.close()
    by_clock, heard = (1e3 * np.array(column) for column in zip(*times, strict=True))
    rows = [
        Row("cancel to rest, median", args.cell, float(np.median(by_clock)), "ms of the graph's time", BUDGET_MS),
        Row("cancel to rest, worst", args.cell, float(by_clock.max()), "ms of the graph's time", BUDGET_MS),
        Row("cancel to rest as heard, median", args.cell, float(np.median(heard)), "ms", BUDGET_MS),
        Row("cancel to rest as heard, worst", args.cell, float(heard.max()), "ms"),
    ]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {len(times)} motions cancelled")
    for row in rows:
        budget = "" if row.budget is None else f"  (budget {row.budget:g})"
        print(f"{row.name:36s} {row.backend:8s} {row.value:9.1f} {row.unit}{budget}")
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        content = {"cores": os.cpu_count(), "rows": [asdict(row) for row in rows]}
        args.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Arguments))
