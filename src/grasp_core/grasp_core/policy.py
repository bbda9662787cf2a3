# SPDX-License-Identifier: Apache-2.0
"""What a policy is: a thing that looks at an observation and decides on an action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from grasp_core.actions import Action
from grasp_core.camera import Rgb
from grasp_core.observation import Observation


@dataclass(frozen=True)
class CameraNeed:
    """A picture that a policy needs.

    Attributes:
        name: the cell's camera name, or none for "the cell's first that has what is needed".
        width, height: smallest image in pixels that the policy can work with.
        rgb, depth: what the picture must carry.
        max_age_s: oldest picture that may still be acted upon.
    """

    name: str | None = None
    width: int = 1
    height: int = 1
    rgb: bool = True
    depth: bool = False
    max_age_s: float = 0.5


@dataclass(frozen=True)
class PolicySpec:
    """What a policy needs and does; readable without loading its weights.

    Attributes:
        name: the entry point's name.
        cells: names of cells that it was made for.
        cameras: what it needs to see.
        actions: kinds of ``grasp_core.actions.ACTION_KINDS`` that it may return.
        rate_hz: how often a closed-loop policy wants to decide; none for open-loop primitives.
        goal: ``none``, ``image`` (a picture of the target) or ``optional_image``.
    """

    name: str
    cells: tuple[str, ...]
    cameras: tuple[CameraNeed, ...]
    actions: tuple[str, ...]
    rate_hz: float | None = None
    goal: str = "none"
    description: str = ""


@dataclass(frozen=True)
class Candidate:
    """A runner-up: an action and the value that the policy gave it."""

    action: Action
    value: float


@dataclass(frozen=True)
class Decision:
    """What a policy decided, and why, for those who watch.

    Attributes:
        action: what to do.
        value: the policy's own value of it (a Q value, a probability).
        candidates: the best others, best first.
        maps: named images to show: float32 [H, W] or uint8 [H, W, 3].
        stages_ms: milliseconds by stage, in the order in which they ran.
    """

    action: Action
    value: float
    candidates: tuple[Candidate, ...] = ()
    maps: Mapping[str, NDArray[Any]] = field(default_factory=dict, repr=False)
    stages_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Goal:
    """What the episode is about: nothing in particular, or the object in a picture (uint8 [H, W, 3])."""

    image: Rgb | None = field(default=None, repr=False)
    label: str = ""


@runtime_checkable
class Policy(Protocol):
    """A policy. Two runs with the same weights, seed and observations decide alike."""

    @property
    def spec(self) -> PolicySpec:
        """What it needs and does."""
        ...

    def reset(self, goal: Goal, seed: int) -> None:
        """Begin an episode: forget what was seen, seed what is random."""
        ...

    def act(self, observation: Observation) -> Decision:
        """Decide on the next action."""
        ...


class PolicyFactory(Protocol):
    """What an entry point of the group ``grasp.policies`` refers to."""

    spec: PolicySpec

    def load(self, checkpoint: Path | None, device: str, options: Mapping[str, Any]) -> Policy:
        """Make the policy; ``checkpoint`` none means untrained or scripted."""
        ...
