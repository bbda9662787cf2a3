# SPDX-License-Identifier: Apache-2.0
"""Where each arm of a cell can grasp from above: straight down, close, straight up, at 18 angles of the fingers.

``python benchmarks/reach.py --cell baxter --json FILE`` prints a map of each arm (how many of the angles are reached,
by place) and writes rows of ``name, backend, value, unit, budget``: what share is reached inside of the arm's region.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tyro
from numpy.typing import NDArray
from tqdm import tqdm

from grasp_core.geometry import Array, top_down, transform
from grasp_core.planning import MotionPlanner, PlanOptions
from grasp_core.ports import JointState
from grasp_sim.cell import load_cell_config
from grasp_sim.kinematics import CellKinematics, PlannerName, make_planner

# Inside of its region an arm shall reach so much.
BUDGET = 90.0


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
    """Measure where each arm can grasp from above."""

    json: Path | None = None
    """File for the rows."""
    cell: str = "baxter"
    """Name of the cell."""
    arms: tuple[str, ...] = ()
    """Which arms; none for all."""
    planner: PlannerName = "line"
    """``line``, with which tries are collected, or ``ompl``."""
    step_m: float = 0.06
    """Distance between places."""
    around_m: float = 0.06
    """How far beyond the cell's workspace to look."""
    angles: int = 18
    """Angles of the fingers over half a circle."""
    above_support_m: float = 0.02
    """Height of the grasp above the support."""
    approach_m: float = 0.25
    """Length of the straight approach."""


def reached(
    planner: MotionPlanner, arm: str, start: JointState, T_base_tcp: Array, args: Arguments, lift_m: float
) -> bool:
    """Whether the planner finds the whole way: above the place, down, and up again."""
    ways = (
        (planner.plan_to_pose, T_base_tcp @ transform((0.0, 0.0, -args.approach_m))),
        (planner.plan_line, T_base_tcp),
        (planner.plan_line, transform((0.0, 0.0, lift_m)) @ T_base_tcp),
    )
    state = start
    for plan, goal in ways:
        trajectory = plan(arm, state, goal, PlanOptions(0.5, 2.0)).trajectory
        if trajectory is None:
            return False
        state = JointState.at_rest(dict(zip(trajectory.names, trajectory.positions[-1].tolist(), strict=True)))
    return True


def measure(args: Arguments, arm: str, kinematics: CellKinematics, places: list[Array]) -> NDArray[np.int64]:
    """How many of the angles are reached at each place [x, y]."""
    config = kinematics.config
    planner = make_planner(args.planner, kinematics)
    ready = kinematics.ready()
    start = JointState.at_rest({name: ready[name] for name in config.arms[arm].joints})
    z = config.support_z_m + args.above_support_m
    counts = np.zeros([len(axis) for axis in places], np.int64)
    for i, j in tqdm(list(np.ndindex(*counts.shape)), desc=arm):
        for k in range(args.angles):
            T = top_down((places[0][i], places[1][j], z), k * np.pi / args.angles)
            counts[i, j] += reached(planner, arm, start, T, args, config.skills.lift_m)
    return counts


def main(args: Arguments) -> None:
    """Measure, print, write."""
    config = load_cell_config(args.cell)
    kinematics, box = CellKinematics(config), config.limits.workspace
    low, high = np.array(box.min_m[:2]) - args.around_m, np.array(box.max_m[:2]) + args.around_m
    places = [low[k] + args.step_m * np.arange(int((high - low)[k] / args.step_m + 1e-6) + 1) for k in range(2)]
    rows = []
    for arm in args.arms or config.arms:
        counts, region = measure(args, arm, kinematics, places), config.limits.region(arm)
        print(f"{args.cell}, {arm}: angles of {args.angles} that are reached; * in its region")
        print("  x \\ y  " + "".join(f"{y:7.2f}" for y in places[1]))
        inside = [
            [
                np.all(np.array([x, y]) >= region.min_m[:2]) and np.all(np.array([x, y]) <= region.max_m[:2])
                for y in places[1]
            ]
            for x in places[0]
        ]
        for x, row, marks in zip(places[0], counts, inside, strict=True):
            print(
                f"  {x:5.2f}  " + "".join(f"{n:6d}{'*' if mark else ' '}" for n, mark in zip(row, marks, strict=True))
            )
        share = 100.0 * counts[np.array(inside)].mean() / args.angles
        rows.append(Row(f"{arm}: top grasps reached in its region", args.planner, float(share), "%", BUDGET))
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for row in rows:
        print(f"{row.name:44s} {row.backend:5s} {row.value:6.1f} {row.unit}  (at least {row.budget:g})")
    if args.json is not None:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        content = {"cores": os.cpu_count(), "rows": [asdict(row) for row in rows]}
        args.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Arguments))
