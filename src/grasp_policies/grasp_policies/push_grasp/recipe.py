# SPDX-License-Identifier: Apache-2.0
"""What ``grasp_learning`` needs to know to collect for and train ``push_grasp``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from grasp_core.config import Config, ConfigError
from grasp_core.recording import RecordedEpisode
from grasp_policies.push_grasp.behaviour import Behaviour, BehaviourSettings, Episode, fields_of
from grasp_policies.push_grasp.learner import Learner, LearnSettings
from grasp_policies.push_grasp.recorded import tries_of
from grasp_policies.push_grasp.settings import PushGraspConfig


class PushGraspSettings(Config):
    """Settings of the system and of its learning."""

    policy: PushGraspConfig = PushGraspConfig()
    """What the weights depend on."""
    learn: LearnSettings = LearnSettings()
    """How the networks learn."""


class StageLearnSettings(Config):
    """What ``learn`` of a stage may say (``Learner.begin_stage``)."""

    look_ahead: bool
    """Whether values contain what follows; without, the reward alone is learned (the warm start)."""
    epochs: Annotated[float, Field(gt=0.0)] | None = None
    """Passes over the data; none for the settings' number."""
    newest_factor: Annotated[float, Field(gt=0.0)] = 1.0
    """How many times as often as others the tries of the newest stage are drawn (paper: 1)."""


class PushGraspRecipe:
    """Behaviour and learner of ``push_grasp`` under the names that ``grasp_learning`` asks for."""

    name = "push_grasp"
    cell = "ur5"
    config_type = PushGraspSettings

    def fields(self, config: PushGraspSettings) -> Mapping[str, tuple[tuple[int, ...], str]]:
        """Shape and dtype of each array that a try leaves."""
        return fields_of(config.policy)

    def behaviour(
        self, config: PushGraspSettings, options: Mapping[str, Any], checkpoint: Path | None, device: str
    ) -> Behaviour:
        """How a stage collects; ``options`` as ``BehaviourSettings``.

        Raises:
            ConfigError: an option is refused.
        """
        settings = BehaviourSettings.from_mapping(options, "behaviour")
        return Behaviour(config.policy, settings, checkpoint, device)

    def recorded(self, config: PushGraspSettings, episode: RecordedEpisode) -> Episode:
        """A recorded episode as if it had been collected directly."""
        return tries_of(episode, config.policy)

    def check_learn(self, config: PushGraspSettings, options: Mapping[str, Any], where: str) -> None:
        """Refuse options that ``Learner.begin_stage`` could not take.

        Raises:
            ConfigError: an option is unknown, out of range, or does not go with ``sampling``.
        """
        factor, sampling = StageLearnSettings.from_mapping(options, where).newest_factor, config.learn.sampling
        if factor != 1.0 and sampling != "uniform":
            raise ConfigError(f"{where}: newest_factor is {factor}; with learn.sampling {sampling!r} it can only be 1")

    def learner(self, config: PushGraspSettings, device: str, seed: int) -> Learner:
        """What learns."""
        return Learner(config.policy, config.learn, seed, device)


RECIPE = PushGraspRecipe()
