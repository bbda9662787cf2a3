# SPDX-License-Identifier: Apache-2.0
"""What ``grasp_learning`` needs to know to collect for and train ``patch_grasp``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from grasp_core.config import Config
from grasp_policies.patch_grasp.behaviour import Behaviour, BehaviourSettings, fields_of
from grasp_policies.patch_grasp.learner import Learner, LearnSettings
from grasp_policies.patch_grasp.settings import PatchGraspConfig


class PatchGraspSettings(Config):
    """Settings of the system and of its learning."""

    policy: PatchGraspConfig = PatchGraspConfig()
    """What the weights depend on."""
    learn: LearnSettings = LearnSettings()
    """How the network learns."""


class StageLearnSettings(Config):
    """What ``learn`` of a stage may say (``Learner.begin_stage``)."""

    epochs: Annotated[float, Field(gt=0.0)] | None = None
    """Passes over the data; none for the settings' number."""


class PatchGraspRecipe:
    """Behaviour and learner of ``patch_grasp`` under the names that ``grasp_learning`` asks for."""

    name = "patch_grasp"
    cell = "baxter"
    config_type = PatchGraspSettings

    def fields(self, config: PatchGraspSettings) -> Mapping[str, tuple[tuple[int, ...], str]]:
        """Shape and dtype of each array that a try leaves."""
        return fields_of(config.policy)

    def behaviour(
        self, config: PatchGraspSettings, options: Mapping[str, Any], checkpoint: Path | None, device: str
    ) -> Behaviour:
        """How a stage collects; ``options`` as ``BehaviourSettings``.

        Raises:
            ConfigError: an option is refused.
        """
        settings = BehaviourSettings.from_mapping(options, "behaviour")
        return Behaviour(config.policy, settings, checkpoint, device)

    def check_learn(self, config: PatchGraspSettings, options: Mapping[str, Any], where: str) -> None:
        """Refuse options that ``Learner.begin_stage`` could not take.

        Raises:
            ConfigError: an option is unknown or out of range.
        """
        StageLearnSettings.from_mapping(options, where)

    def learner(self, config: PatchGraspSettings, device: str, seed: int) -> Learner:
        """What learns."""
        return Learner(config.policy, config.learn, seed, device)


RECIPE = PatchGraspRecipe()
