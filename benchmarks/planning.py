# SPDX-License-Identifier: Apache-2.0
"""Planning times of every cell: random reachable poses in free space, over a table with boxes, and in clutter; lines.

python benchmarks/planning.py [--cells ur5 ...] [--runs 30] [--seed 0] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from grasp_core.cell_config import CellConfig
from grasp_core.geometry import Array, transform
from grasp_core.planning import Box, Obstacle, PlanOptions, PlanResult
from grasp_core.ports import JointState
from grasp_core.resources import find, names
from grasp_planning import CellModel, OmplPlanner, StraightLinePlanner

# Seconds that one search may take, and what counts as fast enough (median, ms): skills wait for every motion.
TIMEOUT_S = 5.0
BUDGET_MS = {"free": 150.0, "boxes": 300.0, "clutter": 600.0, "line": 100.0}
LINE_M = 0.1
BOXES = {"free": 0, "boxes": 5, "clutter": 25}
OPTIONS = PlanOptions(speed_scale=0.5, timeout_s=TIMEOUT_S)
Row = dict[str, object]


class Bench:
    """A cell, its planners and random tasks for its first arm."""

    def __init__(self, cell: str, seed: int) -> None:
        self.config = CellConfig.from_yaml(find("config", f"cells/{cell}.yaml"))
        self.model = CellModel.from_config(self.config)
        self.planners = {"ompl": OmplPlanner(self.model), "line": StraightLinePlanner(self.model)}
        self.arm, self.arm_config = self.config.arm()
        self.ready = self.model.robot.state("ready")
        self.start = JointState.at_rest(self.model.robot.positions(self.ready))
        self.rng = np.random.default_rng(seed)

    def obstacles(self, count: int) -> tuple[Obstacle, ...]:
        """Boxes of 4 to 15 cm that stand on the support in and around the workspace, clear of the ready posture."""
        box = self.config.limits.workspace
        found: list[Obstacle] = []
        while len(found) < count:
            size = self.rng.uniform(0.04, 0.15, 3)
            x, y = self.rng.uniform(np.array(box.min_m[:2]) - 0.1, np.array(box.max_m[:2]) + 0.1)
            z = self.config.support_z_m + 0.5 * size[2] + 0.002
            found.append(Box(f"box{len(found)}", transform((x, y, z)), (size[0], size[1], size[2])))
            self.model.set_obstacles(tuple(found))
            if self.model.robot.collision.check(self.ready):
                found.pop()
        self.model.set_obstacles(tuple(found))
        return tuple(found)

    def goal(self) -> Array:
        """A tool pose inside of the motion box that is reached without collision by some joints of this arm."""
        while True:
            q = self.model.robot.random_configuration(self.rng, self.arm_config.group, self.ready)
            T_goal = self.model.T_base_world @ self.model.robot.fk(q, self.arm_config.tcp_frame)
            inside = self.config.limits.motion_box.contains(T_goal[:3, 3], margin_m=-0.001)
            if inside and not self.model.robot.collision.check(q):
                return T_goal

    def line_goal(self) -> Array:
        """A pose that far from the present one, in a random direction, that can be reached without collision."""
        joints = self.start.as_dict()
        posture = self.model.posture(self.arm, joints)
        here = np.array([joints[name] for name in posture.chain.joints])
        T = posture.fk(here)
        while True:
            way = self.rng.normal(size=3)
            T_goal = transform(LINE_M * way / np.linalg.norm(way)) @ T
            q = posture.ik(T_goal, here)
            if q is not None and not posture.contacts(q):
                return T_goal


def run(plan: Callable[[Array], PlanResult], goals: list[Array]) -> tuple[list[float], list[PlanResult]]:
    """Milliseconds and results, one a goal."""
    times, results = [], []
    for T in goals:
        begun = time.perf_counter()
        results.append(plan(T))
        times.append(1e3 * (time.perf_counter() - begun))
    return times, results


def rows_of(cell: str, what: str, backend: str, times: list[float], results: list[PlanResult]) -> list[Row]:
    """Median, 95th percentile and share of successes; share of the timing in the whole."""
    good = [t for t, result in zip(times, results, strict=True) if result.ok]
    timing = sum(result.stages_ms.get("time_parameterisation", 0.0) for result in results)

    def row(name: str, value: float, unit: str, budget: float | None = None) -> Row:
        return {"name": f"{cell} {what} {name}", "backend": backend, "value": value, "unit": unit, "budget": budget}

    rows = [row("success", sum(result.ok for result in results) / len(results), "share")]
    if good:
        rows.insert(0, row("median", float(np.median(good)), "ms", BUDGET_MS[what]))
        rows.insert(1, row("p95", float(np.quantile(good, 0.95)), "ms"))
    rows.append(row("time parameterisation", timing / sum(times), "share"))
    return rows


def measure(cell: str, runs: int, seed: int) -> list[Row]:
    """All rows of one cell."""
    bench = Bench(cell, seed)
    rows: list[Row] = []
    ompl = bench.planners["ompl"]
    # The first calls compile the kernels.
    run(lambda T: ompl.plan_to_pose(bench.arm, bench.start, T, OPTIONS), [bench.goal()])
    for what, count in BOXES.items():
        bench.obstacles(count)
        goals = [bench.goal() for _ in range(runs)]
        times, results = run(lambda T: ompl.plan_to_pose(bench.arm, bench.start, T, OPTIONS), goals)
        rows += rows_of(cell, what, "ompl", times, results)
        if what == "free":
            times, results = run(
                lambda T: bench.planners["line"].plan_to_pose(bench.arm, bench.start, T, OPTIONS), goals
            )
            rows += rows_of(cell, what, "line", times, results)
    bench.obstacles(0)
    goals = [bench.line_goal() for _ in range(runs)]
    for name, planner in bench.planners.items():
        times, results = run(lambda T, p=planner: p.plan_line(bench.arm, bench.start, T, OPTIONS), goals)
        rows += rows_of(cell, "line", name, times, results)
    return rows


def main() -> None:
    """Measure, print a table, write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="+", default=names("config", "cells"), help="which cells; all by default")
    parser.add_argument("--runs", type=int, default=30, help="goals of each kind (default 30)")
    parser.add_argument("--seed", type=int, default=0, help="seed of goals and boxes (default 0)")
    parser.add_argument("--json", type=Path, help="file for the rows")
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, one used; {arguments.runs} goals each, times of successful plans")
    rows = []
    for cell in arguments.cells:
        for row in measure(cell, arguments.runs, arguments.seed):
            budget = f"<= {row['budget']:g}" if row["budget"] is not None else ""
            print(f"{row['name']:38} {row['backend']:5} {row['value']:9.2f} {row['unit']:6} {budget}", flush=True)
            rows.append({**row, "cores": cores})
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
