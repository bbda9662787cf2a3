# SPDX-License-Identifier: Apache-2.0
"""The same episodes without ROS: the loop, policy, judge and scenes of ``benchmarks/episodes.py`` on a ``SimCell``.

``python benchmarks/episodes_direct.py --episodes 40 --ros FILE`` compares with the rows that ``episodes.py --json``
has written for the same scenes: success through ROS should lie within the interval of success without it.
"""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tyro
from tqdm import trange

from grasp_core import registry
from grasp_core.actions import Action
from grasp_core.cell import Outcome
from grasp_core.observation import Observation
from grasp_core.policy import Goal, Policy
from grasp_core.skills.transfer import go_to_state
from grasp_core.statistics import wilson
from grasp_episodes.judges import Truth, TruthJudge
from grasp_episodes.runner import Decided, EpisodeRunner, RunnerConfig
from grasp_episodes.timing import StageClock
from grasp_policies.node_config import find_checkpoint
from grasp_sim.cell import SimCell


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
    """Run episodes without ROS."""

    json: Path | None = None
    """File for the rows."""
    ros: Path | None = None
    """Rows of ``episodes.py`` for the same policy and scenes, to compare with."""
    cell: str = "ur5"
    """Name of the cell."""
    policy: str = "highest_point"
    """Name of the policy."""
    checkpoint: str = ""
    """Its checkpoint."""
    scene: str = "blocks"
    """Scene to clear."""
    objects: int = 4
    """Objects in it."""
    episodes: int = 10
    """How many."""
    seed: int = 0
    """Seed of the first scene."""
    motion: str = "full"
    """full: every motion is simulated, as behind ROS; fast: the arm jumps through free space."""


class DirectCell:
    """A ``SimCell`` as the runner wants it."""

    def __init__(self, cell: SimCell) -> None:
        self.cell = cell
        self._held: set[int] = set()

    def observe(self) -> Observation:
        """The present observation."""
        return self.cell.observe()

    def execute(self, action: Action, observation: Observation | None = None) -> Outcome:
        """Carry out an action."""
        outcome = self.cell.execute(action, observation)
        self._held |= set(outcome.info.get("held_ids", ()))
        return outcome

    def look(self) -> Truth:
        """Where everything is, and what was held since the last look."""
        held, self._held = frozenset(self._held), set()
        world = self.cell.world
        return Truth({thing.id: world.pose_of(thing)[:3, 3] for thing in world.present()}, held)

    def cancel(self) -> None:
        """End the running action."""
        self.cell.cancel()

    def halt(self) -> None:
        """Nothing moves between actions here."""

    def make_ready(self) -> None:
        """Arms ready."""
        for arm in self.cell.config.arms:
            go_to_state(self.cell.ports, "ready", arm)

    def since_ns(self) -> int:
        """Every picture is taken when it is asked for."""
        return 0

    def now_ns(self) -> int:
        """Simulated time."""
        return int(self.cell.world.now_ns)


class DirectDecider:
    """Asks a policy in this process."""

    def __init__(self, policy: Policy, cell: DirectCell) -> None:
        self._policy, self._cell = policy, cell

    def begin(self, goal: Goal, seed: int) -> None:
        """Begin an episode."""
        self._policy.reset(goal, seed)

    def decide(self, observation: Observation, not_before_ns: int, cancel: threading.Event) -> Decided:
        """The next action."""
        decision = self._policy.act(observation)
        return Decided(decision, observation.stamp_ns, self._cell.now_ns())


def measure(args: Arguments) -> list[Row]:
    """Run the episodes; rows with the success and its interval."""
    factory: Any = registry.load("grasp.policies", args.policy)
    policy = factory.load(find_checkpoint(args.checkpoint), "cpu", {})
    cameras = tuple(need.name for need in policy.spec.cameras if need.name)
    sim = SimCell(
        args.cell, cameras=cameras, motion=args.motion, planner="ompl", after_grasp="drop", count=(args.objects,) * 2
    )
    cell = DirectCell(sim)
    judge = TruthJudge(cell.look, sim.config.limits.workspace)
    decider = DirectDecider(policy, cell)
    runner = EpisodeRunner(cell, decider, judge, RunnerConfig(), StageClock(cell.now_ns))
    attempts = successes = 0
    ended: dict[str, int] = {}
    for k in trange(args.episodes, desc="episodes"):
        sim.reset(args.scene, args.seed + k)
        record = runner.run(Goal(), args.seed + k)
        attempts, successes = attempts + record.attempts, successes + record.successes
        ended[str(record.ended_by)] = ended.get(str(record.ended_by), 0) + 1
    sim.close()
    rate = wilson(successes, attempts)
    rows = [
        Row("episodes", args.policy, args.episodes, ""),
        Row("grasps tried", args.policy, attempts, ""),
        Row("grasps that succeeded", args.policy, 100.0 * rate.mean, "%"),
        Row("interval, lower end (Wilson, 95 %)", args.policy, 100.0 * rate.low, "%"),
        Row("interval, upper end (Wilson, 95 %)", args.policy, 100.0 * rate.high, "%"),
        *(Row(f"ended: {how}", args.policy, count, "") for how, count in ended.items()),
    ]
    if args.ros is not None:
        found = {row["name"]: row["value"] for row in json.loads(args.ros.read_text(encoding="utf-8"))}
        tried, percent = round(found["grasps tried"]), found["grasps that succeeded"]
        theirs = wilson(round(0.01 * percent * tried), tried)
        rows.append(Row(f"through ROS ({tried} grasps)", args.policy, percent, "%"))
        overlap = theirs.low <= rate.high and rate.low <= theirs.high
        rows.append(Row("intervals overlap", args.policy, float(overlap), "", 1))
    return rows


def main() -> None:
    """Measure, print, write."""
    args = tyro.cli(Arguments)
    rows = measure(args)
    for row in rows:
        print(f"{row.name:40s} {row.backend:14s} {row.value:10.2f} {row.unit}")
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
