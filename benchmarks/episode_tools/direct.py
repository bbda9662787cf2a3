# SPDX-License-Identifier: Apache-2.0
"""The same episodes without ROS: the runner and the judge of the episode manager on a ``SimCell``."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tqdm import trange

from grasp_core import registry
from grasp_core.actions import Action
from grasp_core.cell import Outcome
from grasp_core.observation import Observation
from grasp_core.policy import Goal, Policy
from grasp_core.recording import RecordedEpisode, RecordedStep
from grasp_core.resources import find_checkpoint
from grasp_core.skills.transfer import go_to_state
from grasp_episodes.judges import Truth, TruthJudge
from grasp_episodes.runner import Decided, EpisodeRecord, EpisodeRunner, Listeners, RunnerConfig, StepRecord
from grasp_episodes.timing import StageClock
from grasp_sim.cell import SimCell


@dataclass(frozen=True)
class Episodes:
    """Which episodes; ``checkpoint`` empty for a scripted policy."""

    cell: str
    policy: str
    checkpoint: str
    scene: str
    objects: int
    episodes: int
    seed: int
    motion: str


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
        self.seen: list[Observation] = []

    def begin(self, goal: Goal, seed: int) -> None:
        """Begin an episode."""
        self._policy.reset(goal, seed)

    def decide(self, observation: Observation, not_before_ns: int, cancel: threading.Event) -> Decided:
        """The next action."""
        decision = self._policy.act(observation)
        self.seen.append(observation)
        return Decided(decision, observation.stamp_ns, self._cell.now_ns())


def run(asked: Episodes) -> Iterator[tuple[EpisodeRecord, RecordedEpisode]]:
    """Run them, one after another; each with what a recording would have kept of it."""
    factory: Any = registry.load("grasp.policies", asked.policy)
    policy = factory.load(find_checkpoint(asked.checkpoint), "cpu", {})
    cameras = tuple(need.name for need in policy.spec.cameras if need.name)
    count = (asked.objects, asked.objects)
    sim = SimCell(asked.cell, cameras=cameras, motion=asked.motion, planner="ompl", after_grasp="drop", count=count)
    cell = DirectCell(sim)
    judge = TruthJudge(cell.look, sim.config.limits.workspace)
    decider, steps = DirectDecider(policy, cell), list[StepRecord]()
    told = Listeners(step=lambda step, _: steps.append(step))
    runner = EpisodeRunner(cell, decider, judge, RunnerConfig(), StageClock(cell.now_ns), told)
    for k in trange(asked.episodes, desc="episodes without ROS"):
        seed = asked.seed + k
        sim.reset(asked.scene, seed)
        steps.clear()
        decider.seen.clear()
        record = runner.run(Goal(), seed)
        recorded = tuple(_recorded(step, seen) for step, seen in zip(steps, decider.seen, strict=True))
        name = f"direct_{seed}"
        yield record, RecordedEpisode(name, asked.cell, asked.policy, asked.scene, seed, recorded, cell.observe())
    sim.close()


def _recorded(step: StepRecord, seen: Observation) -> RecordedStep:
    outcome, judged = step.outcome, step.judgement
    is_done = outcome.commanded is not None
    reason = str(outcome.reason)
    return RecordedStep(seen, outcome.requested, step.decision.value, is_done, judged.success, judged.changed, reason)
