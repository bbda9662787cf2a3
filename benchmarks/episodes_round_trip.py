# SPDX-License-Identifier: Apache-2.0
"""From a robot through a bag to a learner: what was recorded over ROS beside what was collected directly.

The same scenes are cleared by the same policy through ROS, recorded and exported, and on a ``SimCell``. Both become
replay stores; ``push_grasp`` learns from each, with the same seed, grasps only, and is asked about the other's tries.
"""

from __future__ import annotations

import copy
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from episode_tools import direct, watch
from episode_tools.report import Row, show
from tqdm import trange

from grasp_bringup.cells import load_cell
from grasp_bringup.policy_choice import PolicyChoice, choose_policy
from grasp_episodes import export
from grasp_learning.export_replay import write_replay
from grasp_learning.finding import find
from grasp_learning.replay import ReplayReader

RECIPE = "push_grasp"
WAYS = ("recorded over ROS", "collected directly")
# Losses are compared as the mean of so many updates: one alone says little.
LAST = 10


@dataclass
class Arguments:
    """Record, export, learn, compare."""

    json: Path | None = None
    """File for the rows."""
    keep: Path | None = None
    """Folder for bags and stores; what is there already is not collected again. None for a temporary one."""
    cell: str = "ur5"
    """Name of the cell."""
    policy: str = "highest_point"
    """Who clears the tables."""
    scene: str = "blocks"
    """Scene to clear."""
    objects: int = 4
    """Objects in it."""
    episodes: int = 3
    """How many each way."""
    seed: int = 200
    """Seed of the first scene."""
    updates: int = 40
    """Updates to learn."""
    batch: int = 16
    """Tries an update."""


def collect(args: Arguments, chosen: PolicyChoice, folder: Path) -> dict[str, ReplayReader]:
    """Both stores."""
    values = {
        "policy": chosen.policy, "checkpoint": chosen.checkpoint, "scene": args.scene, "objects": args.objects,
        "seed": args.seed, "episodes": args.episodes,
    }  # fmt: skip
    stores = {way: folder / way.replace(" ", "_") for way in WAYS}
    if all(store.exists() for store in stores.values()):
        return {way: ReplayReader(store) for way, store in stores.items()}
    watch.run(args.cell, values, record_dir=folder / "recordings")
    asked = export.Arguments((folder / "recordings" / "latest",), stores[WAYS[0]], format="replay", recipe=RECIPE)
    print(export.run(asked))
    same = direct.Episodes(
        args.cell, chosen.policy, chosen.checkpoint, args.scene, args.objects, args.episodes, args.seed, "full"
    )
    print(write_replay([recorded for _, recorded in direct.run(same)], stores[WAYS[1]], RECIPE))
    return {way: ReplayReader(store) for way, store in stores.items()}


def compare_states(stores: dict[str, ReplayReader]) -> list[Row]:
    """The first try of each scene: nothing has been moved yet, so that both ways have seen the same."""
    pairs = []
    for number in range(min(len(store) for store in stores.values())):
        one, other = (stores[way].episode(number) for way in WAYS)
        pairs.append((one, other))
    heights = [_signed(one["height"][0], other["height"][0]) for one, other in pairs]
    colours = [_signed(one["rgb"][0], other["rgb"][0]) for one, other in pairs]
    pixels = [np.abs(one["choice"][0].astype(int) - other["choice"][0]).max() for one, other in pairs]
    # Heights are kept in tenths of a millimetre.
    return [
        Row("first maps: height differs, mean", "both", 0.1 * float(np.mean(heights)), "mm"),
        Row("first maps: height differs by 2 mm or more", "both", 100.0 * float(np.mean(np.array(heights) >= 20)), "%"),
        Row("first maps: colour differs, mean", "both", float(np.mean(colours)), "of 255"),
        Row("first tries: pixel or angle differs, at most", "both", float(max(pixels)), ""),
    ]


def learn(args: Arguments, stores: dict[str, ReplayReader]) -> list[Row]:
    """Learn from each store; how well it is learned, and what is said of the other's tries."""
    recipe: Any = find("grasp.recipes", RECIPE)
    config = recipe.config_type.from_mapping({"policy": {"method": "grasp_only"}, "learn": {"batch": args.batch}})
    learners, losses = {}, {}
    for way, store in stores.items():
        learner = recipe.learner(config, "cpu", 0)
        learner.begin_stage(store, 0, look_ahead=False, epochs=args.updates * learner.settings.batch / store.tries())
        told = [learner.update(step)["loss/grasp"] for step in trange(args.updates, desc=f"learning, {way}")]
        learners[way], losses[way] = learner, told
    rows = [Row("tries", way, store.tries(), "") for way, store in stores.items()]
    rows += [Row("loss at the beginning", way, float(np.mean(told[:LAST])), "") for way, told in losses.items()]
    rows += [Row("loss at the end", way, float(np.mean(told[-LAST:])), "") for way, told in losses.items()]
    for way, other in (WAYS, WAYS[::-1]):
        learners[way].begin_stage(stores[other], 1, look_ahead=False, epochs=1.0)
        # An update tells the loss from before it: of a copy, so that nothing is learned from these.
        told = [copy.deepcopy(learners[way]).update(step)["loss/grasp"] for step in range(LAST)]
        rows.append(Row("loss on the other's tries", way, float(np.mean(told)), ""))
    return rows


def _signed(one: Any, other: Any) -> Any:
    return np.abs(one.astype(np.int32) - other.astype(np.int32))


def measure(args: Arguments) -> list[Row]:
    """Everything as rows."""
    chosen = choose_policy(load_cell(args.cell), args.policy, "")
    with tempfile.TemporaryDirectory() as temporary:
        stores = collect(args, chosen, args.keep or Path(temporary))
        return [*compare_states(stores), *learn(args, stores)]


def main() -> None:
    """Measure, print, write."""
    args = tyro.cli(Arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    show(measure(args), args.json)


if __name__ == "__main__":
    main()
