# SPDX-License-Identifier: Apache-2.0
"""What a learned system offers so that it can be collected for, trained and evaluated: its recipe.

A system offers an object of this shape under its name in the entry points ``grasp.recipes``. It need not import this
package: the protocols are met by shape. Nothing here knows of images, networks or what kind of learning it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from grasp_core.cell import Cell
from grasp_core.config import Config

# Per-step arrays of an episode: shape of one row and NumPy dtype, by name.
Fields = Mapping[str, tuple[tuple[int, ...], str]]


class Episode(Protocol):
    """What a behaviour hands over.

    Attributes:
        fields: arrays [T, ...] by name, as ``Recipe.fields`` describes; all of the same T, which may be 0.
        info: a summary that JSON can hold. ``tries`` and ``successes`` (numbers) are counted by the statistics.
    """

    @property
    def fields(self) -> Mapping[str, NDArray[Any]]:
        """Arrays [T, ...] by name."""
        ...

    @property
    def info(self) -> Mapping[str, Any]:
        """Summary."""
        ...


class Behaviour(Protocol):
    """Acts in a cell and writes down what happened; made and used inside one worker process."""

    def run_episode(self, cell: Cell, scene: str, seed: int, max_steps: int) -> Episode:
        """One episode; the same scene, seed and weights give the same episode.

        Raises:
            SceneError: the scene cannot be made; the episode is skipped and counted.
        """
        ...


class Episodes(Protocol):
    """What a learner may read: finished episodes in a fixed order (``replay.ReplayReader``)."""

    def __len__(self) -> int:
        """How many."""
        ...

    def episode(self, index: int) -> Mapping[str, NDArray[Any]]:
        """Fields of one."""
        ...

    def info(self, index: int) -> Mapping[str, Any]:
        """Summary of one; ``stage`` and ``scene`` are in it."""
        ...


class Learner(Protocol):
    """Weights, optimiser and whatever else learning needs."""

    def begin_stage(self, episodes: Episodes, index: int, **options: Any) -> int:
        """Take the data up; returns how many updates are planned.

        Args:
            episodes: of this and all earlier stages.
            index: number of the stage.
            options: ``learn`` of the stage's settings.
        """
        ...

    def update(self, step: int) -> Mapping[str, float]:
        """Update number ``step`` of the stage; returns scalars to plot."""
        ...

    def measure(self) -> Mapping[str, float]:
        """Scalars on data that is kept aside; may be empty."""
        ...

    def state(self) -> Mapping[str, Any]:
        """All that a continuation needs: nested mappings and lists of tensors, arrays and JSON values."""
        ...

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Back to where ``state`` was taken, after the same ``begin_stage``."""
        ...

    def save_policy(self, folder: Path, card: Mapping[str, Any]) -> None:
        """Write a checkpoint that the policy of this system loads; ``card`` is where it comes from.

        ``card.yaml`` is written last: a folder without it is no finished checkpoint.
        """
        ...


class Recipe(Protocol):
    """One system.

    Attributes:
        name: as registered; also the name of its policy.
        cell: the cell that it is made for.
        config_type: all settings of the system and of how it learns.
    """

    name: str
    cell: str
    config_type: type[Config]

    def fields(self, config: Any) -> Fields:
        """Arrays of an episode."""
        ...

    def behaviour(self, config: Any, options: Mapping[str, Any], checkpoint: Path | None, device: str) -> Behaviour:
        """How a stage collects; ``options`` are the stage's ``behaviour``, ``checkpoint`` the weights to follow."""
        ...

    def check_learn(self, config: Any, options: Mapping[str, Any], where: str) -> None:
        """Refuse what ``Learner.begin_stage`` could not take; ``where`` is for the message.

        Raises:
            ConfigError: an option is unknown or out of range.
        """
        ...

    def learner(self, config: Any, device: str, seed: int) -> Learner:
        """What learns."""
        ...
