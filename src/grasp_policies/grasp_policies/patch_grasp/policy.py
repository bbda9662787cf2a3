# SPDX-License-Identifier: Apache-2.0
"""``patch_grasp`` as a policy: weighs random patches at 18 angles, looks around the best, grasps."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from grasp_core.actions import Stop
from grasp_core.observation import Observation
from grasp_core.policy import CameraNeed, Candidate, Decision, Goal, PolicySpec
from grasp_policies.heightmaps.state import State, look
from grasp_policies.patch_grasp import checkpoint
from grasp_policies.patch_grasp.behaviour import LEAST_PIXELS
from grasp_policies.patch_grasp.network import PatchNetwork
from grasp_policies.patch_grasp.scoring import Scorer, Weighed, ranked, reranked
from grasp_policies.patch_grasp.settings import BINS, ActingSettings, PatchGraspConfig
from grasp_policies.patch_grasp.table import Choice, region, to_action

SPEC = PolicySpec(
    name="patch_grasp",
    cells=("baxter",),
    cameras=(CameraNeed("head_camera", 960, 540, rgb=True, depth=True),),
    actions=("grasp", "stop"),
    description="planar grasps from patches at 18 angles (Supersizing Self-supervision)",
)


class PatchGraspPolicy:
    """Takes the best of all patches and angles.

    Args:
        network: what weighs patches.
        config: what it was trained with.
        acting: how to act.
    """

    def __init__(self, network: PatchNetwork, config: PatchGraspConfig, acting: ActingSettings) -> None:
        if acting.threads is not None:
            torch.set_num_threads(acting.threads)
        self._config, self._acting = config, acting
        self._scorer = Scorer(network, config, acting.device, acting.coarse_angles, acting.fine_share)
        self._rng = np.random.default_rng(0)
        self._taken: list[tuple[Choice, int]] = []

    @property
    def spec(self) -> PolicySpec:
        """What it needs and does."""
        return SPEC

    def reset(self, goal: Goal, seed: int) -> None:
        """Begin an episode; there is no goal but an empty table."""
        self._rng = np.random.default_rng((seed, 13))
        self._taken = []

    def act(self, observation: Observation) -> Decision:
        """Grasp, or stop at an empty table.

        Raises:
            KeyError: the observation lacks the camera.
            FrameError: its picture has no depth.
        """
        begin = time.perf_counter()
        state = look(observation, self._config.map)
        mask = region(state, self._config)
        mapped = time.perf_counter()
        stages = {"map": 1e3 * (mapped - begin)}
        if int(mask.sum()) < LEAST_PIXELS:
            maps = self._maps(state, mask, None)
            return Decision(Stop("the table is empty"), 0.0, maps=maps, stages_ms=stages)
        weighed = self._scorer.sample(state, mask, self._acting.patches, self._rng)
        scored = time.perf_counter()
        stages["patches"] = 1e3 * (scored - mapped)
        order = self._without_repeated(ranked(weighed))
        if self._acting.rerank:
            best = reranked(order, state, self._scorer, self._acting, self._rng)
            stages["neighbourhoods"] = 1e3 * (time.perf_counter() - scored)
        else:
            best = order
        choice, value = best[0]
        self._taken = [(c, left - 1) for c, left in self._taken if left > 1]
        if self._acting.patience:
            self._taken.append((choice, self._acting.patience))
        candidates = tuple(
            Candidate(to_action(c, state, self._config), v) for c, v in best[1 : self._acting.candidates + 1]
        )
        maps = self._maps(state, mask, weighed)
        return Decision(to_action(choice, state, self._config), value, candidates, maps, stages)

    def _without_repeated(self, order: list[tuple[Choice, float]]) -> list[tuple[Choice, float]]:
        """Without what was tried a moment ago, unless nothing else is left: what was held is gone by now."""
        fresh = [(c, v) for c, v in order if not any(self._alike(c, taken) for taken, _ in self._taken)]
        return fresh or order

    def _alike(self, a: Choice, b: Choice) -> bool:
        distance = np.hypot(a.row - b.row, a.column - b.column) * self._config.map.pixel_m
        bins = (a.bin - b.bin) % BINS
        return bool(distance < self._acting.avoid_m and min(bins, BINS - bins) <= 2)

    def _maps(self, state: State, mask: NDArray[np.bool_], weighed: Weighed | None) -> dict[str, NDArray[Any]]:
        """Height, colour, region, and the best chance at each patch that was weighed."""
        maps: dict[str, NDArray[Any]] = {
            "height": state.height_m,
            "colour": state.rgb,
            "region": mask.astype(np.float32),
        }
        if weighed is not None:
            chance = np.full(mask.shape, np.nan, np.float32)
            chance[tuple(weighed.pixels.T)] = weighed.chances.max(axis=1)
            maps["grasp_chance"] = chance
        return maps


class PatchGraspFactory:
    """Makes the policy; see ``grasp_core.policy.PolicyFactory``."""

    spec = SPEC

    def load(self, checkpoint_folder: Path | None, device: str, options: Mapping[str, Any]) -> PatchGraspPolicy:
        """Load a checkpoint folder; none makes a fresh network, whose decisions mean nothing.

        Raises:
            ConfigError: the checkpoint or an option is refused.
        """
        acting = ActingSettings.from_mapping({"device": device, **options}, "options of patch_grasp")
        if checkpoint_folder is None:
            torch.manual_seed(0)
            config = PatchGraspConfig()
            return PatchGraspPolicy(PatchNetwork(config), config, acting)
        network, config = checkpoint.load(checkpoint_folder)
        return PatchGraspPolicy(network, config, acting)


FACTORY = PatchGraspFactory()
