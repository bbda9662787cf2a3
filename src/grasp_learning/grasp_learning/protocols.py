# SPDX-License-Identifier: Apache-2.0
"""Evaluation protocols as data: which scenes, how often, when a run ends. One file each in ``config/protocols``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from grasp_core import resources
from grasp_core.config import Config, ConfigError, read_yaml
from grasp_learning.settings import LearningSettings, StageSettings

log = logging.getLogger(__name__)

# What carries out a protocol of each kind.
COMMANDS = {
    "runs": "ros2 run grasp_learning evaluate",
    "offline": "python -m grasp_learning.patch_grasp_offline",
}


class Protocol(Config):
    """How policies are evaluated.

    A run ends when the table is empty, after more than ``futile_limit`` actions in a row that changed nothing, after
    ``max_actions``, or when the policy stops. It is complete if every object was picked without more than
    ``failed_limit`` failed grasps in a row. Visual Pushing for Grasping states both rules (sections IV-F and V-B).
    """

    kind: Literal["runs"] = "runs"
    """Runs of policies in a cell."""
    description: str = ""
    """One line."""
    scenes: tuple[str, ...] = ()
    """Scenes by name."""
    cases: str | None = None
    """Folder of arrangement files (``*.txt``) in place of scenes: a path, or relative to ``config``."""
    runs: Annotated[int, Field(ge=1)] = 30
    """Runs of each scene or case."""
    max_actions: Annotated[int, Field(ge=1)] = 200
    """Longest run."""
    futile_limit: Annotated[int, Field(ge=0)] = 10
    """Actions in a row that may change nothing."""
    failed_limit: Annotated[int, Field(ge=0)] = 10
    """Failed grasps in a row that a complete run may have."""
    moved_m: Annotated[float, Field(gt=0.0)] = 0.01
    """An object that moved less has not moved."""
    objects: Annotated[int, Field(ge=1)] | None = None
    """Objects in a scene, for cells that cannot tell (real ones)."""
    cell_options: dict[str, Any] = Field(default_factory=dict)
    """Options of the simulated cell (``grasp_sim.cell.SimOptions``)."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if bool(self.scenes) == bool(self.cases):
            raise ValueError("give scenes or cases, one of them")
        return self

    def places(self) -> tuple[str, ...]:
        """Names of scenes, or files of cases in order.

        Raises:
            ConfigError: the folder of cases is not there or holds none.
        """
        if self.cases is None:
            return self.scenes
        folder = Path(self.cases).expanduser()
        if not folder.is_dir():
            try:
                folder = resources.find("config", self.cases)
            except resources.ResourceError as error:
                raise ConfigError(str(error)) from error
        # A symlinked build keeps links to files that are gone.
        files = sorted(file for file in folder.glob("*.txt") if file.is_file())
        if not files:
            raise ConfigError(f"{folder} holds no case files (*.txt)")
        return tuple(str(file.resolve()) for file in files)


@dataclass(frozen=True)
class RunOrder:
    """One run: ``number`` counts the runs of a place."""

    place: str
    number: int
    seed: int

    @property
    def name(self) -> str:
        """The place as it appears in reports: a scene's name, or a case's file name."""
        return Path(self.place).name if self.place.endswith(".txt") else self.place


def orders(protocol: Protocol, seed: int) -> list[RunOrder]:
    """All runs of a protocol, the same for every policy: the first run of each place, then the second, and so on."""
    return [
        RunOrder(place, number, int(np.random.SeedSequence((seed, where, number)).generate_state(1)[0] >> 1))
        for number in range(protocol.runs)
        for where, place in enumerate(protocol.places())
    ]


class OfflineProtocol(Config):
    """How classifiers are compared without a robot: on tries at objects that none of them has learned from.

    The tries are made at random, once, in simulation (Supersizing Self-supervision, section IV-C).
    """

    kind: Literal["offline"]
    """Tries that are told apart."""
    description: str = ""
    """One line."""
    recipe: str
    """System whose tries they are: a name in the entry points ``grasp.recipes``."""
    scene: str
    """Scene of every episode."""
    split: Literal["train", "test"] = "test"
    """Part of the objects: ``test`` is that which no learning run may draw from."""
    tries: Annotated[int, Field(ge=2)]
    """Random tries to make. Episodes are whole: the last may go past it."""
    max_steps: Annotated[int, Field(ge=1)] = 60
    """Longest episode."""
    seed: Annotated[int, Field(ge=0)] = 1000
    """Of the scenes and tries; another than that of a learning run."""
    balanced: bool = True
    """Accuracy is the mean of that on failures and that on successes, as if there were as many of both; without, the
    share of all tries."""
    cell_options: dict[str, Any] = Field(default_factory=dict)
    """Options of the simulated cell (``grasp_sim.cell.SimOptions``) beside ``split``."""

    @model_validator(mode="after")
    def _one_split(self) -> Self:
        if "split" in self.cell_options:
            raise ValueError("cell_options holds split; give it as the protocol's own setting")
        return self

    def collection(self, settings: Mapping[str, Any] | None = None) -> LearningSettings:
        """The tries as a run of one stage that learns nothing.

        Args:
            settings: of the system, those of the run whose networks will tell the tries apart; none for its defaults.
        """
        stage = StageSettings(
            name="test",
            tries=self.tries,
            scenes={self.scene: 1.0},
            max_steps=self.max_steps,
            behaviour={"random_share": 1.0},
            updates=0,
        )
        options = {**self.cell_options, "split": self.split}
        return LearningSettings(
            recipe=self.recipe, settings=dict(settings or {}), stages=(stage,), seed=self.seed, cell_options=options
        )


def load_protocol(name: str) -> Protocol:
    """A protocol by name, or from a file.

    Raises:
        ConfigError: there is none, or it is refused.
    """
    return Protocol.from_mapping(*_read(name, "runs"))


def load_offline(name: str) -> OfflineProtocol:
    """A protocol of the kind ``offline`` by name, or from a file.

    Raises:
        ConfigError: there is none, or it is refused.
    """
    return OfflineProtocol.from_mapping(*_read(name, "offline"))


def _read(name: str, kind: str) -> tuple[dict[str, Any], str]:
    """What a protocol's file holds, and the file's name, for errors."""
    file = Path(name)
    if file.suffix != ".yaml":
        try:
            file = resources.find("config", f"protocols/{name}.yaml")
        except resources.ResourceError:
            raise ConfigError(
                f"no protocol {name!r} of the kind {kind!r}; there is {', '.join(_known(kind))}"
            ) from None
    values = read_yaml(file)
    if _kind(values) in COMMANDS and _kind(values) != kind:
        raise ConfigError(f"{file}: is of the kind {_kind(values)!r}, which {COMMANDS[_kind(values)]} carries out")
    return values, str(file)


def _known(kind: str) -> list[str]:
    found = []
    for name in resources.names("config", "protocols"):
        try:
            values = read_yaml(resources.find("config", f"protocols/{name}.yaml"))
        except ConfigError as error:
            log.warning("%s", error)
            continue
        if _kind(values) == kind:
            found.append(name)
    return found


def _kind(values: Mapping[str, Any]) -> str:
    return str(values.get("kind", "runs"))
