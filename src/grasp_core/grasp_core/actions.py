# SPDX-License-Identifier: Apache-2.0
"""What a policy may ask of a cell: one union for all six systems.

Poses are of the tool frame ``grasp_tcp`` in the robot's base frame: z is the approach direction, x the closing
direction of the fingers. ``arm`` names one of the cell's arms; none means its first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

import numpy as np

from grasp_core.geometry import Array, check_rigid


class ActionError(ValueError):
    """An action that makes no sense, whatever the robot: NaN, a negative length, a pose that is not rigid."""


class GripperMotion(StrEnum):
    """What a step does with the gripper."""

    KEEP = "keep"
    OPEN = "open"
    CLOSE = "close"


def _finite(name: str, value: float, low: float, high: float = np.inf) -> None:
    if not (np.isfinite(value) and low <= value <= high):
        raise ActionError(f"{name} is {value}; allowed is {low} to {high}")


@dataclass(frozen=True)
class Step:
    """One closed-loop step: a relative motion of the tool and what the gripper does.

    Attributes:
        T_delta: relative motion [4, 4]: the tool's origin moves along, and the tool turns about its origin around, the
            axes of ``frame``. In frame ``tcp`` the goal is ``T_base_tcp @ T_delta``.
        frame: ``tcp``, ``base``, or the name of a camera in the observation (its axes when the picture was taken).
        gripper: what the gripper does after the motion.
        terminate: the policy declares the episode finished.
    """

    T_delta: Array
    gripper: GripperMotion = GripperMotion.KEEP
    terminate: bool = False
    frame: str = "tcp"
    arm: str | None = None

    def __post_init__(self) -> None:
        _rigid(self.T_delta, "T_delta")
        if not self.frame:
            raise ActionError("frame is empty; a step is in base, tcp or the frame of a named camera")


@dataclass(frozen=True)
class Grasp:
    """An open-loop grasp: come from ``approach_m`` back along the tool's z, close, lift.

    Attributes:
        T_base_tcp: pose of the tool at closing [4, 4].
        width_m: opening before closing, metres; none for as wide as the gripper goes.
        preshape: joint positions by name that a hand takes before the approach, rad; empty for a plain gripper.
        approach_m: length of the straight approach, metres.
    """

    T_base_tcp: Array
    width_m: float | None = None
    preshape: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    approach_m: float = 0.1
    arm: str | None = None

    def __post_init__(self) -> None:
        _rigid(self.T_base_tcp, "T_base_tcp")
        _finite("approach_m", self.approach_m, 0.0)
        if self.width_m is not None:
            _finite("width_m", self.width_m, 0.0)
        for joint, position in self.preshape.items():
            _finite(f"preshape[{joint}]", position, -np.inf)


@dataclass(frozen=True)
class Push:
    """A straight push with the closed gripper.

    Attributes:
        start: tip position at the beginning [3], base frame, metres.
        direction: unit vector [3] in the base frame along which the tip moves.
        length_m: how far, metres (VPG: 0.1).
    """

    start: Array
    direction: Array
    length_m: float = 0.1
    arm: str | None = None

    def __post_init__(self) -> None:
        for name in ("start", "direction"):
            value = getattr(self, name)
            if np.shape(value) != (3,) or not np.isfinite(value).all():
                raise ActionError(f"{name} is {value}; expected three finite numbers")
        if abs(float(np.linalg.norm(self.direction)) - 1.0) > 1e-6:
            raise ActionError(f"direction has length {np.linalg.norm(self.direction):.6f}; it must be 1")
        _finite("length_m", self.length_m, 0.0)


@dataclass(frozen=True)
class Stop:
    """The policy sees nothing left to do; ``reason`` says what it saw."""

    reason: str = ""


Action = Step | Grasp | Push | Stop

ACTION_KINDS: tuple[str, ...] = ("step", "grasp", "push", "stop")


def kind_of(action: Action) -> str:
    """One of ``ACTION_KINDS``."""
    return type(action).__name__.lower()


def _rigid(T: Array, name: str) -> None:
    try:
        check_rigid(T, name)
    except ValueError as error:
        raise ActionError(str(error)) from error
