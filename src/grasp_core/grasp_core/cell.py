# SPDX-License-Identifier: Apache-2.0
"""The one seam between simulation and reality: a cell can be reset, observed and told to act."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from grasp_core.actions import Action
from grasp_core.observation import Observation


class Reason(StrEnum):
    """Why an action ended as it did; the same words in results, logs, bags and reports."""

    HELD = "held"
    MISSED = "missed"
    SLIPPED = "slipped"
    # Held as far as the gripper felt, but not as the judge of an episode saw it.
    NOT_BROUGHT_AWAY = "not_brought_away"
    PUSHED = "pushed"
    MOVED = "moved"
    STOPPED_BY_POLICY = "stopped_by_policy"
    REFUSED_BY_GUARD = "refused_by_guard"
    UNREACHABLE = "unreachable"
    PLANNING_FAILED = "planning_failed"
    IN_COLLISION = "in_collision"
    MOTION_FAILED = "motion_failed"
    GRIPPER_FAILED = "gripper_failed"
    INVALID_ACTION = "invalid_action"
    STALE_STATE = "stale_state"
    POLICY_FAILED = "policy_failed"
    CANCELLED = "cancelled"


# An action that ended so tells nothing of what it was meant to touch: it did not take place, or not to its end.
NOT_DONE = frozenset(
    (Reason.REFUSED_BY_GUARD, Reason.UNREACHABLE, Reason.PLANNING_FAILED, Reason.IN_COLLISION, Reason.MOTION_FAILED,
     Reason.GRIPPER_FAILED, Reason.INVALID_ACTION, Reason.STALE_STATE, Reason.CANCELLED)
)  # fmt: skip

# What ``Outcome.info`` tells of every action, as it was before the cell tidied up: ``stop_reason`` (the reason, str),
# ``finger_width_m`` and ``finger_force_n`` (float, NaN where the gripper was silent), ``gripper_says`` (whether it
# reports to hold something; none where it cannot tell), ``gripper_height`` (m, the tool above the support),
# ``gripper_closed`` (whether the opening is less than half of the largest).
FELT = ("stop_reason", "finger_width_m", "finger_force_n", "gripper_says", "gripper_height", "gripper_closed")


@dataclass(frozen=True)
class Intervention:
    """One thing that the guard clipped or refused: which limit, what was asked and allowed in ``unit``, in words."""

    limit: str
    asked: float
    allowed: float
    message: str
    unit: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of an action.

    Attributes:
        requested: as decided.
        commanded: what was really commanded after limits; none where nothing was.
        success: of a grasp: something is held; of a push or step: it was executed; none where it cannot be judged.
        reason: one word why, ``message`` in a sentence.
        interventions: what the guard clipped or refused.
        observation: after the action.
        info: what the gripper felt, under ``FELT``, and more for those who know the cell (simulation: ``grasped_id``,
            ``n_contacts``, ...).
    """

    requested: Action
    commanded: Action | None
    success: bool | None
    reason: Reason
    observation: Observation
    message: str = ""
    interventions: tuple[Intervention, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict)


class SceneError(ValueError):
    """A scene cannot be made; the message says which and why."""


@runtime_checkable
class Cell(Protocol):
    """A robot, its gripper and cameras in front of a scene."""

    @property
    def name(self) -> str:
        """Name of the cell file."""
        ...

    def reset(self, scene: str, seed: int) -> Observation:
        """Make a scene anew, the robot ready and the gripper open; the same seed gives the same scene.

        Raises:
            SceneError: unknown scene, or it cannot be made.
        """
        ...

    def observe(self) -> Observation:
        """The present observation."""
        ...

    def execute(self, action: Action, observation: Observation | None = None) -> Outcome:
        """Carry out one action to its end; ``observation`` is what it was decided on, none for the present one."""
        ...

    def close(self) -> None:
        """Release what the cell holds; safe to call twice."""
        ...
