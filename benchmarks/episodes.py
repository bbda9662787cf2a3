# SPDX-License-Identifier: Apache-2.0
"""Episodes through ROS: from launch to the first command, from a picture to a command by stage, load, endurance.

``python benchmarks/episodes.py --json FILE`` launches a cell of its own on a ROS domain of its own, lets it clear a
small table, writes rows of ``name, backend, value, unit, budget`` and prints them. ``--minutes 60`` runs episode after
episode and tells how memory grows; ``--picture FILE`` draws the time by stage.
"""

from __future__ import annotations

import json
import signal
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from episode_tools import watch
from episode_tools.report import Row, draw, histogram, show, stage_table
from rclpy.time import Time

from grasp_interfaces.msg import EpisodeStep

ENDLESS = 100_000
TOTAL = "capture to command"
# Stages that are no part of a decision.
AFTER = ("decide", "plan", "motion", "gripper", "execute", "judge")
PERCENTILES = (("median", 50), ("95 %", 95), ("worst", 100))
# Memory is told to grow or not after so long (s); the first part of a run fills caches.
GROWTH_AFTER_S = 240.0
WARM = 0.25


@dataclass
class Arguments:
    """Measure episodes through ROS."""

    json: Path | None = None
    """File for the rows."""
    picture: Path | None = None
    """File for a picture of the time from capture to command by stage."""
    samples: Path | None = None
    """File for everything that was measured, as JSON: load of each process over time, stages of each action."""
    cell: str = "ur5"
    """Name of the cell."""
    policy: str = "auto"
    """Name of the policy; auto: as the launch files decide."""
    scene: str = "blocks"
    """Scene to clear."""
    objects: int = 4
    """Objects in it."""
    episodes: int = 1
    """Episodes where ``minutes`` is 0."""
    minutes: float = 0.0
    """Run episode after episode for so long."""
    record: bool = True
    """Record bags, as a user would."""
    record_dir: Path | None = None
    """Where bags go; none for a temporary folder, whose bags are removed when they are old."""
    seed: int = 0
    """Seed of the first scene."""


def measure(args: Arguments) -> list[Row]:
    """All rows of one launch; tables are printed beside."""
    values = {
        "policy": args.policy, "scene": args.scene, "objects": args.objects, "seed": args.seed,
        "episodes": ENDLESS if args.minutes else args.episodes, "record": str(args.record).lower(),
    }  # fmt: skip
    watcher = watch.run(args.cell, values, args.minutes, args.record_dir)
    if args.samples:
        _save(watcher, args.samples)
    heard, backend = watcher.heard, args.policy
    rows = [Row("processes left behind", backend, watcher.orphans, "", 0)]
    if heard.first_command is not None:
        rows.append(Row("launch to first command", backend, heard.first_command - watcher.begin, "s", 30.0))
    stages = [found for step in heard.steps if TOTAL in (found := stages_of(step))]
    if stages:
        print(stage_table(stages, TOTAL))
        if args.picture:
            draw(stages, f"{len(stages)} actions of {args.policy} on {args.cell}, simulated", args.picture)
    rows += stage_rows(heard.steps, backend)
    rows += result_rows(watcher, backend)
    for name, load in sorted(watcher.loads.items()):
        rows += load_rows(name, load, backend)
    return rows


def stages_of(step: EpisodeStep) -> dict[str, float]:
    """Milliseconds from the picture to the first command, by stage, and the whole."""
    found = {stage.stage: 1e3 * stage.seconds for stage in step.stages}
    told = {name: ms for name, ms in found.items() if name not in AFTER}
    at = {name: Time.from_msg(getattr(step, name)).nanoseconds for name in ("observed", "decided", "started")}
    told["asking over ROS"] = max(0.0, found.get("decide", 0.0) - sum(told.values()))
    if at["started"]:
        # How old the picture was when it was asked for; waiting for one counts as the stage "picture".
        told["age of the picture"] = max(0.0, 1e-6 * (at["decided"] - at["observed"]) - found.get("decide", 0.0))
        told["decision to command"] = 1e-6 * (at["started"] - at["decided"])
        told[TOTAL] = 1e-6 * (at["started"] - at["observed"])
    return told


def stage_rows(steps: list[EpisodeStep], backend: str) -> list[Row]:
    """Median, 95 % and worst of each stage; histograms are printed."""
    by_stage: dict[str, list[float]] = defaultdict(list)
    for step in steps:
        for name, ms in stages_of(step).items():
            by_stage[name].append(ms)
        for stage in step.stages:
            if stage.stage in AFTER:
                by_stage[f"action: {stage.stage}"].append(1e3 * stage.seconds)
    rows = []
    for name, values in by_stage.items():
        print(histogram(name, values))
        rows += [Row(f"{name}, {word}", backend, float(np.percentile(values, q)), "ms") for word, q in PERCENTILES]
    return rows


def result_rows(watcher: watch.Watcher, backend: str) -> list[Row]:
    """Episodes and grasps."""
    results = watcher.heard.results
    attempts = sum(result.attempts for result in results)
    rows = [
        Row("episodes", backend, len(results), ""),
        Row("tables cleared", backend, sum(r.ended_by == "cleared" for r in results), ""),
        Row("episodes failed", backend, sum(r.ended_by == "failed" for r in results), "", 0),
        Row("actions", backend, sum(r.actions for r in results), ""),
        Row("grasps tried", backend, attempts, ""),
    ]
    if attempts:
        held = sum(result.successes for result in results)
        rows.append(Row("grasps that succeeded", backend, 100.0 * held / attempts, "%"))
    return rows


def load_rows(name: str, load: watch.Load, backend: str) -> list[Row]:
    """Processor share and memory of a node; how its own memory grows once it is warm, where it ran long enough."""
    if len(load.samples) < 3:
        return []
    _, cpu, resident = np.array(load.samples).T
    rows = [
        Row(f"{name}: processor", backend, float(cpu[1:].mean()), "% of a core"),
        Row(f"{name}: resident memory, most", backend, float(resident.max()), "MiB"),
    ]
    if load.heap:
        at, own = np.array(load.heap).T
        rows.append(Row(f"{name}: own memory at the end", backend, float(own[-1]), "MiB"))
        if at[-1] - at[0] > GROWTH_AFTER_S:
            warm = at > at[0] + WARM * (at[-1] - at[0])
            growth = np.polyfit(at[warm] / 3600.0, own[warm], 1)[0]
            rows.append(Row(f"{name}: growth of own memory", backend, float(growth), "MiB/h"))
    return rows


def _save(watcher: watch.Watcher, path: Path) -> None:
    results = [
        {"ended_by": r.ended_by, "message": r.message, "attempts": r.attempts, "successes": r.successes,
         "actions": r.actions, "seed": r.seed, "duration_s": r.duration}
        for r in watcher.heard.results
    ]  # fmt: skip
    told = {
        "load": {name: {"samples": load.samples, "own": load.heap} for name, load in watcher.loads.items()},
        "stages": [stages_of(step) for step in watcher.heard.steps],
        "results": results,
    }
    path.write_text(json.dumps(told), encoding="utf-8")


def main() -> None:
    """Measure, print, write."""
    args = tyro.cli(Arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    show(measure(args), args.json)


if __name__ == "__main__":
    main()
