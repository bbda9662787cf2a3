#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Time kinematics and collision checking of every cell: `kinematics.py [--json FILE] [--count N] [--cells ur5 ...]`."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from grasp_description import RobotModel, cells
from grasp_description.robot_model import chain_groups

IK_BUDGET_MS = 1.0
IK_SUCCESS_BUDGET_PERCENT = 99.0
# groups with fewer joints (heads, bases) are no arms
SMALLEST_ARM = 5

Row = Callable[..., None]


def milliseconds(call: Callable[[Any], Any], arguments: Iterable[Any]) -> tuple[list[float], list[Any]]:
    """Call once per argument; return the times and the results."""
    times, results = [], []
    for argument in arguments:
        start = time.perf_counter()
        results.append(call(argument))
        times.append((time.perf_counter() - start) * 1e3)
    return times, results


def measure_group(model: RobotModel, group: str, count: int, row: Row) -> None:
    """Rows of one arm."""
    rng, tcp, ready = np.random.default_rng(0), model.group(group).tcp, model.state("ready")
    configurations = [model.random_configuration(rng, group) for _ in range(count)]
    model.fk(ready, tcp)
    row(
        f"{group}/fk",
        "numba",
        1e3 * float(np.median(milliseconds(lambda q: model.fk(q, tcp), configurations)[0])),
        "us",
    )
    times, _ = milliseconds(lambda q: model.jacobian(q, tcp), configurations)
    row(f"{group}/jacobian", "numba", 1e3 * float(np.median(times)), "us")
    for kind, free in (("any pose", False), ("collision-free pose", True)):
        targets = [model.random_reachable_pose(rng, group, free=free)[0] for _ in range(count)]
        model.ik(targets[0], ready, group)
        for seed, seeds in (("ready", [ready] * count), ("random", configurations)):
            pairs = zip(targets, seeds, strict=True)
            times, results = milliseconds(lambda pair: model.ik(pair[0], pair[1], group), pairs)
            label = f"{group}/ik, {kind}, {seed} seed"
            solved = 100.0 * float(np.mean([result.success for result in results]))
            row(f"{label}: solved", "numba", solved, "%", IK_SUCCESS_BUDGET_PERCENT)
            row(f"{label}: median", "numba", float(np.median(times)), "ms", IK_BUDGET_MS)
            row(f"{label}: 99th percentile", "numba", float(np.percentile(times, 99)), "ms")


def measure(cell: str, count: int) -> list[dict[str, Any]]:
    """All rows of one cell."""
    model, rng = RobotModel.from_cell(cell), np.random.default_rng(0)
    rows: list[dict[str, Any]] = []

    def row(name: str, backend: str, value: float, unit: str, budget: float | None = None) -> None:
        rows.append(
            {"name": f"{cell}/{name}", "backend": backend, "value": round(value, 4), "unit": unit, "budget": budget}
        )

    for group in chain_groups(model):
        if len(model.group(group).joints) >= SMALLEST_ARM:
            measure_group(model, group, count, row)
    everywhere = [model.random_configuration(rng) for _ in range(count)]
    row("collision check, random", "coal", float(np.median(milliseconds(model.collision.check, everywhere)[0])), "ms")
    ready = [model.state("ready")] * count
    row("collision check, free", "coal", float(np.median(milliseconds(model.collision.check, ready)[0])), "ms")
    return rows


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to FILE")
    parser.add_argument("--count", type=int, default=1000, help="random poses per arm and kind")
    parser.add_argument("--cells", nargs="*", default=list(cells()), metavar="CELL")
    options = parser.parse_args()
    rows = [row for cell in options.cells for row in measure(cell, options.count)]
    print(f"cores: {os.cpu_count()}, poses per row: {options.count}")
    for item in rows:
        budget = "" if item["budget"] is None else f"  (budget {item['budget']})"
        print(f"{item['name']:78s} {item['value']:10.4f} {item['unit']}{budget}")
    if options.json:
        options.json.write_text(json.dumps({"cores": os.cpu_count(), "rows": rows}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
