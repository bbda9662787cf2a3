# SPDX-License-Identifier: Apache-2.0
"""``push_grasp`` as a policy: looks at the table from above, weighs all pushes and grasps, takes the best."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from grasp_core.actions import Action, Stop
from grasp_core.cell import Outcome
from grasp_core.observation import Observation
from grasp_core.policy import CameraNeed, Candidate, Decision, Goal, PolicySpec
from grasp_policies.devices import torch_device
from grasp_policies.heightmaps.state import State, changed, look
from grasp_policies.push_grasp import checkpoint
from grasp_policies.push_grasp.choosing import Passed, choose, runners_up, without
from grasp_policies.push_grasp.network import QNetwork
from grasp_policies.push_grasp.online import OnlineLearner
from grasp_policies.push_grasp.primitives import Choice, to_action
from grasp_policies.push_grasp.settings import GRASP, PRIMITIVES, ActingSettings, PushGraspConfig
from grasp_policies.push_grasp.values import Evaluator, Values

SPEC = PolicySpec(
    name="push_grasp",
    cells=("ur5",),
    cameras=(CameraNeed("fixed_camera", 320, 240, rgb=True, depth=True),),
    actions=("grasp", "push", "stop"),
    description="pushes and grasps per pixel of a heightmap (Visual Pushing for Grasping)",
)
# Fewest object pixels that are worth an action; fewer are noise. A block of which the camera sees an upright side
# alone is a line of pixels.
LEAST_OBJECT_PIXELS = 16


class PushGraspPolicy:
    """Acts greedily on two Q networks.

    Args:
        networks: by primitive.
        config: what they were trained with.
        acting: how to act.
    """

    def __init__(self, networks: dict[int, QNetwork], config: PushGraspConfig, acting: ActingSettings) -> None:
        if acting.threads is not None:
            torch.set_num_threads(acting.threads)
        self._config, self._acting = config, acting
        device = torch_device(acting.device)
        self._networks = {p: n.to(device).eval() for p, n in networks.items()}
        self._evaluator = Evaluator(self._networks, config, acting.device)
        self._learner = (
            OnlineLearner(self._networks, config, acting.learning_rate) if acting.learning_rate > 0.0 else None
        )
        self._rng = np.random.default_rng(0)
        self._last: tuple[State, Choice] | None = None
        self._passed: list[Passed] = []

    @property
    def spec(self) -> PolicySpec:
        """What it needs and does."""
        return SPEC

    @property
    def learns(self) -> bool:
        """Whether it acts as asked only where ``learn`` is told every outcome."""
        return self._learner is not None

    def reset(self, goal: Goal, seed: int) -> None:
        """Begin an episode; there is no goal but an empty table. What was learned while acting is forgotten."""
        if self._learner is not None:
            self._learner.restore()
            self._evaluator = Evaluator(self._networks, self._config, self._acting.device)
        self._rng = np.random.default_rng((seed, 11))
        self._last = None
        self._passed = []

    def act(self, observation: Observation) -> Decision:
        """Decide on a grasp, a push, or to stop at an empty table.

        Raises:
            KeyError: the observation lacks the camera.
            FrameError: its picture has no depth.
        """
        clock = _Clock()
        state = look(observation, self._config.map)
        clock.lap("heightmap")
        if int(state.occupied(self._config.primitive.object_height_m).sum()) < LEAST_OBJECT_PIXELS:
            return Decision(Stop("the table is empty"), 0.0, maps=self._maps(state, {}), stages_ms=clock.laps)
        self._remember(state)
        values = {}
        for primitive in self._config.primitives:
            values[primitive] = without(self._evaluator.values(state, primitive), self._passed)
            clock.lap(f"{PRIMITIVES[primitive]} network")
        chosen = choose(values, self._config, self._acting, self._rng)
        maps = self._maps(state, values)
        if chosen is None:
            return Decision(Stop("nothing that is seen can be acted upon"), 0.0, maps=maps, stages_ms=clock.laps)
        choice, value = chosen
        if value < self._acting.least_value:
            reason = f"the best action is worth {value:.2f}, less than {self._acting.least_value:.2f}"
            return Decision(Stop(reason), value, maps=maps, stages_ms=clock.laps)
        action = self._action(choice, state)
        if action is None:
            return Decision(Stop("the best action has no room to move"), value, maps=maps, stages_ms=clock.laps)
        self._last = (state, choice)
        candidates = self._candidates(values, state, choice)
        clock.lap("choice")
        return Decision(action, value, candidates, maps, clock.laps)

    def learn(self, outcome: Outcome) -> None:
        """Learn from what the last decision brought; does nothing unless ``learning_rate`` asks for it."""
        if self._learner is None or self._last is None:
            return
        before, choice = self._last
        after = look(outcome.observation, self._config.map)
        success = choice.primitive == GRASP and bool(outcome.success)
        different = success or changed(before, after)
        future = 0.0
        if different and self._config.method == "push_grasp":
            future = max(0.0, *(self._evaluator.values(after, p).best for p in self._config.primitives))
        self._learner.learn(choice, before, after, success, different, future)
        self._evaluator = Evaluator(self._networks, self._config, self._acting.device)

    def _remember(self, state: State) -> None:
        if self._last is None:
            return
        before, choice = self._last
        if changed(before, state):
            self._passed = []
            return
        self._passed = [entry.later() for entry in self._passed if entry.left > 1]
        if self._acting.patience > 0:
            self._passed.append(Passed(choice, self._acting.patience))

    def _action(self, choice: Choice, state: State) -> Action | None:
        return to_action(choice, state, self._config.map, self._config.primitive)

    def _candidates(self, values: Mapping[int, Values], state: State, taken: Choice) -> tuple[Candidate, ...]:
        found = []
        for choice, value in runners_up(values, self._acting.candidates + 1):
            action = None if choice == taken else self._action(choice, state)
            if action is not None:
                found.append(Candidate(action, value))
        return tuple(found[: self._acting.candidates])

    def _maps(self, state: State, values: Mapping[int, Values]) -> dict[str, NDArray[Any]]:
        maps: dict[str, NDArray[Any]] = {"height": state.height_m, "colour": state.rgb}
        for primitive, value in values.items():
            maps[f"{PRIMITIVES[primitive]}_q"] = best_over_angles(value, self._config.map.pixels)
        return maps


class PushGraspFactory:
    """Makes the policy; see ``grasp_core.policy.PolicyFactory``."""

    spec = SPEC

    def load(self, checkpoint_folder: Path | None, device: str, options: Mapping[str, Any]) -> PushGraspPolicy:
        """Load a checkpoint folder; none makes fresh networks, whose decisions mean nothing.

        Raises:
            ConfigError: the checkpoint or an option is refused.
        """
        acting = ActingSettings.from_mapping({"device": device, **options}, "options of push_grasp")
        if checkpoint_folder is None:
            torch.manual_seed(0)
            config = PushGraspConfig()
            return PushGraspPolicy(checkpoint.make_networks(config), config, acting)
        networks, config = checkpoint.load(checkpoint_folder)
        return PushGraspPolicy(networks, config, acting)


def best_over_angles(values: Values, size: int) -> NDArray[np.float32]:
    """Largest value over all angles at every pixel, float32 [size, size]; NaN where no action is considered."""
    out = np.full((size, size), -np.inf, dtype=np.float32)
    known = np.isfinite(values.q)
    rows, columns = values.pixels[known].T.astype(np.int64)
    # The lattices have every second pixel: a value stands for its neighbours too.
    for dr in (0, 1):
        for dc in (0, 1):
            np.maximum.at(out, (np.minimum(rows + dr, size - 1), np.minimum(columns + dc, size - 1)), values.q[known])
    out[np.isinf(out)] = np.nan
    return out


class _Clock:
    """Milliseconds by stage."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = 1e3 * (now - self._last)
        self._last = now


FACTORY = PushGraspFactory()
