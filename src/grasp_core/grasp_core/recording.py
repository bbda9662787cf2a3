# SPDX-License-Identifier: Apache-2.0
"""What a recording says of an episode, whoever recorded it and whoever wants to learn from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from grasp_core.actions import Action
from grasp_core.observation import Observation


@dataclass(frozen=True)
class RecordedStep:
    """One action of an episode.

    Attributes:
        observation: what was decided on; grippers report what they did after the action before.
        action: as decided.
        value: the policy's own value of it.
        executed: something was commanded.
        success: of a grasp, whether an object was brought away; none where nobody could tell.
        changed: whether the scene changed; none where nobody could tell.
        reason: one of ``grasp_core.cell.Reason``.
    """

    observation: Observation
    action: Action
    value: float
    executed: bool
    success: bool | None
    changed: bool | None
    reason: str


@dataclass(frozen=True)
class RecordedEpisode:
    """An episode.

    Attributes:
        episode_id: as the recorder named it.
        cell: name of the cell.
        policy: who decided.
        scene, seed: what the episode ran on.
        steps: in their order.
        last: what was seen after the last action; none where nothing was.
        about: whatever else the recording says.
    """

    episode_id: str
    cell: str
    policy: str
    scene: str
    seed: int
    steps: tuple[RecordedStep, ...]
    last: Observation | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
