# SPDX-License-Identifier: Apache-2.0
"""Success through ROS beside success without it: the same policy, judge, loop and scenes, on a graph or a ``SimCell``.

``python benchmarks/episodes_compare.py --policy push_grasp --objects 10 --episodes 10`` takes about half an hour; the
default, a scripted policy on few small tables, some minutes.
"""

from __future__ import annotations

import signal
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import tyro
from episode_tools import direct, watch
from episode_tools.report import Row, show
from scipy.stats import fisher_exact

from grasp_bringup.cells import load_cell
from grasp_bringup.policy_choice import PolicyChoice, choose_policy
from grasp_core.statistics import wilson


@dataclass
class Arguments:
    """Run the same episodes through ROS and without."""

    json: Path | None = None
    """File for the rows."""
    cell: str = "ur5"
    """Name of the cell."""
    policy: str = "highest_point"
    """Name of the policy; auto: as the launch files decide."""
    checkpoint: str = ""
    """Its checkpoint; empty: the one in models/ that bears its name."""
    scene: str = "blocks"
    """Scene to clear."""
    objects: int = 3
    """Objects in it."""
    episodes: int = 3
    """How many."""
    seed: int = 100
    """Seed of the first scene."""
    motion: str = "full"
    """Without ROS. full: every motion is simulated, as behind ROS; fast: the arm jumps through free space."""


@dataclass(frozen=True)
class Found:
    """What came of the episodes of one way."""

    attempts: int
    successes: int
    actions: int
    cleared: int
    ended: Counter[str]

    def rows(self, way: str) -> list[Row]:
        """Numbers with the interval of the success."""
        rate = wilson(self.successes, self.attempts)
        return [
            Row("grasps tried", way, self.attempts, ""),
            Row("grasps that succeeded", way, self.successes, ""),
            Row("success", way, 100.0 * rate.mean, "%"),
            Row("interval (Wilson, 95 %), lower end", way, 100.0 * rate.low, "%"),
            Row("interval (Wilson, 95 %), upper end", way, 100.0 * rate.high, "%"),
            Row("actions", way, self.actions, ""),
            Row("tables cleared", way, self.cleared, ""),
            *(Row(f"episodes ended: {how}", way, count, "") for how, count in sorted(self.ended.items())),
        ]


def through_ros(args: Arguments, chosen: PolicyChoice) -> Found:
    """On a launched graph."""
    values = {
        "policy": chosen.policy, "checkpoint": chosen.checkpoint, "scene": args.scene, "objects": args.objects,
        "seed": args.seed, "episodes": args.episodes, "record": "false",
    }  # fmt: skip
    results = watch.run(args.cell, values).heard.results
    if len(results) != args.episodes:
        sys.exit(f"only {len(results)} of {args.episodes} episodes came to an end through ROS")
    return Found(
        sum(r.attempts for r in results),
        sum(r.successes for r in results),
        sum(r.actions for r in results),
        sum(r.ended_by == "cleared" for r in results),
        Counter(r.ended_by for r in results),
    )


def without_ros(args: Arguments, chosen: PolicyChoice) -> Found:
    """In this process."""
    asked = direct.Episodes(
        args.cell, chosen.policy, chosen.checkpoint, args.scene, args.objects, args.episodes, args.seed, args.motion
    )
    records = [record for record, _ in direct.run(asked)]
    return Found(
        sum(r.attempts for r in records),
        sum(r.successes for r in records),
        sum(r.actions for r in records),
        sum(r.ended_by == "cleared" for r in records),
        Counter(str(r.ended_by) for r in records),
    )


def measure(args: Arguments) -> list[Row]:
    """Both ways, and whether they agree."""
    chosen = choose_policy(load_cell(args.cell), args.policy, args.checkpoint)
    ros, plain = through_ros(args, chosen), without_ros(args, chosen)
    one, other = wilson(ros.successes, ros.attempts), wilson(plain.successes, plain.attempts)
    table = [[f.successes, f.attempts - f.successes] for f in (ros, plain)]
    return [
        *ros.rows("through ROS"),
        *plain.rows("without ROS"),
        Row(
            "success through ROS within the other's interval", "both", float(other.low <= one.mean <= other.high), "", 1
        ),
        Row("intervals overlap", "both", float(one.low <= other.high and other.low <= one.high), "", 1),
        Row("chance of such a difference (Fisher)", "both", float(fisher_exact(table)[1]), ""),
    ]


def main() -> None:
    """Measure, print, write."""
    args = tyro.cli(Arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    show(measure(args), args.json)


if __name__ == "__main__":
    main()
